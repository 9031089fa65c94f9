import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax.defenses import party_noise

_noise = jax.jit(party_noise.noise, static_argnames='num_classes')


def _accuracy_by_loop(vectors, labels, num_classes):
  right = 0
  for row, vector in enumerate(vectors):
    others = np.arange(len(labels)) != row
    cosines = np.full(num_classes, -2.0)
    for one in range(num_classes):
      members = others & (labels == one)
      if not members.any():
        continue
      units = [x / np.linalg.norm(x) for x in vectors[members]]
      mean = np.sum(units, axis=0)
      if np.linalg.norm(mean) > 1e-3:
        cosines[one] = vector @ mean / np.linalg.norm(mean)
    has_others = np.any(others & (labels == labels[row]))
    right += has_others and np.argmax(cosines) == labels[row]
  return right / len(labels)


def _grads(clear, dtype='float32', scale=1.0):
  """Returns labels, and gradients that tell them, or that tell little."""
  rng = np.random.default_rng(0)
  labels = np.arange(32) % 4
  noise = rng.normal(size=(32, 6))
  grads = np.eye(6)[labels] + 0.05 * noise if clear else noise
  return labels, jnp.asarray(scale * grads.reshape(32, 2, 3), dtype)


@pytest.mark.parametrize('clear', [True, False])
@pytest.mark.parametrize('scale', [1e-25, 1.0, 1e8])
def test_accuracy_matches_a_loop_over_samples(clear, scale):
  labels, grads = _grads(clear)
  labels[:3] = [3, 3, 0]  # Classes of unequal sizes.
  rows = np.asarray(grads).reshape(32, 6)
  expected = _accuracy_by_loop(rows, labels, 5)  # A class is absent.
  actual = jax.jit(party_noise.class_accuracy, static_argnames='num_classes')(
    jnp.asarray(scale * rows), labels, num_classes=5
  )
  np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_a_sample_alone_in_its_class_is_not_found():
  found = party_noise.class_accuracy(
    jnp.eye(3), jnp.array([0, 1, 1]), num_classes=2
  )
  assert found == 0


@pytest.mark.parametrize(
  'read,expected',
  [
    ([0.8], [0]),
    ([0.5, 0.54], [0, 0]),
    ([0.5, 0.6], [0, 24]),
    ([0.02, 0.05], [0, 50]),
    ([0.0, 0.04], [0, 800]),
    ([0.0, 0.0], [0, 0]),
  ],
)
def test_noise_is_for_those_that_read_more(read, expected):
  found = party_noise.noise_scales(jnp.array(read), 0.05)
  np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
@pytest.mark.parametrize('scale', [1e-20, 1.0])
def test_only_the_party_that_reads_more_gets_noise(dtype, scale):
  labels, clear = _grads(True, dtype, scale)
  _, vague = _grads(False, dtype, scale)
  key = jax.random.key(0)
  kwargs = dict(num_classes=4, budget=0.5)
  noised, same = _noise(key, (clear, vague), labels, **kwargs)
  assert noised.dtype == clear.dtype
  np.testing.assert_array_equal(same, vague)
  one_hot = jax.nn.one_hot(labels, 4)
  again, _ = _noise(key, (clear, vague), one_hot, **kwargs)
  np.testing.assert_array_equal(noised, again)
  read = party_noise.class_accuracy(
    noised.reshape(32, 6), labels, num_classes=4
  )
  assert read < 0.6
  off = _noise(key, (clear, vague), labels, num_classes=4, budget=jnp.inf)
  np.testing.assert_array_equal(off[0], clear)


def test_scale_of_the_noise_is_as_stated():
  labels, clear = _grads(True)
  _, vague = _grads(False)
  keys = jax.random.split(jax.random.key(1), 2000)
  draw = lambda key: party_noise.noise(
    key, (clear, vague), labels, num_classes=4, budget=0.5
  )[0]
  drawn = np.asarray(jax.jit(jax.vmap(draw))(keys)) - np.asarray(clear)
  drawn = drawn.reshape(2000, 32, 6)
  accuracy = lambda x: party_noise.class_accuracy(
    x.reshape(32, 6), labels, num_classes=4
  )
  ratio = accuracy(clear) / accuracy(vague) / 0.5
  lengths = np.linalg.norm(np.asarray(clear).reshape(32, 6), axis=1)
  # The mean of the absolute value of Laplace noise is its scale.
  actual = np.abs(drawn).mean(axis=(0, 2)) / lengths
  np.testing.assert_allclose(actual, ratio, rtol=0.05)


def test_equal_gradients_get_no_noise():
  labels, clear = _grads(True)
  found = _noise(
    jax.random.key(0), (clear, clear), labels, num_classes=4, budget=0.05
  )
  for one in found:
    np.testing.assert_array_equal(one, clear)
