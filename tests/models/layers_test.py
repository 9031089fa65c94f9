import math

from absl.testing import parameterized
from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from splitjax.models import layering
from splitjax.models import layers


def _draw(*shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _max_pool_loop(x, window, stride, padding):
  batch, height, width, channels = x.shape
  padded = np.full(
    (batch, height + 2 * padding, width + 2 * padding, channels), -np.inf
  )
  padded[:, padding : padding + height, padding : padding + width] = x
  rows, columns = (
    (n + 2 * padding - window) // stride + 1 for n in (height, width)
  )
  out = np.zeros((batch, rows, columns, channels))
  for i in range(rows):
    for j in range(columns):
      top, left = i * stride, j * stride
      part = padded[:, top : top + window, left : left + window]
      out[:, i, j] = part.max((1, 2))
  return out


def _average_pool_loop(x, size):
  out = np.zeros((len(x), size, size, x.shape[-1]))
  edges = lambda i, n: (math.floor(i * n / size), math.ceil((i + 1) * n / size))
  for i in range(size):
    for j in range(size):
      (top, bottom), (left, right) = edges(i, x.shape[1]), edges(j, x.shape[2])
      out[:, i, j] = x[:, top:bottom, left:right].mean((1, 2))
  return out


class PoolingTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('halves', (4, 6), dict()),
    ('odd_sizes', (5, 7), dict()),
    ('a_single_window', (2, 3), dict()),
    ('overlapping', (6, 5), dict(window=3, stride=1)),
    ('overlapping_and_padded', (6, 7), dict(window=3, stride=2, padding=1)),
    ('padded_odd', (5, 4), dict(window=2, stride=2, padding=1)),
    ('gaps', (7, 8), dict(window=2, stride=3)),
  )
  def test_max_pool_equals_a_loop(self, size, kwargs):
    x = _draw(2, *size, 3) - 2  # Padding with zeros would be seen.
    expected = _max_pool_loop(
      x, **{'window': 2, 'stride': 2, 'padding': 0, **kwargs}
    )
    actual = jax.jit(lambda x: layers.max_pool(x, **kwargs))(x)
    np.testing.assert_array_equal(actual, expected)

  @parameterized.parameters((2, 2, 0), (3, 2, 1))
  def test_max_pool_gradient_equals_that_of_flax(self, window, stride, padding):
    x = _draw(2, 5, 6, 3)

    def theirs(x):
      pads = ((padding, padding),) * 2
      return nn.max_pool(x, (window, window), (stride, stride), pads)

    ours = lambda x: layers.max_pool(
      x, window=window, stride=stride, padding=padding
    )
    actual, expected = jax.jit(
      lambda x: [
        jax.grad(lambda x, fn=fn: (fn(x) ** 2).sum())(x)
        for fn in (ours, theirs)
      ]
    )(x)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)

  def test_largest_values_of_a_window_share_its_gradient(self):
    x = jnp.array([[1.0, 1.0], [0.0, 1.0]])[None, :, :, None]
    grads = jax.jit(jax.grad(lambda x: layers.max_pool(x).sum()))(x)
    grads = np.asarray(grads[0, :, :, 0])
    np.testing.assert_allclose(grads, np.array([[1, 1], [0, 1]]) / 3)

  def test_max_pool_has_second_derivatives(self):
    x = _draw(2, 4, 6, 3)
    slow_fn = lambda x: nn.max_pool(x, (2, 2), (2, 2))

    def slopes(fn, x):
      grads_fn = jax.grad(lambda x: (fn(x) ** 3).sum())
      return jax.grad(lambda x: (grads_fn(x) ** 2).sum())(x)

    actual, expected = jax.jit(
      lambda x: (slopes(layers.max_pool, x), slopes(slow_fn, x))
    )(x)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)

  def test_max_pool_keeps_bfloat16(self):
    x = jnp.ones((1, 3, 3, 1), jnp.bfloat16)
    pooled = layers.max_pool(x, window=3, stride=2, padding=1)
    assert pooled.dtype == jnp.bfloat16
    np.testing.assert_array_equal(pooled.astype(float), np.ones((1, 2, 2, 1)))

  @parameterized.product(size=[2, 7], height=[1, 2, 5, 7], width=[6, 14])
  def test_adaptive_average_equals_a_loop(self, size, height, width):
    x = _draw(2, height, width, 3)
    np.testing.assert_allclose(
      layers.average_pool_to(x, size),
      _average_pool_loop(x, size),
      rtol=1e-5,
      atol=1e-6,
    )

  @parameterized.parameters(1, 2, 5, 7)
  def test_adaptive_average_of_its_own_size_is_the_identity(self, size):
    x = _draw(2, size, size, 3)
    np.testing.assert_allclose(layers.average_pool_to(x, size), x, rtol=1e-6)

  def test_global_max_pool_keeps_four_axes(self):
    x = _draw(2, 3, 4, 5)
    actual = layers.global_max_pool(x)
    np.testing.assert_array_equal(actual, x.max((1, 2))[:, None, None])

  def test_flatten_keeps_the_order_of_each_example(self):
    x = _draw(3, 2, 4, 5)
    actual = layers.flatten(x)
    np.testing.assert_array_equal(actual, [row.ravel() for row in x])


