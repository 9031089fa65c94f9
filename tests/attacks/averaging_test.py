import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from splitjax import attacks


def _reference(vectors, sample_ids, unit='pass'):
  """Sample by sample and pass by pass, in float64."""
  vectors = np.asarray(vectors, float)
  ids = np.sort(sample_ids[0])
  means = []
  for sample in ids:
    found = []
    for one, of in zip(vectors, sample_ids, strict=True):
      vector = one[list(of).index(sample)]
      scale = np.sqrt(np.mean(np.sum(one**2, axis=1)))
      if unit == 'vector':
        scale = np.linalg.norm(vector)
      found.append(vector / (scale or 1))
    means.append(np.mean(found, axis=0))
  return ids, np.array(means)


def _draw(seed, num_passes, num, width):
  rng = np.random.default_rng(seed)
  ids = rng.choice(1000, num, replace=False)
  return (
    rng.normal(size=(num_passes, num, width)).astype(np.float32),
    np.stack([rng.permutation(ids) for _ in range(num_passes)]),
  )


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
@pytest.mark.parametrize('shape', [(1, 1, 1), (1, 7, 3), (5, 8, 2)])
@pytest.mark.parametrize('unit', ['pass', 'vector'])
def test_matches_a_loop(shape, dtype, unit):
  vectors, sample_ids = _draw(0, *shape)
  vectors = jnp.asarray(vectors, dtype)
  ids, means = attacks.average_by_sample(vectors, sample_ids, unit=unit)
  expected_ids, expected = _reference(vectors, sample_ids, unit)
  np.testing.assert_array_equal(ids, expected_ids)
  assert means.dtype == vectors.dtype
  atol = {'float32': 1e-6, 'bfloat16': 1e-2}[dtype]
  np.testing.assert_allclose(
    np.asarray(means, float), expected, rtol=4 * atol, atol=atol
  )


@hypothesis.given(
  num_passes=st.integers(1, 4),
  num=st.integers(1, 9),
  power=st.sampled_from([-30, 0, 18]),
)
def test_no_pass_counts_more_than_another(num_passes, num, power):
  vectors, sample_ids = _draw(num, num_passes, num, 3)
  scaled = vectors.copy()
  scaled[-1] *= 10.0**power
  _, expected = attacks.average_by_sample(vectors, sample_ids)
  _, actual = attacks.average_by_sample(scaled, sample_ids)
  np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_vmap_over_seeds_equals_a_loop():
  draws = [_draw(seed, 3, 5, 2) for seed in range(3)]
  both = [np.stack(x) for x in zip(*draws, strict=True)]
  ids, means = jax.vmap(attacks.average_by_sample)(*both)
  for index, draw in enumerate(draws):
    one_ids, one = attacks.average_by_sample(*draw)
    np.testing.assert_array_equal(ids[index], one_ids)
    np.testing.assert_allclose(means[index], one, rtol=1e-5, atol=1e-6)


def test_pass_of_zeros_counts_as_zeros():
  vectors, sample_ids = _draw(0, 2, 4, 3)
  vectors[1] = 0
  _, means = attacks.average_by_sample(vectors, sample_ids)
  _, expected = _reference(vectors, sample_ids)
  np.testing.assert_allclose(means, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('num_passes', [1, 4, 16])
def test_fresh_noise_cancels_as_the_theory_says(num_passes):
  """Marvell's noise: along the gap, of power s times its square."""
  rng = np.random.default_rng(1)
  num, power = 20_000, 2.0
  sign = np.where(np.arange(num) % 2, 1.0, -1.0)
  noise = np.sqrt(power) * rng.normal(size=(num_passes, num))
  vectors = (sign[None] / 2 + noise)[:, :, None].astype(np.float32)
  sample_ids = np.tile(np.arange(num), (num_passes, 1))
  _, means = attacks.average_by_sample(vectors, sample_ids)
  read = np.mean(np.sign(means[:, 0]) == sign)
  expected = stats.norm.cdf(np.sqrt(num_passes) / (2 * np.sqrt(power)))
  # Four standard errors of a share of 20,000.
  assert abs(read - expected) < 4 * np.sqrt(0.25 / num)


def test_long_gradients_of_wrong_labels_do_not_outvote_the_right_ones():
  """Nine short vectors of the class, and a long one of another."""
  vectors = np.tile(np.float32([[0.01, 0]]), (10, 1, 1))
  vectors[4] = [[-5, 1]]
  sample_ids = np.zeros((10, 1), int)
  _, means = attacks.average_by_sample(vectors, sample_ids, unit='vector')
  assert means[0, 0] > 0.7


def test_unknown_unit_is_named():
  vectors, sample_ids = _draw(0, 2, 4, 3)
  with pytest.raises(ValueError, match="unit must be one of .* got 'norm'"):
    attacks.average_by_sample(vectors, sample_ids, unit='norm')


@pytest.mark.parametrize(
  'vectors, sample_ids, message',
  [
    (np.zeros((3, 2), np.float32), np.zeros((3, 2), int), 'vectors must be fl'),
    (np.zeros((1, 3, 2), int), np.zeros((1, 3), int), 'vectors must be fl'),
    (
      np.zeros((2, 3, 2), np.float32),
      np.zeros((3, 2), int),
      r'sample_ids must have shape \(2, 3\), got \(3, 2\)',
    ),
  ],
)
def test_wrong_shapes_are_named(vectors, sample_ids, message):
  with pytest.raises(ValueError, match=message):
    attacks.average_by_sample(vectors, sample_ids)
