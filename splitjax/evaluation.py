"""Runs an attack on all trials of a view at once, and times it.

In shape descriptions `S` is the number of seeds, `R` the auxiliary draws of a
seed, `N` the samples.
"""

from collections.abc import Callable, Sequence
import functools
import time
from typing import NamedTuple

import jax
import numpy as np

from splitjax import viewing


class Answer(NamedTuple):
  """What an attack answers.

  Attributes:
    labels: `[N]`; or real targets.
    scores: of two classes, how much more likely the second is, `[N]`; None of
      more, or from an attack without scores.
  """

  labels: jax.Array
  scores: jax.Array | None = None


AttackFn = Callable[[jax.Array, viewing.View], Answer]


class Predictions(NamedTuple):
  """What an attack answered in all trials.

  Attributes:
    labels: `[S, R, N]`.
    scores: `[S, R, N]`, or None.
    seconds: run time of one trial, compilation apart: that of all trials,
      which run as one program, divided by their number.
  """

  labels: np.ndarray
  scores: np.ndarray | None
  seconds: float


def stack_views(views: Sequence[viewing.View]) -> viewing.View:
  """Stacks the views of several seeds along a new first axis.

  Args:
    views: one for each seed, equally shaped.

  Returns:
    A view whose arrays have a leading `S`.
  """
  return jax.tree.map(lambda *leaves: np.stack(leaves), *views)


def predict(
  attack_fn: AttackFn, key: jax.Array, view: viewing.View
) -> Predictions:
  """Runs an attack once for every seed and auxiliary draw of a view.

  Args:
    attack_fn: `(key, view) -> Answer` of one trial, a pure function. It is
      compiled once for each shape of view. The draws of a seed share its key.
    key: the random key.
    view: with a leading axis of seeds, from `stack_views`.

  Returns:
    The predictions.
  """
  keys = jax.random.split(key, len(view.vectors))
  view = jax.device_put(view)
  leaves, structure = jax.tree.flatten((keys, view))
  shapes = tuple(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in leaves)
  program = _compile(attack_fn, structure, shapes)
  jax.block_until_ready((keys, view))
  start = time.perf_counter()
  answer = jax.block_until_ready(program(keys, view))
  seconds = time.perf_counter() - start
  num_trials = answer.labels.shape[0] * answer.labels.shape[1]
  answer = jax.device_get(answer)
  return Predictions(answer.labels, answer.scores, seconds / num_trials)


@functools.lru_cache(maxsize=64)
def _compile(attack_fn, structure, shapes):
  """All trials as one program, for arrays of these shapes."""

  def one_seed(key, view):
    draw_axes = view.replace(
      vectors=None,
      sample_ids=None,
      aux_vectors=0,
      aux_labels=0,
      aux_ids=0,
      own=viewing.Own(aux_rows=0) if view.own is not None else None,
    )
    return jax.vmap(attack_fn, in_axes=(None, draw_axes))(key, view)

  args = jax.tree.unflatten(structure, shapes)
  return jax.jit(jax.vmap(one_seed)).lower(*args).compile()
