from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np

from splitjax.models import layers


class ConvByProductTest(parameterized.TestCase):
  @parameterized.product(
    kernel_shape=[(1, 1), (3, 3), (5, 3)],
    dtype=['float32', 'bfloat16'],
  )
  def test_equals_the_convolution_and_its_gradients(self, kernel_shape, dtype):
    rng = np.random.default_rng(0)
    inputs = jnp.asarray(rng.normal(size=(2, 6, 5, 3)), dtype)
    kernel = jnp.asarray(rng.normal(size=(*kernel_shape, 3, 4)), dtype)
    kwargs = dict(dimension_numbers=('NHWC', 'HWIO', 'NHWC'))
    ours = lambda x, k: layers.conv_by_product(x, k, (1, 1), 'SAME', **kwargs)
    theirs = lambda x, k: jax.lax.conv_general_dilated(
      x, k, (1, 1), 'SAME', **kwargs
    )
    tolerance = dict(
      rtol=1e-4 if dtype == 'float32' else 5e-2,
      atol=1e-4 if dtype == 'float32' else 2e-1,
    )
    as_float = lambda x: np.asarray(x, np.float32)
    np.testing.assert_allclose(
      as_float(jax.jit(ours)(inputs, kernel)),
      as_float(theirs(inputs, kernel)),
      **tolerance,
    )
    square = lambda fn: lambda *args: (fn(*args).astype(float) ** 2).sum()
    for actual, expected in zip(
      jax.grad(square(ours), (0, 1))(inputs, kernel),
      jax.grad(square(theirs), (0, 1))(inputs, kernel),
      strict=True,
    ):
      np.testing.assert_allclose(
        as_float(actual),
        as_float(expected),
        rtol=tolerance['rtol'],
        atol=100 * tolerance['atol'],
      )

  @parameterized.named_parameters(
    ('strides', dict(strides=(2, 2))),
    ('padding', dict(padding='VALID')),
    ('dilation', dict(kernel_dilation=2)),
    ('groups', dict(feature_group_count=3)),
    ('even_kernel', dict(kernel_size=(2, 2))),
    ('one_axis', dict(kernel_size=(3,))),
  )
  def test_other_convolutions_are_lefts_to_jax(self, change):
    kwargs = {'features': 6, 'kernel_size': (3, 3), **change}
    shape = (2, 6, 5, 3) if len(kwargs['kernel_size']) == 2 else (2, 6, 3)
    inputs = jax.random.normal(jax.random.key(0), shape)
    ours = layers.Conv(**kwargs)
    variables = ours.init(jax.random.key(1), inputs)
    theirs = layers.nn.Conv(**kwargs)
    np.testing.assert_allclose(
      ours.apply(variables, inputs),
      theirs.apply(variables, inputs),
      rtol=1e-5,
      atol=1e-6,
    )


def test_max_pool_takes_maxima_of_windows():
  x = jnp.arange(16.0).reshape(1, 4, 4, 1)
  np.testing.assert_array_equal(
    layers.max_pool(x)[0, :, :, 0], [[5, 7], [13, 15]]
  )
