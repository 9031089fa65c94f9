"""A network whose bottom is held by several parties, each with own features."""

from collections.abc import Callable, Sequence
import dataclasses
import functools
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from splitjax.data.feature_split import FeatureSplit
from splitjax.models import layering
from splitjax.training.fusion import FUSIONS
from splitjax.training.fusion import FuseFn
from splitjax.training.split_model import Sent

PyTree = Any
Layers = tuple[layering.Layer, ...]
# Smallest weight of a batch in the running mean of what a party sends.
_LEAST_WEIGHT = 0.1
_PRESENCE = 2**31 - 1  # Folded into a key from which layers are numbered.


class DropOut(NamedTuple):
  """Parties that are missing, and what the label party takes instead.

  Attributes:
    rate: chance of each party to be missing in a step of training.
    absent: indices of the parties that are missing in inference.
    fill: 'zeros', or 'mean' for the running mean of what the party sent.
  """

  rate: float = 0.0
  absent: tuple[int, ...] = ()
  fill: str = 'zeros'


@dataclasses.dataclass(frozen=True, eq=False)
class PartyModel:
  """Bottoms of `P` parties, and the label party's part above them.

  Parts 0 to `P - 1` are the parties'; the last one is the label party's: its
  own bottom, if it has features, then the fusion and the top. With one party,
  and none of the label party's features, it is a `SplitModel` with one cut, bit
  for bit.

  Attributes:
    features: which features each party holds.
    bottoms: layers of each party.
    top: layers of the label party after the fusion.
    own: layers of the label party's bottom; used if it has features.
    fusion: name of a function of `FUSIONS`, or such a function.
    drop_out: parties that are missing.

  Raises:
    ValueError: if there are not as many bottoms as parties, one has no layer,
      the fusion has another name, or the label party has features and no bottom.

  Example:
    >>> import numpy as np
    >>> from splitjax import models
    >>> halves = FeatureSplit((np.arange(3), np.arange(3, 5)), ((3,), (2,)))
    >>> layers = models.mlp(3, hidden_sizes=(8,))
    >>> model = PartyModel(halves, (layers[:3], layers[:3]), layers[3:])
    >>> inputs = jnp.zeros((4, 5))
    >>> params, state = model.init(jax.random.key(0), inputs)
    >>> smashed, logits = model.infer(params, state, inputs)
    >>> [x.shape for x in smashed], logits.shape
    ([(4, 8), (4, 8)], (4, 3))
  """

  features: FeatureSplit
  bottoms: tuple[Layers, ...]
  top: Layers
  own: Layers = ()
  fusion: str | FuseFn = 'concat'
  drop_out: DropOut = DropOut()  # noqa: RUF009 (immutable)

  def __post_init__(self) -> None:
    num_parties = self.features.num_parties
    if len(self.bottoms) != num_parties or not all(self.bottoms):
      raise ValueError(
        f'bottoms must be layers for each of the {num_parties} parties, got '
        f'{len(self.bottoms)} of them.'
      )
    if isinstance(self.fusion, str) and self.fusion not in FUSIONS:
      names = ', '.join(FUSIONS)
      raise ValueError(f'fusion must be one of {names}, got {self.fusion!r}.')
    if self.has_features and not self.own:
      raise ValueError('own must have layers where the label party has features.')
    if not all(0 <= x < num_parties for x in self.drop_out.absent):
      raise ValueError(
        f'absent must be parties from 0 to {num_parties - 1}, got '
        f'{self.drop_out.absent}.'
      )

  @property
  def has_features(self) -> bool:
    """Whether the label party has features of its own."""
    return self.features.active_columns is not None

  @property
  def num_parts(self) -> int:
    """The number of parts: one a party, and the label party's."""
    return len(self.bottoms) + 1

  @property
  def cuts(self) -> tuple[int, ...]:
    """How many layers each party holds."""
    return tuple(map(len, self.bottoms))

  @property
  def crossings(self) -> tuple[dict[str, int], ...]:
    """What the metadata of a record say of what each party exchanges."""
    return tuple(
      {'cut': cut, 'party': party} for party, cut in enumerate(self.cuts)
    )

  @property
  def _own(self) -> Layers:
    """Layers of the label party's bottom, none if it has no features."""
    return self.own if self.has_features else ()

  @property
  def _firsts(self) -> tuple[list[int], int, int]:
    """Indices of the first layer of each bottom, of own, and of the top.

    Those of the first party and of the top are as in a model of one party.
    """
    sizes = [len(x) for x in (self.bottoms[0], self.top, *self.bottoms[1:])]
    edges = list(itertools.accumulate(sizes, initial=0))
    return [0, *edges[2:-1]], edges[-1], edges[1]

  def describe(self) -> str:
    """Return the layers in words; bars mark the cut, '&' the parties."""
    words = lambda layers: ', '.join(map(layering.name, layers))
    texts = [words(layers) for layers in self.bottoms]
    bottoms = ' & '.join(texts)
    if len(texts) > 1 and len(set(texts)) == 1:
      bottoms = f'{len(texts)} x ({texts[0]})'
    fusion = self.fusion
    name = fusion if isinstance(fusion, str) else fusion.__name__
    fused = f'{name}: ' if self.num_parts > 2 or self._own else ''
    own = f'own {words(self._own)}; ' if self._own else ''
    return f'{bottoms} | {own}{fused}{words(self.top)}'

  def _fuse(self, values: Sequence[jax.Array]) -> jax.Array:
    """Join what the parties send, `[B, ...]` each."""
    fusion = self.fusion
    return (FUSIONS[fusion] if isinstance(fusion, str) else fusion)(values)

  def trace(
    self, key: jax.Array, inputs: jax.Array
  ) -> tuple[list[jax.Array], list[jax.Array]]:
    """Return the output of every layer, and of these what each party sends.

    Args:
      key: random key for the parameters.
      inputs: example inputs `[B, ...]` of all features.

    Returns:
      Arrays `[B, ...]`, one a layer, and one a party.
    """
    return self._draw(key, inputs)[:2]

  def init(self, key: jax.Array, inputs: jax.Array) -> tuple[PyTree, PyTree]:
    """Draw the parameters and state of every part.

    Args:
      key: random key for the parameters.
      inputs: example inputs `[B, ...]` of all features; only their shape and
        type matter.

    Returns:
      The parameters and the state, each a tuple over parts of tuples over
      layers; the label party's state ends with the running means, if these are
      used.
    """
    return self._draw(key, inputs[:1])[2:]

  def _draw(self, key: jax.Array, inputs: jax.Array) -> tuple[Any, ...]:
    """Return all outputs, what is sent, parameters and state."""
    firsts, first_own, first_top = self._firsts
    drawn = [
      layering.init_all(layers, first, key, x)
      for layers, first, x in zip(
        self.bottoms, firsts, self.features.apply(inputs), strict=True
      )
    ]
    sent = [outputs[-1] for outputs, *_ in drawn]
    values, own = list(sent), ([], (), ())
    if self._own:
      x = self.features.apply_active(inputs)
      own = layering.init_all(self._own, first_own, key, x)
      values.append(own[0][-1])
    top = layering.init_all(self.top, first_top, key, self._fuse(values))
    outputs = [x for one in (*drawn, own, top) for x in one[0]]
    params = (*(one[1] for one in drawn), own[1] + top[1])
    means: tuple[Any, ...] = ()
    if self.drop_out.fill == 'mean':
      means = ((tuple(jnp.zeros(x.shape[1:]) for x in sent), self._no_counts),)
    state = (*(one[2] for one in drawn), own[2] + top[2] + means)
    return outputs, sent, params, state

  @property
  def _no_counts(self) -> jax.Array:
    """How often each party was there before the first step, `[P]`."""
    return jnp.zeros(len(self.bottoms))

  def send(
    self,
    params: PyTree,
    state: PyTree,
    inputs: jax.Array,
    *,
    key: jax.Array,
    protect_fn: Callable[[PyTree], PyTree] | None = None,
  ) -> Sent:
    """Run the parties' bottoms in training mode.

    Args:
      params: parameters of all parts.
      state: state of all parts.
      inputs: inputs of the batch, of all features, `[B, ...]`.
      key: random key of the step, for dropout and for parties that are missing.
      protect_fn: from the tuple of what the parties send to what arrives.

    Returns:
      What the parties send, and how gradients go back.
    """
    smashed, vjp_fns, new_state = [], [], []
    for party, x in enumerate(self.features.apply(inputs)):
      run = functools.partial(self._run_bottom, party, state[party], x, key)
      output, vjp_fn, part_state = jax.vjp(run, params[party], has_aux=True)
      smashed.append(output)
      vjp_fns.append(vjp_fn)
      new_state.append(part_state)
    received = tuple(smashed)
    if protect_fn is not None:
      received = protect_fn(received)
    present = None
    if self.drop_out.rate > 0:
      drawn = jax.random.fold_in(key, _PRESENCE)
      chance = 1 - self.drop_out.rate
      present = jax.random.bernoulli(drawn, chance, (len(smashed),))
    return Sent(
      received,
      received,
      state=tuple(new_state),
      last_fn=functools.partial(
        self._run_last,
        x=self.features.apply_active(inputs),
        present=present,
        train=True,
        key=key,
      ),
      back_fn=functools.partial(_give_back, vjp_fns),
    )

  def infer(
    self,
    params: PyTree,
    state: PyTree,
    inputs: jax.Array,
    *,
    protect_fn: Callable[[PyTree], PyTree] | None = None,
  ) -> tuple[tuple[jax.Array, ...], jax.Array]:
    """Run all parts in evaluation mode.

    Args:
      params: parameters of all parts.
      state: state of all parts.
      inputs: inputs of the batch, of all features, `[B, ...]`.
      protect_fn: from the tuple of what the parties send to what arrives.

    Returns:
      What each party sends, and the outputs, `[B, ...]` each. A party that is
      missing knows what it would have sent.
    """
    smashed = tuple(
      self._run_bottom(party, state[party], x, None, params[party])[0]
      for party, x in enumerate(self.features.apply(inputs))
    )
    if protect_fn is not None:
      smashed = protect_fn(smashed)
    absent, present = self.drop_out.absent, None
    if absent:
      present = jnp.array([x not in absent for x in range(len(smashed))])
    x = self.features.apply_active(inputs)
    logits, _ = self._run_last(
      params[-1], state[-1], smashed, x=x, present=present, train=False
    )
    return smashed, logits

  def run_bottom(
    self, party: int, params: PyTree, state: PyTree, x: jax.Array
  ) -> jax.Array:
    """Run a party's bottom in evaluation mode, as the party can.

    Args:
      party: its index.
      params: parameters of its part.
      state: state of its part.
      x: the party's features, `[B, ...]`.

    Returns:
      What it sends, `[B, ...]`.
    """
    return self._run_bottom(party, state, x, None, params)[0]

  def _run_bottom(
    self,
    party: int,
    state: PyTree,
    x: jax.Array,
    key: jax.Array | None,
    params: PyTree,
  ) -> tuple[jax.Array, PyTree]:
    """Run a party's bottom, in training mode if there is a key."""
    return layering.apply_all(
      self.bottoms[party],
      self._firsts[0][party],
      params,
      state,
      x,
      train=key is not None,
      key=key,
    )

  def _run_last(
    self,
    params: PyTree,
    state: PyTree,
    received: tuple[jax.Array, ...],
    *,
    x: jax.Array | None,
    present: jax.Array | None,
    train: bool,
    key: jax.Array | None = None,
  ) -> tuple[jax.Array, PyTree]:
    """Run the label party's part.

    Args:
      params: parameters of its layers, those of its own bottom first.
      state: state of its layers, and the running means if these are used.
      received: what the parties sent, `[B, ...]` each.
      x: the label party's features, `[B, ...]`, if it has some.
      present: whether each party is there, `[P]`; None if all are.
      train: whether the layers are in training mode.
      key: random key of the step, for dropout.

    Returns:
      The logits `[B, ...]` and the new state.
    """
    _, first_own, first_top = self._firsts
    size, count = len(self._own), len(params)
    means = state[count:]
    values = list(received)
    if present is not None:
      fills = means[0][0] if means else [0.0] * len(values)
      values = [
        jnp.where(there, value, fill)
        for there, value, fill in zip(present, received, fills, strict=True)
      ]
    run = functools.partial(layering.apply_all, train=train, key=key)
    own_state: PyTree = ()
    if self._own:
      own, own_state = run(
        self._own, first_own, params[:size], state[:size], x
      )
      values.append(own)
    logits, top_state = run(
      self.top, first_top, params[size:], state[size:count], self._fuse(values)
    )
    if means and train:
      means = (_update_means(*means[0], received, present),)
    return logits, own_state + top_state + means


