"""What the benchmarks share: timing in turns, and how the times are printed."""

from collections.abc import Callable, Iterable
import json
import time
from typing import NamedTuple

from absl import flags
import jax
import numpy as np
import tabulate

JSON = flags.DEFINE_boolean('json', False, 'Whether to print JSON.')
REPEATS = flags.DEFINE_integer(
  'repeats', 5, 'Timed runs of each; the median counts.', lower_bound=1
)


class Timing(NamedTuple):
  """Medians in milliseconds, and how many times faster ours is."""

  case: str
  ours_ms: float
  peer: str
  peer_ms: float
  ratio: float


def medians_ms(
  fns: dict[str, Callable[[], object]], repeats: int
) -> dict[str, float]:
  """Return the median time of each, called in turns after one call unmeasured.

  Args:
    fns: what to time, by name; they may return arrays that are still computed.
    repeats: how many calls of each count.

  Returns:
    Milliseconds by name.
  """
  times = {name: [] for name in fns}
  for turn in range(repeats + 1):
    for name, fn in fns.items():
      start = time.perf_counter()
      jax.block_until_ready(fn())
      if turn > 0:
        times[name].append(1000 * (time.perf_counter() - start))
  return {name: float(np.median(taken)) for name, taken in times.items()}


def compare(
  case: str,
  ours_fn: Callable[[], object],
  peer_fns: dict[str, Callable[[], object]],
  repeats: int,
  calls: dict[str, float] | None = None,
) -> list[Timing]:
  """Time ours and its peers.

  Args:
    case: what is done, for the table.
    ours_fn: what of ours does it.
    peer_fns: what of others does it, by name.
    repeats: how many calls of each count.
    calls: by name ('ours' or a peer's), how many times a call does the case.

  Returns:
    One row for each peer.
  """
  medians = medians_ms({'ours': ours_fn, **peer_fns}, repeats)
  for name, number in (calls or {}).items():
    medians[name] /= number
  ours = medians.pop('ours')
  return [
    Timing(case, ours, peer, peer_ms, peer_ms / ours)
    for peer, peer_ms in medians.items()
  ]


def show(rows: Iterable[Timing | dict], **versions: str) -> None:
  """Print a table; with --json, one object that says the versions as well."""
  rows = [row if isinstance(row, dict) else row._asdict() for row in rows]
  if JSON.value:
    where = {
      'jax': jax.__version__,
      'device': jax.devices()[0].device_kind,
      **versions,
    }
    print(json.dumps({**where, 'timings': rows}))
  else:
    print(tabulate.tabulate(rows, headers='keys', floatfmt='.3g'))