class NormTest(parameterized.TestCase):
  def test_batch_norm_keeps_nine_tenths_of_its_averages(self):
    layer = layers.norm('batch', None)
    x = 3 + 2 * _draw(4, 5, 5, 2)
    _, params, state = layering.init(layer, jax.random.key(0), x)
    out, state = layering.apply(layer, params, state, x, train=True, key=None)
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    expected = (x - mean) / np.sqrt(variance + 1e-5)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)
    averages = state['batch_stats']
    np.testing.assert_allclose(averages['mean'], 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(averages['var'], 0.9 + 0.1 * variance, rtol=1e-5)

  def test_group_norm_takes_each_example_by_itself(self):
    layer = layers.norm('group', None)
    x = 3 + 2 * _draw(2, 3, 3, 64)
    out, params, state = layering.init(layer, jax.random.key(0), x)
    assert not state
    groups = x.reshape(2, 9, 32, 2)
    mean, variance = (
      f(groups, axis=(1, 3), keepdims=True) for f in (np.mean, np.var)
    )
    expected = (groups - mean) / np.sqrt(variance + 1e-5)
    np.testing.assert_allclose(
      out, expected.reshape(x.shape), rtol=1e-4, atol=1e-5
    )
    alone, _ = layering.apply(layer, params, state, x[:1], train=True, key=None)
    np.testing.assert_allclose(alone, out[:1], rtol=1e-5, atol=1e-6)

  @parameterized.parameters('layer', '', 'Batch', None)
  def test_an_unknown_norm_is_refused(self, kind):
    with self.assertRaisesRegex(ValueError, "'group'.*got "):
      layers.norm(kind, None)


class BesideTest(parameterized.TestCase):
  def test_module_sees_only_the_first_columns(self):
    layer, x = layers.Beside(nn.Dense(4), 2), _draw(3, 5)
    out, params, state = layering.init(layer, jax.random.key(0), x)
    bias, kernel = map(np.asarray, jax.tree.leaves(params))
    assert not state
    assert kernel.shape == (3, 4)
    np.testing.assert_allclose(out[:, :4], x[:, :3] @ kernel + bias, rtol=1e-5)
    np.testing.assert_array_equal(out[:, 4:], x[:, 3:])

  def test_function_leaves_the_last_columns_unchanged(self):
    x = _draw(3, 5)
    out, params, _ = layering.init(
      layers.Beside(nn.relu, 2), jax.random.key(0), x
    )
    assert not params
    expected = np.concatenate([np.maximum(x[:, :3], 0), x[:, 3:]], axis=1)
    np.testing.assert_array_equal(out, expected)

  def test_nothing_beside_is_the_layer_itself(self):
    x = _draw(3, 5)
    out, _, _ = layering.init(layers.Beside(nn.relu, 0), jax.random.key(0), x)
    np.testing.assert_array_equal(out, np.maximum(x, 0))

  def test_the_columns_beside_take_the_dtype_of_the_layer(self):
    layer = layers.Beside(nn.Dense(4, dtype=jnp.bfloat16), 2)
    out, params, _ = layering.init(layer, jax.random.key(0), _draw(3, 5))
    assert out.dtype == jnp.bfloat16
    assert {x.dtype for x in jax.tree.leaves(params)} == {jnp.dtype('float32')}

  @parameterized.parameters(
    (nn.Dense(4), 'Beside Dense 4'), (nn.relu, 'Beside relu')
  )
  def test_is_described_by_its_layer(self, layer, expected):
    assert layering.name(layers.Beside(layer, 2)) == expected
