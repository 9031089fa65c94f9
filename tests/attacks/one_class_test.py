import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax import attacks
from splitjax import defenses
from splitjax.attacks import one_class
from splitjax.attacks.adapting import Draws
from splitjax.attacks.groupings import CANDIDATES
from splitjax.training.countering import Counter

BATCH = 8


def _sent(seed, *, rare=0.03, num=240, width=6, power=10.0, draw=None):
  """Gradients of a linear top, noised by Marvell batch by batch."""
  rng = np.random.default_rng(seed)
  labels = (rng.random(num) < rare).astype(np.int32)
  labels[:2] = 0, 1
  order = np.random.default_rng(seed if draw is None else draw).permutation(num)
  steps = np.empty(num, np.int32)
  steps[order] = np.arange(num) // BATCH
  wrong = np.where(labels == 1, -0.8, 0.2) * rng.uniform(0.8, 1.2, num)
  line = rng.normal(size=width)
  gradients = (wrong[:, None] * line / np.linalg.norm(line)).astype('f')
  noise = jax.jit(lambda *x: defenses.marvell.noise(*x, power=power))
  sent = np.empty_like(gradients)
  for step in np.unique(steps):
    rows = steps == step
    key = jax.random.key(1000 * seed + step)
    sent[rows] = noise(key, jnp.asarray(gradients[rows]), labels[rows])
  return sent, steps, labels


def _reference(gradients, steps):
  """The same, one batch at a time, in float64."""
  x = np.asarray(gradients, np.float64)
  lengths = np.linalg.norm(x, axis=1, keepdims=True)
  units = np.divide(x, lengths, out=np.zeros_like(x), where=lengths > 0)
  batches = {s: np.flatnonzero(steps == s) for s in np.unique(steps)}
  means = {s: units[rows].mean(0) for s, rows in batches.items()}
  one = [s for s in batches if np.linalg.norm(means[s]) > 0.9]
  one = [s for s in one if len(batches[s]) > 1]
  ways = {s: means[s] / np.linalg.norm(means[s]) for s in one}
  gram = sum(len(batches[s]) * np.outer(ways[s], ways[s]) for s in one)
  line = np.linalg.eigh(gram)[1][:, -1]
  if sum(len(batches[s]) * np.sign(ways[s] @ line) for s in one) < 0:
    line = -line
  signs = {s: np.sign(ways[s] @ line) for s in one}
  usual = len(x) / len(batches)
  share = lambda sign: (
    (sum(len(batches[s]) for s in one if signs[s] == sign) / len(x))
    ** (1 / usual)
  )
  first, second = share(1), max(share(-1), 1 - share(1))
  first, second = first / (first + second), second / (first + second)
  in_mixed = np.array([first, second]) ** (usual - 1)
  mixed = 1 - first**usual - second**usual
  rest = second * (1 - in_mixed[1]) / mixed
  prior = np.log(1 - in_mixed[1]) - np.log(1 - in_mixed[0])
  plain = [s for s in one if signs[s] > 0]
  above, below, moved = 0.0, 0.0, {}
  for s, rows in batches.items():
    if s in one:
      continue
    before = [p for p in plain if p <= s]
    last = before[-1] if before else plain[0]
    along = x[rows] @ ways[last]
    off = along - (x[batches[last]] @ ways[last]).mean()
    above, below = (
      above + (off / along.var()).sum(),
      below + len(rows) / along.var(),
    )
    moved[s] = off, along.var()
  gap = min(above / below / rest, 0) if below else 0
  odds = np.empty(len(x))
  for s, rows in batches.items():
    if s in one:
      odds[rows] = -14.0 * signs[s]
    else:
      off, variance = moved[s]
      odds[rows] = prior + (off**2 - (off - gap) ** 2) / (2 * variance)
  return np.clip(odds, -14, 14), np.isin(steps, one).mean()


