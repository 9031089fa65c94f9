import itertools

from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np

from splitjax import losses
from splitjax.defenses import potential_energy

_energy = jax.jit(potential_energy.energy)
_gradient = jax.jit(jax.grad(potential_energy.energy))


def _reference(smashed, labels, min_distance=1e-3):
  """A loop over pairs in float64."""
  smashed = np.asarray(smashed, np.float64).reshape(len(smashed), -1)
  inverse = [
    1 / max(np.linalg.norm(smashed[i] - smashed[j]), min_distance)
    for i, j in itertools.combinations(range(len(labels)), 2)
    if labels[i] == labels[j]
  ]
  return np.mean(inverse) if inverse else 0.0


def _draw(shape=(12, 5), seed=0, dtype='float32'):
  rng = np.random.default_rng(seed)
  x = rng.normal(size=shape)
  return jnp.asarray(x, dtype), jnp.asarray(rng.integers(0, 3, shape[0]))


@jax.jit
def _losses(logits, smashed, labels, weight):
  return potential_energy.loss(
    losses.cross_entropy, logits, smashed, labels, weight=weight
  )


@jax.jit
def _grads(logits, smashed, labels, weight):
  mean_loss = lambda *args: jnp.mean(_losses(*args))
  return jax.grad(mean_loss, (0, 1))(logits, smashed, labels, weight)


class EnergyTest(parameterized.TestCase):
  @parameterized.product(
    shape=[(1, 1), (12, 1), (12, 5), (9, 2, 2, 3)],
    dtype=['float32', 'bfloat16'],
  )
  def test_matches_a_loop(self, shape, dtype):
    smashed, labels = _draw(shape, dtype=dtype)
    actual = _energy(smashed, labels)
    assert actual.dtype == jnp.float32
    expected = _reference(smashed, np.asarray(labels))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)

  @parameterized.parameters(1e-30, 1e-2, 1e10, 1e30, 1e38)
  def test_every_scale_matches_a_loop(self, scale):
    smashed, labels = _draw()
    smashed = smashed.at[1].set(smashed[0]) * np.float32(scale)
    labels = labels.at[:2].set(jnp.array([0, 1]))
    np.testing.assert_allclose(
      _energy(smashed, labels),
      _reference(smashed, np.asarray(labels)),
      rtol=1e-5,
      atol=1e-37,
    )

  def test_equal_rows_count_as_the_least_distance(self):
    smashed, labels = jnp.ones((4, 3)), jnp.array([0, 0, 1, 1])
    with jax.debug_nans(True):
      value = _energy(smashed, labels, min_distance=0.1)
      gradient = _gradient(smashed, labels, min_distance=0.1)
    np.testing.assert_allclose(value, 10, rtol=1e-6)
    np.testing.assert_array_equal(gradient, 0)

  def test_no_pair_has_no_energy(self):
    with jax.debug_nans(True):
      assert _energy(jnp.ones((3, 2)), jnp.arange(3)) == 0
      gradient = _gradient(jnp.ones((3, 2)), jnp.arange(3))
    np.testing.assert_array_equal(gradient, 0)

  def test_gradient_matches_finite_differences(self):
    smashed, labels = _draw((8, 3))
    smashed = smashed.at[5].set(smashed[2])  # Two rows at no distance.
    labels = labels.at[5].set(labels[2])
    actual, step = _gradient(smashed, labels), 1e-6
    for index in np.ndindex(8, 3):
      high, low = (np.array(smashed, np.float64) for _ in range(2))
      high[index] += step
      low[index] -= step
      expected = _reference(high, labels) - _reference(low, labels)
      np.testing.assert_allclose(
        actual[index], expected / (2 * step), rtol=1e-4, atol=1e-5
      )

  @parameterized.named_parameters(
    ('largest', np.array([[3e38], [-3e38], [3e38], [1.0]])),
    ('smallest', np.array([[1e-38], [0.0], [-1e-38], [0.0]])),
    ('near', np.array([[1.0], [1 + 1e-7], [1.0], [2.0]])),
    (
      'near_on_large',
      np.array([[1e38, 0], [1e38, 2e-3], [1e38, 4e-3], [0, 0]]),
    ),
  )
  def test_edges_have_finite_values_and_gradients(self, smashed):
    smashed, labels = jnp.asarray(smashed, jnp.float32), jnp.zeros(4, int)
    with jax.debug_nans(True):
      assert np.isfinite(_energy(smashed, labels))
      assert np.isfinite(_gradient(smashed, labels)).all()


class LossTest(parameterized.TestCase):
  def test_adds_the_weighted_energy(self):
    smashed, labels = _draw()
    logits, weights = smashed[:, :3], np.array([0.0, 0.5, 2.0])
    actual = jax.vmap(_losses, (None, None, None, 0))(
      logits, smashed, labels, weights
    )
    plain = losses.cross_entropy(logits, labels)
    penalty = weights * _reference(smashed, np.asarray(labels))
    np.testing.assert_allclose(
      actual, plain[None] + penalty[:, None], rtol=1e-5
    )

  def test_soft_labels_count_as_their_likeliest_class(self):
    smashed, labels = _draw()
    soft = 0.6 * jax.nn.one_hot(labels, 3) + 0.4 / 3
    added = _losses(smashed[:, :3], smashed, soft, 1.0) - losses.cross_entropy(
      smashed[:, :3], soft
    )
    np.testing.assert_allclose(added, _energy(smashed, labels), rtol=1e-5)

  @parameterized.parameters('float32', 'bfloat16')
  def test_off_is_the_loss_and_its_gradient_bit_for_bit(self, dtype):
    smashed, labels = _draw(dtype=dtype)
    smashed = smashed.at[-1].set(smashed[0])
    logits = smashed[:, :3]
    expected = jax.jit(losses.cross_entropy)(logits, labels)
    actual = _losses(logits, smashed, labels, 0.0)
    assert np.asarray(actual).tobytes() == np.asarray(expected).tobytes()
    mean_loss = lambda x, y: jnp.mean(losses.cross_entropy(x, y))
    of_logits, of_smashed = _grads(logits, smashed, labels, 0.0)
    expected = jax.jit(jax.grad(mean_loss))(logits, labels)
    assert of_logits.tobytes() == expected.tobytes()
    np.testing.assert_array_equal(np.asarray(of_smashed, np.float32), 0)

  def test_descent_drives_a_class_apart(self):
    smashed, labels = jnp.array([[0.0], [0.5], [3.0]]), jnp.array([0, 0, 1])
    moved = smashed - _grads(jnp.zeros((3, 2)), smashed, labels, 0.1)[1]
    assert moved[1, 0] - moved[0, 0] > 0.5
    assert moved[2, 0] == 3

  @parameterized.parameters(('weight', -1), ('min_distance', 0.0))
  def test_bad_argument_is_named(self, name, value):
    kwargs = dict(weight=1.0) | {name: value}
    with self.assertRaisesRegex(ValueError, f'{name} must .* got {value}'):
      potential_energy.loss(
        losses.cross_entropy,
        jnp.ones((2, 2)),
        jnp.ones((2, 2)),
        jnp.arange(2),
        **kwargs,
      )
