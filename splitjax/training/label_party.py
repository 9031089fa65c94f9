"""The label party's part of a network with several parties."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax

from splitjax.models import layering
from splitjax.training import missing
from splitjax.training.fusion import FuseFn

PyTree = Any
Layers = tuple[layering.Layer, ...]


class LabelPart(NamedTuple):
  """Its own bottom, the fusion, and the top.

  Parameters and state are tuples over the layers of `own`, then of `top`; the
  state may end with `missing.Means`.

  Attributes:
    own: layers of its own bottom; none if it has no features.
    top: layers after the fusion.
    fuse_fn: joins what the parties send and the output of `own`.
    first_own: index of the first layer of `own` in the whole model.
    first_top: index of the first layer of `top`.
    keeps_means: whether the state ends with running means.
  """

  own: Layers
  top: Layers
  fuse_fn: FuseFn
  first_own: int
  first_top: int
  keeps_means: bool

  def init(
    self, key: jax.Array, sent: Sequence[jax.Array], x: jax.Array | None
  ) -> tuple[list[jax.Array], PyTree, PyTree]:
    """Draw parameters and state.

    Args:
      key: random key for the parameters of the whole model.
      sent: an example of what each party sends, `[B, ...]` each.
      x: an example of the label party's features, `[B, ...]`, if it has some.

    Returns:
      The outputs of all layers, the parameters and the state.
    """
    values, own = list(sent), ([], (), ())
    if x is not None:
      own = layering.init_all(self.own, self.first_own, key, x)
      values.append(own[0][-1])
    fused = self.fuse_fn(values)
    top = layering.init_all(self.top, self.first_top, key, fused)
    means = (missing.start_means(sent),) if self.keeps_means else ()
    return [*own[0], *top[0]], own[1] + top[1], own[2] + top[2] + means

  def apply(
    self,
    params: PyTree,
    state: PyTree,
    received: Sequence[jax.Array],
    *,
    x: jax.Array | None,
    present: jax.Array | None,
    train: bool,
    key: jax.Array | None = None,
  ) -> tuple[jax.Array, PyTree]:
    """Run the part.

    Args:
      params: from `init`.
      state: from `init`.
      received: what the parties sent, `[B, ...]` each.
      x: the label party's features, `[B, ...]`, if it has some.
      present: whether each party is there, `[P]`; None if all are.
      train: whether the layers are in training mode.
      key: random key of the step, for dropout.

    Returns:
      The logits `[B, ...]` and the new state.
    """
    size, count = len(self.own), len(params)
    means = state[count] if self.keeps_means else None
    values = missing.fill_in(received, present, means)
    mode: dict[str, Any] = {'train': train, 'key': key}
    own_state: PyTree = ()
    if x is not None:
      value, own_state = layering.apply_all(
        self.own, self.first_own, params[:size], state[:size], x, **mode
      )
      values.append(value)
    fused = self.fuse_fn(values)
    of_top = params[size:], state[size:count]
    logits, top_state = layering.apply_all(
      self.top, self.first_top, *of_top, fused, **mode
    )
    if means is not None and train:
      means = missing.update_means(means, received, present)
    kept = () if means is None else (means,)
    return logits, own_state + top_state + kept
