r"""What the strongest attacker costs, against the clustering attack.

  python -m benchmarks.strongest

prints the seconds of a trial of each on the same gradients, all draws of known
samples in one program, as the binaries run them; and what both read. A late
pass comes with the smashed data that it answers.
"""

from collections.abc import Sequence
import json

from absl import app
from absl import flags
import jax
import numpy as np
import tabulate

from benchmarks import timing
from splitjax.attacks import catalog
from splitjax.engine import trials
from splitjax.records import viewing

_DRAWS = flags.DEFINE_integer('num_aux_draws', 10, 'Draws of known samples.')
_NUM_CLASSES = 10
_GAP = 2.0  # Length of a class mean, in standard deviations of the noise.
_CASES = (  # Samples, width, passes; 0 for a late one.
  (1_437, 64, 1),
  (1_437, 64, 0),
  (1_437, 64, 20),
  (2_048, 4_096, 1),
  (10_240, 4_096, 1),
  (10_240, 8_192, 1),
)


def make_view(num: int, width: int, num_passes: int) -> tuple:
  """Return a view of gradients of random classes, and their classes."""
  rng = np.random.default_rng(0)
  truth = rng.integers(0, _NUM_CLASSES, num)
  means = rng.normal(size=(_NUM_CLASSES, width)) * _GAP / width**0.5
  shape = (max(num_passes, 1), num, width)
  passes = rng.standard_normal(shape, np.float32) * width**-0.25
  passes += means[truth].astype(np.float32)[None]
  sent = None
  if not num_passes:  # What these look like to a client that has learnt.
    sent, top = passes[0], 4 * means.T
    wrong = jax.nn.softmax(sent @ top) - np.eye(_NUM_CLASSES)[truth]
    passes = np.asarray(wrong @ top.T, np.float32)[None]
  ids = np.arange(num)
  known = viewing.sample_auxiliary(
    0, ids, truth, num_classes=_NUM_CLASSES, num_draws=_DRAWS.value
  )
  own = viewing.Own(
    passes=viewing.Passes(passes, np.zeros(shape[:2], np.int32)),
    aux_rows=known.ids,
    sent=sent,
  )
  vectors = passes.mean(axis=0)
  view = viewing.View(
    vectors=vectors,
    aux_vectors=vectors[known.ids],
    aux_labels=known.labels,
    sample_ids=ids,
    aux_ids=known.ids,
    num_classes=_NUM_CLASSES,
    own=own,
  )
  return trials.stack_views([view]), truth


def measure(num: int, width: int, num_passes: int) -> dict:
  """Return seconds and accuracies of both attacks on one record."""
  view, truth = make_view(num, width, num_passes)
  row: dict = {'samples': num, 'width': width, 'passes': num_passes}
  for name in ('clustering', 'strongest'):
    seen = view if name == 'strongest' else view.replace(own=None)
    attack, key = catalog.ATTACKS[name], jax.random.key(0)
    found = [
      trials.predict(attack.fn, key, seen, share_fn=attack.share_fn)
      for _ in range(timing.REPEATS.value)
    ]
    row[f'{name}, s'] = float(np.median([x.seconds for x in found]))
    row[f'{name}, %'] = 100 * float(np.mean(found[0].labels == truth))
  row['times'] = row['strongest, s'] / row['clustering, s']
  return row


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError('Too many command-line arguments.')
  rows = [measure(*case) for case in _CASES]
  if timing.JSON.value:
    print(json.dumps(rows))
    return
  print(tabulate.tabulate(rows, headers='keys', floatfmt='.3g'))


if __name__ == '__main__':
  app.run(main)