def _give_back(
  vjp_fns: Sequence[Callable[..., Any]], cut_grads: tuple[jax.Array, ...]
) -> tuple[tuple[PyTree, ...], tuple[jax.Array, ...]]:
  """Return each party's parameter gradients, and what each received."""
  grads = [
    vjp_fn(one)[0] for vjp_fn, one in zip(vjp_fns, cut_grads, strict=True)
  ]
  return tuple(grads), tuple(cut_grads)


def _update_means(
  means: tuple[jax.Array, ...],
  counts: jax.Array,
  received: tuple[jax.Array, ...],
  present: jax.Array | None,
) -> tuple[tuple[jax.Array, ...], jax.Array]:
  """Return the running means with those batches whose party was there.

  Args:
    means: of what each party sent, `[...]` each.
    counts: in how many steps each party was there, `[P]`.
    received: what the parties send in this step, `[B, ...]` each.
    present: whether each party is there, `[P]`; None if all are.

  Returns:
    Means and counts after the step.
  """
  if present is None:
    present = jnp.ones(len(means), bool)
  counts = counts + present
  weights = present * jnp.maximum(_LEAST_WEIGHT, 1 / jnp.maximum(counts, 1))
  means = tuple(
    mean + weight * (jax.lax.stop_gradient(x).mean(axis=0) - mean)
    for mean, weight, x in zip(means, weights, received, strict=True)
  )
  return means, counts
