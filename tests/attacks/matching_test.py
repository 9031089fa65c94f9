import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax import attacks
from splitjax.attacks import groupings
from splitjax.attacks import matching
from splitjax.attacks import surrogate
from splitjax.attacks.adapting import Draws
from splitjax.attacks.evidence import confidence_of
from splitjax.attacks.groupings import CANDIDATES
from splitjax.training.countering import Counter

KEY = jax.random.key(0)
NUM_CLASSES = 8


def _late(seed=0, num=400, width=8, certain=8.0):
  """Smashed data of a trained client, and gradients of a linear top."""
  rng = np.random.default_rng(seed)
  labels = rng.integers(NUM_CLASSES, size=num)
  means = rng.normal(size=(NUM_CLASSES, width)) * 1.5
  smashed = (means[labels] + rng.normal(size=(num, width))).astype('f')
  kernel = (certain * means.T / width).astype('f')
  bias = -certain * np.sum(means**2, axis=1) / (2 * width)
  logits = (smashed @ kernel + bias).astype(np.float64)
  wrong = np.exp(logits - logits.max(1, keepdims=True))
  wrong = wrong / wrong.sum(1, keepdims=True) - np.eye(NUM_CLASSES)[labels]
  return smashed, (wrong @ kernel.T).astype('f'), labels


def _right(groups, labels):
  """Share of samples in the group that most of their class are in."""
  counts = np.zeros((NUM_CLASSES, NUM_CLASSES), int)
  np.add.at(counts, (np.asarray(groups), labels), 1)
  return counts.max(axis=0).sum() / len(labels)


@jax.jit
def _match(smashed, cut_grads, starts):
  return matching.match(
    KEY, smashed, cut_grads, starts, num_classes=NUM_CLASSES
  )


def _misfit_of_top(smashed, cut_grads, found):
  groups = found.grouping.groups
  return float(
    matching.misfit_of_top(
      KEY, jnp.asarray(smashed), jnp.asarray(cut_grads), groups, NUM_CLASSES
    )
  )


def _spoilt(labels, share, seed=0):
  rng = np.random.default_rng(100 + seed)
  other = rng.integers(NUM_CLASSES, size=len(labels))
  return np.where(rng.random(len(labels)) < share, other, labels)


@pytest.mark.parametrize('seed', range(3))
def test_groups_with_errors_are_mended(seed):
  smashed, cut_grads, labels = _late(seed)
  starts = np.stack([_spoilt(labels, 0.4, seed), _spoilt(labels, 0.9, seed)])
  found = _match(smashed, cut_grads, starts)
  assert _right(starts[0], labels) < 0.75
  assert _right(found.grouping.groups, labels) > 0.97
  by_means = matching.misfit_of_means(
    jnp.asarray(cut_grads), jnp.asarray(labels), NUM_CLASSES
  )
  by_top = _misfit_of_top(smashed, cut_grads, found)
  assert by_top < float(by_means) - 1


def test_noise_is_not_explained():
  rng = np.random.default_rng(0)
  smashed, _, labels = _late()
  noise = rng.normal(size=smashed.shape).astype('f')
  first = groupings.denoised(KEY, jnp.asarray(noise), NUM_CLASSES).groups
  found = _match(smashed, noise, np.stack([np.asarray(first), labels]))
  by_means = matching.misfit_of_means(jnp.asarray(noise), first, NUM_CLASSES)
  assert _misfit_of_top(smashed, noise, found) > float(by_means)


def test_misfit_of_means_leaves_the_sample_out():
  rng = np.random.default_rng(0)
  x = rng.normal(size=(12, 3))
  groups = np.arange(12) % 3
  units = x / np.linalg.norm(x, axis=1, keepdims=True)
  expected = []
  for i, one in enumerate(units):
    rest = units[(groups == groups[i]) & (np.arange(12) != i)].sum(0)
    apart = np.sum((rest / np.linalg.norm(rest) - one) ** 2)
    expected.append(np.log(apart + 0.01))
  found = matching.misfit_of_means(
    jnp.asarray(x, jnp.float32), jnp.asarray(groups), 3
  )
  np.testing.assert_allclose(found, np.mean(expected), rtol=1e-5)


def test_scale_and_type_do_not_matter():
  smashed, cut_grads, labels = _late()
  starts = _spoilt(labels, 0.3)[None]
  expected = _match(smashed, cut_grads, starts).grouping.groups
  far = _match(1e3 * smashed + 7, 1e-9 * cut_grads, starts).grouping.groups
  assert np.mean(far == expected) > 0.99
  half = [jnp.asarray(x, jnp.bfloat16) for x in (smashed, cut_grads)]
  assert np.mean(_match(*half, starts).grouping.groups == expected) > 0.95


