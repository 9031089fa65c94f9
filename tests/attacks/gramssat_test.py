import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from splitjax import attacks
from splitjax.attacks import gramssat

pytestmark = pytest.mark.slow  # Compiles for long.


def _problem(seed, separation=1.0, num=240, num_classes=3, width=8):
  """Blobs, and the gradients of the top that tells them apart best."""
  rng = np.random.default_rng(seed)
  truth = rng.integers(0, num_classes, num)
  truth = np.concatenate([truth, np.arange(num_classes)])
  means = separation * rng.normal(size=(num_classes, width))
  smashed = means[truth] + rng.normal(size=(len(truth), width))
  logits = smashed @ means.T - np.sum(means**2, axis=1) / 2
  rest = special.softmax(logits, axis=1) - np.eye(num_classes)[truth]
  cut_grads = rest @ means / 32
  arrays = smashed.astype(np.float32), cut_grads.astype(np.float32)
  seen, known = zip(*((x[:num], x[num:]) for x in arrays), strict=True)
  best = np.mean(np.argmax(logits, axis=1)[:num] == truth[:num])
  return seen, known, truth[:num], truth[num:], best


def _attack_fn(**kwargs):
  return jax.jit(
    lambda key, seen, known, aux_labels, weight: gramssat.gramssat_labels(
      key,
      *seen,
      *known,
      aux_labels,
      num_classes=3,
      num_epochs=30,
      batch_size=64,
      match_weight=weight,
      **kwargs,
    )
  )


BY_SMASHED = _attack_fn()
BY_GRADS = _attack_fn(nearest_by='cut_grads')


def test_reads_well_separated_smashed_data():
  for seed in range(3):
    seen, known, truth, aux_labels, _ = _problem(seed, 3.0)
    result = BY_SMASHED(jax.random.key(seed), seen, known, aux_labels, 1.0)
    assert np.mean(result.labels == truth) > 0.97
    np.testing.assert_array_equal(np.argmax(result.logits, 1), result.labels)
    assert result.losses.shape == (30,)


def test_pseudo_labels_are_those_of_the_nearest_known_sample():
  seen, known, _, aux_labels, _ = _problem(0)
  for attack, index, metric in (
    (BY_SMASHED, 0, 'euclidean'),
    (BY_GRADS, 1, 'cosine'),
  ):
    result = attack(jax.random.key(0), seen, known, aux_labels, 1.0)
    expected = attacks.nearest_labels(
      seen[index], known[index], aux_labels, metric=metric
    )
    np.testing.assert_array_equal(result.pseudo_labels, expected)


def test_gradients_add_to_what_few_known_samples_tell():
  """With them the surrogate comes near the best top; without, it does not."""
  gains, gaps = [], []
  for seed in range(4):
    seen, known, truth, aux_labels, best = _problem(seed, 0.8)
    right = lambda weight: np.mean(
      BY_GRADS(jax.random.key(seed), seen, known, aux_labels, weight).labels  # noqa: B023
      == truth  # noqa: B023
    )
    gains.append(right(1.0) - right(0.0))
    gaps.append(best - right(1.0))
  assert np.mean(gains) > 0.05, gains
  assert np.mean(gaps) < 0.08, gaps


def test_smashed_data_that_tell_nothing_are_read_at_chance():
  seen, known, truth, aux_labels, _ = _problem(0)
  noise = np.random.default_rng(1).normal(size=(2, *seen[0].shape))
  seen = tuple(np.float32(noise))
  for attack in (BY_SMASHED, BY_GRADS):
    result = attack(jax.random.key(0), seen, known, aux_labels, 1.0)
    assert np.mean(result.labels == truth) < 0.5


def test_same_key_same_answer_scale_is_ignored_and_vmap_equals_a_loop():
  seen, known, _, aux_labels, _ = _problem(0, 3.0)
  run = lambda key, seen: BY_SMASHED(key, seen, known, aux_labels, 1.0)
  keys = jax.random.split(jax.random.key(0), 2)
  one = run(keys[1], seen)
  jax.tree.map(np.testing.assert_array_equal, one, run(keys[1], seen))
  scaled = run(keys[1], (seen[0], seen[1] * np.float32(1e-15)))
  assert np.mean(one.labels == scaled.labels) > 0.98
  both = jax.vmap(lambda key: run(key, seen))(keys)
  assert np.mean(both.labels[1] == one.labels) > 0.99
  assert not np.array_equal(both.logits[0], both.logits[1])


def test_mixmatch_sharpens_and_mixes():
  """Of a top that is the identity: known losses, by hand."""
  rng = np.random.default_rng(0)
  smashed = jnp.asarray(rng.normal(size=(5, 3)), jnp.float32)
  known = jnp.asarray(rng.normal(size=(4, 3)), jnp.float32), jnp.eye(4, 3)
  # At alpha 1e-3 the larger share is 1: nothing is mixed.
  known_losses, free_losses = jax.vmap(
    lambda key: gramssat._mixmatch(key, lambda x: x, known, smashed, 0.5, 1e-3)
  )(jax.random.split(jax.random.key(0), 8))
  logs = special.log_softmax(np.asarray(known[0]), axis=1)
  expected = -np.mean(np.sum(logs * np.eye(4, 3), axis=1))
  np.testing.assert_allclose(known_losses, np.full(8, expected), rtol=1e-5)
  soft = special.softmax(np.asarray(smashed), axis=1)
  sharp = soft**2 / np.sum(soft**2, axis=1, keepdims=True)
  np.testing.assert_allclose(
    free_losses, np.full(8, np.mean((soft - sharp) ** 2)), rtol=1e-4
  )
  mixed = gramssat._mixmatch(
    jax.random.key(0), lambda x: x, known, smashed, 0.5, 10.0
  )
  assert abs(float(mixed[0]) - expected) > 1e-3


def test_bfloat16_with_an_empty_row_and_one_sample():
  (smashed, cut_grads), known, _, aux_labels, _ = _problem(0, num=1)
  with jax.debug_nans(True):
    result = gramssat.gramssat_labels(
      jax.random.key(0),
      *(jnp.bfloat16(x) for x in (smashed, 0 * cut_grads, *known)),
      aux_labels,
      num_classes=4,  # One without known samples.
      hidden_sizes=(5,),
      num_epochs=2,
    )
  assert result.labels.shape == (1,)
  assert result.logits.dtype == jnp.float32
  assert np.isfinite(result.logits).all()


def test_bad_arguments_are_named():
  seen, known, _, aux_labels, _ = _problem(0)
  run = lambda *args, **kwargs: jax.eval_shape(
    lambda: gramssat.gramssat_labels(
      jax.random.key(0), *args, **dict(num_classes=3) | kwargs
    )
  )
  with pytest.raises(ValueError, match='num_classes must be at least 2'):
    run(*seen, *known, aux_labels, num_classes=1)
  with pytest.raises(ValueError, match="nearest_by must be one of .* 'logits'"):
    run(*seen, *known, aux_labels, nearest_by='logits')
  with pytest.raises(ValueError, match='aux_labels must have shape'):
    run(*seen, *known, aux_labels[:1])
  with pytest.raises(ValueError, match='aux_cut_grads must have one row'):
    run(*seen, known[0], known[1][:1], aux_labels)
