"""Runs an attack on all trials of a view at once, and times it.

In shape descriptions `S` is the number of seeds, `R` the auxiliary draws of a
seed, `N` the samples.
"""

from collections.abc import Callable, Sequence
import functools
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from splitjax import checks
from splitjax import parallel
from splitjax.attacks.on_views import AttackFn as AttackFn
from splitjax.attacks.result import AttackResult
from splitjax.records.viewing import View

PyTree = Any

# What the copies of the vectors that the draws of a seed make may take, bytes.
_MEMORY = 2 << 30
# The same for arrays of a number for each sample and class, and how many such
# arrays a draw may have.
_MEMORY_OF_ANSWERS = 1 << 28
_ANSWERS = 10


class Predictions(NamedTuple):
  """What an attack answered in all trials.

  Attributes:
    labels: classes or real targets, `[S, R, N]`.
    scores: how much more likely class 1 is, `[S, R, N]`; None if the attack
      gives none.
    seconds: run time of one trial without compilation: that of all trials,
      which run as one program, divided by their number.
    compile_seconds: what it took to compile that program; next to nothing if
      it was compiled before.
    chosen: which candidate the attack chose, an index, `[S, R]`; None if it has
      none.
    confidence: how sure the attack is of each sample, `[S, R, N]`: how much the
      largest logit is above the second, or how far the score is from 0; None
      if it gives neither.
    margins: how much more likely it says the first candidate of each canary is
      than the second, `[S, R, M]`; None without canaries, or if it does not
      say.
  """

  labels: np.ndarray
  scores: np.ndarray | None
  seconds: float
  compile_seconds: float
  chosen: np.ndarray | None = None
  confidence: np.ndarray | None = None
  margins: np.ndarray | None = None


class Asked(NamedTuple):
  """Candidates that an attack is asked to tell apart, see `metrics.canaries`.

  Attributes:
    rows: rows of the canaries in the view, `[S, M]`.
    candidates: two classes of each, `[S, M, 2]`.
  """

  rows: np.ndarray
  candidates: np.ndarray


def stack_views(views: Sequence[View]) -> View:
  """Stack the views of several seeds along a new first axis.

  Args:
    views: one for each seed, equally shaped.

  Returns:
    A view whose arrays have a leading `S`.
  """
  if len(views) == 1:  # Without a copy.
    return jax.tree.map(lambda leaf: np.asarray(leaf)[None], views[0])
  return jax.tree.map(lambda *leaves: np.stack(leaves), *views)


def predict(
  attack_fn: Callable[..., AttackResult],
  key: jax.Array,
  view: View,
  *,
  share_fn: Callable[..., PyTree] | None = None,
  asked: Asked | None = None,
) -> Predictions:
  """Run an attack once for every seed and auxiliary draw of a view.

  All devices share the seeds; as many draws go side by side as memory allows.

  Args:
    attack_fn: `(key, view) -> AttackResult` of one trial, a pure function. It
      is compiled once for each shape of view. The draws of a seed share its
      key.
    key: random key for the attack's draws.
    view: with a leading axis of seeds, from `stack_views`.
    share_fn: `(key, view) -> shared`, what is done once for all draws of a
      seed; `attack_fn` gets it as a third argument.
    asked: canaries of which margins are wanted. The attack does not see them.

  Returns:
    The predictions.

  Raises:
    MemoryError: before the attack runs, if the CPU has not the memory.
  """
  num_seeds, num_draws = view.aux_ids.shape[:2]
  mesh = parallel.make_mesh()
  runs = (jax.random.split(key, num_seeds), view, asked)
  runs = jax.device_put(parallel.pad(runs, mesh))
  leaves, structure = jax.tree.flatten(runs)
  shapes = tuple(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in leaves)
  start = time.perf_counter()
  program = _compile(attack_fn, share_fn, structure, shapes, mesh)
  compile_seconds = time.perf_counter() - start
  _check_memory(program)
  jax.block_until_ready(runs)
  start = time.perf_counter()
  found = jax.block_until_ready(program(runs))
  seconds = time.perf_counter() - start
  found = jax.tree.map(lambda x: x[:num_seeds], jax.device_get(found))
  labels, scores, chosen, confidence, margins = found
  return Predictions(
    labels,
    scores,
    seconds=seconds / (num_seeds * num_draws),
    compile_seconds=compile_seconds,
    chosen=chosen,
    confidence=confidence,
    margins=margins,
  )


