"""How often audits say what is true: nothing leaks, or some points do.

  python -m benchmarks.audits

Audits arrays that say nothing (noise; real inputs with shuffled labels; inputs
as smashed data beside themselves as the baseline) and arrays that give away
some five points, and prints how often each verdict came. At the
limit 0 at most 5% of the first may fail, and of the second at least 95% should.
"""

from absl import app
from absl import flags
import numpy as np
from sklearn import datasets
import tabulate

from splitjax import auditing

_AUDITS = flags.DEFINE_integer(
  'audits', 200, 'Audits of each kind.', lower_bound=1
)
_PLANTED = flags.DEFINE_integer(
  'planted', 40, 'Audits with a planted leak (10,000 samples).', lower_bound=1
)
_ATTACKS = flags.DEFINE_list(
  'attacks', ['strongest', 'distance', 'clustering'], 'Attacks to run.'
)
_NUM_PLANTED = 10_000
_CLASSES = 5
_DISTANCE = 0.75  # Of the classes' means from 0, where noise has variance 1.


def _noise(rng: np.random.Generator) -> dict:
  """Gradients that know nothing."""
  vectors = rng.normal(size=(300, 16))
  return dict(cut_grads=vectors, labels=np.arange(300) % _CLASSES)


def _shuffled(rng: np.random.Generator) -> dict:
  """Images of digits, and labels of other digits."""
  images, digits = datasets.load_digits(return_X_y=True)
  rows = rng.permutation(len(images))[:400]
  return dict(smashed=images[rows], labels=rng.permutation(digits[rows]))


def _inputs(rng: np.random.Generator) -> dict:
  """Images of digits that crossed the cut as they are."""
  images, digits = datasets.load_digits(return_X_y=True)
  rows = rng.permutation(len(images))[:400]
  return dict(smashed=images[rows], inputs=images[rows], labels=digits[rows])


def _planted(rng: np.random.Generator) -> dict:
  """Vectors of classes that overlap: about five points more than guessing."""
  labels = np.arange(_NUM_PLANTED) % _CLASSES
  means = rng.normal(size=(_CLASSES, 8))
  means *= _DISTANCE / np.linalg.norm(means, axis=1, keepdims=True)
  vectors = rng.normal(size=(_NUM_PLANTED, 8)) + means[labels]
  return dict(cut_grads=vectors, labels=labels)


def main(argv: list[str]) -> None:
  """Print the table."""
  del argv
  rows = []
  for name, make, number, draws in (
    ('noise', _noise, _AUDITS.value, 10),
    ('shuffled labels', _shuffled, _AUDITS.value, 10),
    ('inputs beside inputs', _inputs, _AUDITS.value, 10),
    ('planted', _planted, _PLANTED.value, 20),
  ):
    verdicts, leakages = [], []
    for seed in range(number):
      found = auditing.audit(
        **make(np.random.default_rng((seed, 7))),
        limit=0,
        attacks=_ATTACKS.value,
        num_aux_draws=draws,
        seed=seed,
      )
      verdicts.append(found.verdict)
      leakages.append(found.leakage['mean'])
    shares = [
      f'{100 * verdicts.count(x) / number:.1f}'
      for x in ('pass', 'inconclusive', 'fail')
    ]
    rows.append([name, number, *shares, f'{np.mean(leakages):.1f}'])
    print(name, 'done', flush=True)
  header = ['what', 'audits', 'pass, %', 'inconclusive, %', 'fail, %', 'points']
  print(tabulate.tabulate(rows, header, tablefmt='github'))


if __name__ == '__main__':
  app.run(main)