def test_runs_side_by_side_are_those_alone():
  both = [_late(seed) for seed in (0, 1)]
  arrays = [np.stack(x) for x in zip(*both, strict=True)]
  starts = np.stack([_spoilt(x, 0.3)[None] for x in arrays[2]])
  found = jax.vmap(_match)(arrays[0], arrays[1], starts).grouping.groups
  for i in range(2):
    alone = _match(arrays[0][i], arrays[1][i], starts[i]).grouping.groups
    assert np.mean(found[i] == alone) > 0.99


@pytest.mark.parametrize('certain', [1.0, 20.0, 60.0])
def test_directions_are_those_of_the_gradients(certain):
  # In float64, where nothing cancels.
  rng = np.random.default_rng(0)
  smashed = rng.normal(size=(20, 4))
  kernel = certain * rng.normal(size=(4, 3))
  labels = np.argmax(smashed @ kernel, axis=1)  # Most certain of its own.
  z = smashed @ kernel
  p = np.exp(z - z.max(1, keepdims=True))
  p /= p.sum(1, keepdims=True)
  p[np.arange(20), labels] = 0
  p[np.arange(20), labels] = -p.sum(1)
  expected = p @ kernel.T
  top = [(jnp.asarray(kernel, jnp.float32), jnp.zeros(3))]
  found = surrogate.label_directions(
    top, jnp.asarray(smashed, jnp.float32), jnp.asarray(labels)
  )
  unit = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)
  np.testing.assert_allclose(unit(found), unit(expected), atol=2e-4)
  received = jnp.asarray(unit(expected), jnp.float32)
  mismatches = surrogate.class_mismatch(
    top, jnp.asarray(smashed, jnp.float32), received
  )
  assert np.all(mismatches[np.arange(20), labels] < 1e-3)


@pytest.mark.slow
def test_strongest_takes_what_explains_late_gradients():
  smashed, cut_grads, labels = _late(3)
  rows = np.array([np.flatnonzero(labels == k)[0] for k in range(NUM_CLASSES)])
  args = KEY, cut_grads[None], Draws(jnp.zeros((1, len(labels)), int))

  def read(**kwargs):
    evidence = attacks.gradient_evidence(
      *args, num_classes=NUM_CLASSES, **kwargs
    )
    return attacks.read_evidence(
      evidence,
      jnp.asarray(rows),
      jnp.arange(NUM_CLASSES),
      num_classes=NUM_CLASSES,
    )

  blind, found = read(), read(sent=smashed)
  assert CANDIDATES[int(found.chosen)] == 'matching'
  assert np.mean(found.labels == labels) > 0.97
  assert np.mean(blind.labels == labels) < 0.9
  again = attacks.gradient_labels(
    *args,
    jnp.asarray(rows),
    jnp.arange(NUM_CLASSES),
    num_classes=NUM_CLASSES,
    sent=smashed,
  )
  assert (again.labels == found.labels).all()
  undone = read(sent=smashed, counters=(Counter.BATCH_MEANS,))
  assert CANDIDATES[int(undone.chosen)] != 'matching'


@pytest.mark.parametrize(
  'shares, seed', [([0.5] + [0.5 / 7] * 7, 4), ([0.7, 0.1, 0.1, 0.1], 3)]
)
def test_a_large_class_is_not_cut_in_two(shares, seed):
  # A top explains two halves of one class as well.
  num_classes, num = len(shares), 500
  rng = np.random.default_rng(seed)
  labels = rng.choice(num_classes, size=num, p=shares)
  labels[:num_classes] = np.arange(num_classes)
  means = rng.normal(size=(num_classes, 32))
  smashed = (means[labels] + rng.normal(size=(num, 32))).astype('f')
  kernel = 3 * means.T / 32**0.5
  wrong = jax.nn.softmax(smashed @ kernel) - np.eye(num_classes)[labels]
  cut_grads = np.asarray(wrong @ kernel.T, np.float32)
  known = jnp.arange(num_classes)
  evidence = attacks.gradient_evidence(
    KEY,
    cut_grads[None],
    Draws(jnp.zeros((1, num), int)),
    num_classes=num_classes,
    sent=smashed,
  )
  read = lambda evidence: attacks.read_evidence(
    evidence, known, known, num_classes=num_classes
  )
  found, plain = read(evidence), read(evidence._replace(other=None))
  assert CANDIDATES[int(found.chosen)] == 'matching'
  assert np.mean(found.labels == labels) > 0.98
  assert np.mean(plain.labels == labels) < 0.8
  assert (evidence.grouping.groups == evidence.other.grouping.groups).all()
  assert 0 < float(confidence_of(evidence, None)) <= 1
