"""What the parts of a model send each other, and how gradients go back."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

PyTree = Any


class Sent(NamedTuple):
  """What crosses the cuts in a step, and how gradients go back.

  Attributes:
    smashed: what crosses each cut, `[B, ...]` each.
    received: what the last part takes of it: the last of these, or of several
      parties all, as a tuple.
    state: new state of each part but the last.
    last_fn: `(params, state, received) -> (logits, new state)`, the last part.
    back_fn: from the gradient of `received` to the parameter gradients of each
      part but the last, and the gradients that cross each cut.
  """

  smashed: tuple[jax.Array, ...]
  received: PyTree
  state: tuple[PyTree, ...]
  last_fn: Callable[[PyTree, PyTree, PyTree], tuple[jax.Array, PyTree]]
  back_fn: Callable[[PyTree], tuple[tuple[PyTree, ...], tuple[jax.Array, ...]]]


def side_by_side(values: Sequence[jax.Array]) -> jax.Array:
  """Return what crosses several cuts, or is of several parties, as one array.

  Args:
    values: arrays `[B, ...]`.

  Returns:
    One vector for each sample, `[B, D]`.
  """
  return jnp.concatenate([x.reshape(len(x), -1) for x in values], axis=1)


def pass_back(
  vjp_fns: Sequence[Callable[..., Any]], cut_grads: jax.Array
) -> tuple[tuple[PyTree, ...], tuple[jax.Array, ...]]:
  """Pass gradients back: each part continues with what it received.

  Args:
    vjp_fns: functions from the gradient of a part's output to those of its
      parameters and input.
    cut_grads: cut gradients that the last part sends, `[B, ...]`.

  Returns:
    The parameter gradients of each part, and the gradients that cross each cut.
  """
  grads, crossed = [], []
  for vjp_fn in reversed(vjp_fns):
    crossed.append(cut_grads)
    part_grads, *to_previous = vjp_fn(cut_grads)
    grads.append(part_grads)
    if to_previous:
      (cut_grads,) = to_previous
  return tuple(reversed(grads)), tuple(reversed(crossed))


def give_back(
  vjp_fns: Sequence[Callable[..., Any]], cut_grads: tuple[jax.Array, ...]
) -> tuple[tuple[PyTree, ...], tuple[jax.Array, ...]]:
  """Give each party its gradients.

  Args:
    vjp_fns: functions from the gradient of what each party sent to that of its
      parameters.
    cut_grads: cut gradients that the label party sends, `[B, ...]` each.

  Returns:
    The parameter gradients of each party, and the gradients that it received.
  """
  grads = [
    vjp_fn(one)[0] for vjp_fn, one in zip(vjp_fns, cut_grads, strict=True)
  ]
  return tuple(grads), tuple(cut_grads)
