r"""Times a sweep over strengths and seeds as one program against single runs.

  python -m benchmarks.sweep

trains a small network on handwritten digits under a defense, at 5 strengths
from 4 seeds: as one vmapped program, and one after the other with a program
that is compiled once. Prints both times and their ratio (above 1: the sweep is
faster), and the same with what compilation takes, where the single runs are
charged for one compilation, not for twenty.
"""

from collections.abc import Callable, Sequence
import functools
import json
import time
from typing import Any

from absl import app
from absl import flags
import jax
import jax.numpy as jnp
import optax
import tabulate

from splitjax import data
from splitjax import defenses
from splitjax import models
from splitjax import training
from splitjax.training.protection import Protection
from splitjax.training.split import SplitModel

_JSON = flags.DEFINE_boolean('json', False, 'Whether to print JSON.')
_EPOCHS = flags.DEFINE_integer('epochs', 20, 'Of each run.', lower_bound=1)
_REPEATS = flags.DEFINE_integer(
  'repeats', 5, 'Timed runs of each; the median counts.', lower_bound=1
)
_SEEDS = 4
_DEFENSES = {
  'compression': (
    'cut_grads',
    defenses.compression.per_batch,
    'ratio',
    (0.1, 0.3, 0.5, 0.7, 0.9),
  ),
  'isotropic': (
    'cut_grads',
    defenses.isotropic.noise,
    'ratio',
    (0.1, 0.5, 1.0, 2.0, 5.0),
  ),
  'dp_sgd': (
    'server_grads',
    functools.partial(defenses.dp_sgd.server_update, clip_norm=1.0),
    'noise_multiplier',
    (0.1, 0.5, 1.0, 2.0, 5.0),
  ),
}


def _timed(fn: Callable[..., Any], *args: Any) -> float:
  """Return the seconds that a call takes."""
  start = time.perf_counter()
  jax.block_until_ready(fn(*args))
  return time.perf_counter() - start


def _make_run(name: str) -> Callable[[jax.Array, jax.Array], Any]:
  """Return the training of one seed and strength under a defense."""
  place, fn, argument, _ = _DEFENSES[name]
  digits = data.load_digits(seed=0)
  inputs = jnp.asarray(digits.train_inputs)
  labels = jnp.asarray(digits.train_labels)

  def run(key: jax.Array, strength: jax.Array) -> Any:
    defense = functools.partial(fn, **{argument: strength})
    state, log, _ = training.train(
      key,
      inputs,
      labels,
      num_epochs=_EPOCHS.value,
      batch_size=64,
      model=SplitModel(models.mlp(10), (7,)),
      optimizers=[optax.sgd(0.05)] * 2,
      record_fn=lambda exchanges: exchanges[0].cut_grads,
      protection=Protection(**{place: defense}),
    )
    return state, log

  return run


def compare(name: str) -> dict[str, Any]:
  """Time both ways for one defense."""
  run = _make_run(name)
  keys = jax.random.split(jax.random.key(0), _SEEDS)
  strengths = jnp.asarray(_DEFENSES[name][-1])
  one = jax.jit(run)
  # Axes of their own, though a defense at every strength draws the same.
  sweep = jax.jit(jax.vmap(jax.vmap(run, (0, None)), (None, 0)))

  def one_by_one() -> list[Any]:
    return [one(key, strength) for strength in strengths for key in keys]

  first_sweep = _timed(sweep, keys, strengths)
  first_single = _timed(one, keys[0], strengths[0])
  times = {'sweep': [], 'single': []}
  for _ in range(_REPEATS.value):
    times['sweep'].append(_timed(sweep, keys, strengths))
    times['single'].append(_timed(one_by_one))
  seconds = {
    key: sorted(values)[len(values) // 2] for key, values in times.items()
  }
  num_runs = _SEEDS * len(strengths)
  compiling = {
    'sweep': first_sweep - seconds['sweep'],
    'single': first_single - seconds['single'] / num_runs,
  }
  total = {key: seconds[key] + compiling[key] for key in seconds}
  return {
    'defense': name,
    'sweep_s': seconds['sweep'],
    'single_runs_s': seconds['single'],
    'ratio': seconds['single'] / seconds['sweep'],
    'compile_sweep_s': compiling['sweep'],
    'compile_single_s': compiling['single'],
    'ratio_with_compilation': total['single'] / total['sweep'],
  }


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError('Too many command-line arguments.')
  rows = [compare(name) for name in _DEFENSES]
  if _JSON.value:
    print(json.dumps(rows))
  else:
    print(tabulate.tabulate(rows, headers='keys', floatfmt='.3g'))


if __name__ == '__main__':
  app.run(main)