def _check_memory(program: Any) -> None:
  """Raise MemoryError for a program that the CPU would be killed for."""
  found = program.memory_analysis()
  if found is None or jax.default_backend() != 'cpu':
    return  # A device refuses by itself.
  needed = found.temp_size_in_bytes + found.output_size_in_bytes
  has = checks.total_memory()
  if needed > has:
    sizes = f'{needed / 2**30:,.0f} GB of {has / 2**30:,.0f} GB'
    raise MemoryError(f'it would take {sizes} of memory')


def _at_once(view: View) -> int:
  """Return how many draws of a seed go side by side."""
  own = view.own
  passes = None if own is None or own.passes is None else own.passes.vectors
  size = max(view.vectors.size, 0 if passes is None else passes.size)
  # Each draw has logits and the like of its own.
  rows = max(len(view.vectors), 1)
  answers = _ANSWERS * rows * max(view.num_classes, 1)
  return max(min(_MEMORY // (4 * size), _MEMORY_OF_ANSWERS // (4 * answers)), 1)


def _confidence(result: AttackResult) -> jax.Array | None:
  """Return how sure an attack is of each sample, None if it does not say."""
  if result.logits is not None:
    first, second = jnp.moveaxis(jax.lax.top_k(result.logits, 2)[0], -1, 0)
    return first - second
  return None if result.scores is None else jnp.abs(result.scores)


def _margins(result: AttackResult, asked: Asked | None) -> jax.Array | None:
  """Return how much likelier the first candidates are, `[M]`, if it says so."""
  if asked is None:
    return None
  if result.logits is not None:
    found = result.logits[asked.rows[:, None], asked.candidates]
    return found[:, 0] - found[:, 1]
  if result.scores is None:
    return None
  # Of two classes, the scores are larger for the second.
  first, second = jnp.moveaxis(asked.candidates, -1, 0)
  return result.scores[asked.rows] * (first - second)


@functools.lru_cache(maxsize=64)
def _compile(
  attack_fn: Callable[..., AttackResult],
  share_fn: Callable[..., PyTree] | None,
  structure: Any,
  shapes: tuple[jax.ShapeDtypeStruct, ...],
  mesh: jax.sharding.Mesh | None,
) -> Any:
  """Compile all trials as one program, for arrays of these shapes."""

  def one_seed(run: PyTree) -> PyTree:
    key, view, asked = run
    own = view.own
    draws = {
      name: getattr(view, name)
      for name in ('aux_vectors', 'aux_labels', 'aux_ids')
    }

    shared = () if share_fn is None else (share_fn(key, view),)

    def one_draw(draw: PyTree) -> PyTree:
      aux_rows, drawn = draw
      known = own if own is None else own.replace(aux_rows=aux_rows)
      result: AttackResult = attack_fn(
        key, view.replace(**drawn, own=known), *shared
      )
      return (
        result.labels,
        result.scores,
        result.chosen,
        _confidence(result),
        _margins(result, asked),
      )

    return parallel.map_runs(
      one_draw,
      (None if own is None else own.aux_rows, draws),
      at_once=_at_once(view),
    )

  def all_seeds(runs: PyTree) -> PyTree:
    return parallel.on_every_device(
      parallel.map_runs(one_seed, runs, mesh=mesh), mesh
    )

  runs = jax.tree.unflatten(structure, shapes)
  return jax.jit(all_seeds).lower(runs).compile()
