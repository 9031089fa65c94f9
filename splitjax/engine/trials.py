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

from splitjax import parallel
from splitjax.records import viewing

# What the copies of the vectors that the draws of a seed make may take, bytes.
_MEMORY = 2 << 30


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
    compile_seconds: what it took to compile that program; next to nothing if
      it was compiled before.
  """

  labels: np.ndarray
  scores: np.ndarray | None
  seconds: float
  compile_seconds: float


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

  All devices share the seeds; as many draws go side by side as memory allows.

  Args:
    attack_fn: `(key, view) -> Answer` of one trial, a pure function. It is
      compiled once for each shape of view. The draws of a seed share its key.
    key: the random key.
    view: with a leading axis of seeds, from `stack_views`.

  Returns:
    The predictions.
  """
  num_seeds, num_draws = view.aux_ids.shape[:2]
  mesh = parallel.make_mesh()
  runs = (jax.random.split(key, num_seeds), view)
  runs = jax.device_put(parallel.pad(runs, mesh))
  leaves, structure = jax.tree.flatten(runs)
  shapes = tuple(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in leaves)
  start = time.perf_counter()
  program = _compile(attack_fn, structure, shapes, mesh)
  compile_seconds = time.perf_counter() - start
  jax.block_until_ready(runs)
  start = time.perf_counter()
  answer = jax.block_until_ready(program(runs))
  seconds = time.perf_counter() - start
  answer = jax.tree.map(lambda x: x[:num_seeds], jax.device_get(answer))
  return Predictions(
    answer.labels,
    answer.scores,
    seconds=seconds / (num_seeds * num_draws),
    compile_seconds=compile_seconds,
  )


@functools.lru_cache(maxsize=64)
def _compile(attack_fn, structure, shapes, mesh):
  """All trials as one program, for arrays of these shapes."""

  def one_seed(run):
    key, view = run
    own = view.own
    draws = {
      name: getattr(view, name)
      for name in ('aux_vectors', 'aux_labels', 'aux_ids')
    }

    def one_draw(draw):
      aux_rows, drawn = draw
      known = own if own is None else own.replace(aux_rows=aux_rows)
      return attack_fn(key, view.replace(**drawn, own=known))

    return parallel.map_runs(
      one_draw,
      (None if own is None else own.aux_rows, draws),
      at_once=max(_MEMORY // (4 * view.vectors.size), 1),
    )

  def all_seeds(runs):
    return parallel.on_every_device(
      parallel.map_runs(one_seed, runs, mesh=mesh), mesh
    )

  runs = jax.tree.unflatten(structure, shapes)
  return jax.jit(all_seeds).lower(runs).compile()
