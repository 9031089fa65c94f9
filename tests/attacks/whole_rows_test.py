import functools

import hypothesis
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
import jax
import numpy as np
import pytest
from scipy import special

from splitjax import attacks
from splitjax.attacks import whole_rows


@hypothesis.given(hnp.arrays(np.bool_, st.integers(1, 8)))
def test_last_whole_row_before_stands_in(finite):
  first = np.arange(len(finite), dtype=np.float32)
  first[~finite] = np.inf
  second = np.stack([np.arange(len(finite)), np.arange(len(finite))], axis=1)
  filled, found = jax.jit(whole_rows.fill)(first, second)
  np.testing.assert_array_equal(found, finite)
  last = 0 if not finite.any() else int(np.argmax(finite))
  for index, whole in enumerate(finite):
    last = index if whole else last
    assert filled[1][index].tolist() == [last, last]
    if finite.any():
      assert filled[0][index] == last


def _blobs(num=240, num_classes=3, width=8):
  """Blobs, and the gradients of the top that tells them apart best."""
  rng = np.random.default_rng(0)
  truth = rng.choice(num_classes, num, p=[0.4, 0.3, 0.3])
  truth = np.concatenate([truth, np.arange(num_classes)])
  means = 3 * rng.normal(size=(num_classes, width))
  smashed = means[truth] + rng.normal(size=(len(truth), width))
  logits = smashed @ means.T - np.sum(means**2, axis=1) / 2
  rest = special.softmax(logits / 30, axis=1) - np.eye(num_classes)[truth]
  arrays = np.float32(smashed), np.float32(rest @ means / 32), truth
  seen, known = zip(*((x[:num], x[num:]) for x in arrays), strict=True)
  return seen[:2], known, seen[2]


_ATTACKS = {
  'unsplit': functools.partial(attacks.unsplit_labels, num_epochs=15),
  'exploit': functools.partial(
    lambda key, *args, **kwargs: attacks.exploit_labels(
      key, *args[:2], np.float32([0.4, 0.3, 0.3]), *args[2:], **kwargs
    ),
    num_epochs=30,
  ),
  'gramssat': functools.partial(
    attacks.gramssat_labels, num_epochs=20, nearest_by='cut_grads'
  ),
  'learning_based': functools.partial(
    attacks.learning_based_labels, num_epochs=40
  ),
}


@pytest.mark.slow  # Compiles for long.
@pytest.mark.parametrize('name', _ATTACKS)
def test_fits_are_spoiled_by_no_sample_that_is_not_finite(draw_problem, name):
  # GRAMSSAT is of no use where the top tells other groups than smashed data.
  problem = _blobs() if name == 'gramssat' else draw_problem(0)
  (smashed, cut_grads), known, truth = problem
  smashed[[0, 7]] = np.nan
  cut_grads[11, 2] = np.inf
  broken = np.isin(np.arange(len(truth)), [0, 7, 11])
  known = [np.concatenate([x, x[:1]]) for x in known]
  known[1][-1] = np.nan  # A known sample that says nothing.
  found = _ATTACKS[name](
    jax.random.key(0),
    smashed,
    cut_grads,
    *known,
    num_classes=3,
    batch_size=64,
  )
  assert (found.labels[broken] == -1).all()
  assert np.mean(found.labels[~broken] == truth[~broken]) > 0.95
  assert np.isfinite(found.losses).all()


@pytest.mark.slow
def test_targets_of_samples_that_are_not_finite_are_nan():
  rng = np.random.default_rng(0)
  targets = rng.normal(size=60).astype(np.float32)
  smashed = np.stack([targets, np.ones(60)], axis=1).astype(np.float32)
  cut_grads = (targets + 1)[:, None] * np.float32([[2, 1]])
  smashed[40], cut_grads[41] = np.nan, np.inf
  found = attacks.learning_based_targets(
    jax.random.key(0),
    smashed,
    cut_grads,
    smashed[:6],
    cut_grads[:6],
    targets[:6],
    label_learning_rate=0.1,
  ).labels
  assert np.flatnonzero(np.isnan(found)).tolist() == [40, 41]
  rest = np.isfinite(found)
  assert np.corrcoef(found[rest], targets[rest])[0, 1] > 0.95
