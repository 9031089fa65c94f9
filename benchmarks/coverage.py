r"""Counts how often intervals of attacks' figures cover what they stand for.

  python -m benchmarks.coverage

simulates attacks whose true accuracy is known, and prints for each scenario,
and each number of networks S and of draws R, how many of 95% intervals cover:
those of one attack, of the difference of two, and all those of five attacks
against a baseline at once. Nine minutes on one core with the default of 1,000
cases, of which a coverage has a standard error of 0.7; --only='near 99' runs a
part. With --json it prints one JSON object instead.
"""

from collections.abc import Iterator, Sequence
import itertools

from absl import app
from absl import flags
import scipy

from benchmarks import simulation
from benchmarks import timing

_CASES = flags.DEFINE_integer('cases', 1000, 'Simulated cases of each.')
_ONLY = flags.DEFINE_string('only', '', 'Part of the names of the scenarios.')

NETWORKS = (1, 2, 5, 10)
DRAWS = (1, 10, 20)


def run(cases: int, only: str) -> Iterator[dict[str, str | float]]:
  """Yield a line of the table for each scenario and kind of interval."""
  for name, covers_fn in itertools.product(
    simulation.SCENARIOS,
    (simulation.single, simulation.paired, simulation.strongest),
  ):
    if only not in name:
      continue
    row: dict[str, str | float] = {
      'scenario': name, 'interval': covers_fn.__name__
    }  # fmt: skip
    for sizes in itertools.product(NETWORKS, DRAWS):
      found = simulation.coverage(
        covers_fn, simulation.SCENARIOS[name], sizes, cases
      )
      row[f'{sizes[0]}x{sizes[1]}'] = round(100 * found, 1)
    yield row


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError('Too many command-line arguments.')
  timing.show(run(_CASES.value, _ONLY.value), scipy=scipy.__version__)


if __name__ == '__main__':
  app.run(main)