@pytest.mark.parametrize('power', [0.1, 10.0])
@pytest.mark.parametrize('seed', range(3))
def test_equals_a_slow_reference(seed, power):
  sent, steps, _ = _sent(seed, power=power)
  found = jax.jit(one_class.log_odds)(sent[None], steps[None])
  odds, share = _reference(sent, steps)
  np.testing.assert_allclose(found.log_odds, odds, rtol=2e-3, atol=2e-3)
  np.testing.assert_allclose(found.share, share, atol=1e-6)


def test_order_sign_and_scale_say_nothing():
  sent, steps, _ = _sent(3)
  expected = one_class.log_odds(sent[None], steps[None]).log_odds
  order = np.random.default_rng(0).permutation(len(sent))
  found = one_class.log_odds(-4 * sent[None, order], steps[None, order])
  np.testing.assert_allclose(
    found.log_odds, expected[order], rtol=1e-3, atol=1e-3
  )


def test_bfloat16_and_vmap():
  both = [_sent(seed) for seed in (0, 1)]
  sent = jnp.stack([x[0] for x in both])[:, None].astype(jnp.bfloat16)
  steps = jnp.stack([x[1] for x in both])[:, None]
  found = jax.vmap(one_class.log_odds)(sent, steps)
  assert found.log_odds.dtype == jnp.float32
  for i in range(2):
    alone = one_class.log_odds(sent[i], steps[i])
    np.testing.assert_allclose(found.log_odds[i], alone.log_odds, atol=1e-2)
    full = one_class.log_odds(both[i][0][None], both[i][1][None])
    assert ((full.log_odds > 0) == (alone.log_odds > 0)).mean() > 0.97


@pytest.mark.parametrize('gradients', [np.zeros((6, 3)), np.eye(6)])
def test_without_batches_of_one_class_nothing_is_said(gradients):
  found = one_class.log_odds(
    gradients[None].astype('f'), np.array([[0, 0, 0, 1, 1, 1]])
  )
  assert float(found.share) == 0
  assert np.isfinite(found.log_odds).all()


def test_passes_add_up_whichever_group_is_the_larger_one():
  passes, steps = [], []
  for draw, sign in ((0, 1), (1, -1), (2, 1)):
    sent, step, labels = _sent(4, draw=draw)
    passes.append(sign * sent)
    steps.append(step)
  odds = one_class.log_odds(np.stack(passes), np.stack(steps)).log_odds
  wrong = {k: np.mean((odds > 0) != (labels == k)) for k in (0, 1)}
  assert min(wrong.values()) < 0.02


def test_strongest_reads_what_marvell_sends_of_rare_positives():
  sent, steps, labels = _sent(5, num=400)
  args = jax.random.key(0), sent[None], Draws(steps[None])
  known = jnp.array([0, 1])

  def read(*counters):
    evidence = attacks.gradient_evidence(
      *args, num_classes=2, counters=counters
    )
    return evidence, attacks.read_evidence(
      evidence, known, known, num_classes=2
    )

  recall = lambda found: np.mean(
    [np.mean(found.labels[labels == k] == k) for k in (0, 1)]
  )
  evidence, found = read(Counter.ONE_CLASS)
  assert CANDIDATES[int(found.chosen)] == 'batches'
  assert recall(found) > 0.85
  assert recall(read()[1]) < 0.75
  named = np.argsort(found.groups.labels)[found.labels]
  assert (evidence.grouping.groups == named).all()


@pytest.mark.parametrize('nothing', [0.0, np.nan])
def test_samples_without_a_direction_hide_no_batch(nothing):
  sent, steps, labels = _sent(6, num=400)
  expected = one_class.log_odds(sent[None], steps[None])
  lost = np.random.default_rng(0).random(len(sent)) < 0.2
  some = np.where(lost[:, None], np.float32(nothing), sent)
  found = one_class.log_odds(some[None], steps[None])
  assert float(found.share) > 0.9 * float(expected.share)
  sure = found.log_odds < -13  # Zeros of a batch of one class are of it.
  assert sure[lost].mean() > 0.5
  assert labels[sure].mean() < 0.01
