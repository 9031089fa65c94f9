import functools

from absl.testing import parameterized
from flax import linen as nn
import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax.models.conv import by_library
from splitjax.models.conv import layer

# Size of the images, of the window, strides, padding.
GEOMETRIES = {
  '3x3': ((6, 5), (3, 3), (1, 1), 'SAME'),
  '3x3_stride_2': ((7, 6), (3, 3), (2, 2), 'SAME'),
  '7x7_stride_2': ((9, 8), (7, 7), (2, 2), ((3, 3), (3, 3))),
  '1x1': ((4, 3), (1, 1), (1, 1), 'VALID'),
  '1x1_stride_2': ((5, 6), (1, 1), (2, 2), ((0, 0), (0, 0))),
  'uneven_padding': ((5, 6), (3, 3), (1, 1), ((2, 0), (0, 1))),
  'cropped': ((6, 6), (3, 3), (1, 1), ((-1, 0), (1, -2))),
  'even_window': ((6, 5), (2, 4), (1, 1), 'SAME'),
  'even_window_stride_2': ((7, 7), (2, 2), (2, 2), 'SAME'),
  'stride_beyond_window': ((8, 7), (2, 2), (3, 3), 'VALID'),
  'unequal_strides': ((6, 7), (3, 2), (1, 2), 'SAME'),
  'valid': ((6, 5), (3, 3), (1, 1), 'VALID'),
  'valid_leaves_a_rest': ((8, 8), (3, 3), (2, 2), 'VALID'),
  'window_is_the_image': ((4, 4), (4, 4), (1, 1), 'VALID'),
  'row_of_columns': ((6, 5), (1, 3), (1, 1), 'SAME'),
  'column_of_rows': ((5, 6), (3, 1), (1, 1), 'SAME'),
  'wide_image': ((3, 9), (2, 3), (1, 2), 'VALID'),
  'taller_than_the_image': ((3, 8), (4, 2), (1, 1), 'SAME'),
  'one_pixel': ((1, 1), (3, 3), (1, 1), 'SAME'),
  'four_pixels': ((2, 2), (3, 3), (1, 1), 'SAME'),
  'four_outputs': ((4, 4), (3, 3), (2, 2), ((1, 1), (1, 1))),
  'outputs_of_padding': ((2, 1), (3, 3), (2, 4), ((3, 3), (2, 4))),
  'no_outputs': ((2, 3), (3, 3), (1, 1), 'VALID'),
  'padding_beyond_window': ((3, 3), (2, 2), (1, 1), ((3, 3), (2, 4))),
}


def _case(name, dtype='float32', *, batch=(2,), num_kernels=()):
  """Inputs and a kernel; ours and theirs at a geometry, or one by name."""
  size, window, strides, padding = GEOMETRIES.get(name, name)
  rng = np.random.default_rng(0)
  draw = lambda *shape: jnp.asarray(rng.normal(size=shape), dtype)
  kwargs = dict(dimension_numbers=by_library.DIMENSIONS)
  ours, theirs = (
    lambda x, k, fn=fn: fn(x, k, strides, padding, **kwargs)
    for fn in (layer.conv, jax.lax.conv_general_dilated)
  )
  arrays = draw(*batch, *size, 3), draw(*num_kernels, *window, 3, 4)
  return arrays, ours, theirs


def _value_and_grads(fn):
  """The outputs, and the gradients of half their sum of squares."""

  def both(inputs, kernel):
    outputs, vjp_fn = jax.vjp(fn, inputs, kernel)
    return outputs, *vjp_fn(outputs)

  return both


def _along_one_axis():
  """Size, window, stride and padding of at least one output."""
  return st.tuples(
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(1, 3),
    st.tuples(st.integers(-1, 3), st.integers(0, 3)),
  ).filter(
    lambda drawn: (
      drawn[0] + min(0, *drawn[3]) > 0 and drawn[1] <= drawn[0] + sum(drawn[3])
    )
  )


def _run_both(ours, theirs, *arrays):
  """Both compiled as one, which halves what the tests take."""
  return jax.jit(lambda *arrays: (ours(*arrays), theirs(*arrays)))(*arrays)


def _assert_close(actual, expected, **kwargs):
  kwargs = {'rtol': 1e-4, 'atol': 1e-4, **kwargs}
  for a, b in zip(
    jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True
  ):
    assert a.dtype == b.dtype
    a, b = (np.asarray(x, np.float64) for x in (a, b))
    np.testing.assert_allclose(a, b, **kwargs)


class ConvTest(parameterized.TestCase):
  @parameterized.parameters(*GEOMETRIES)
  def test_value_and_gradients_equal_those_of_lax(self, name):
    arrays, ours, theirs = _case(name)
    both = _value_and_grads(ours), _value_and_grads(theirs)
    _assert_close(*_run_both(*both, *arrays))

  @hypothesis.settings(max_examples=10)  # Each is a program of its own.
  @hypothesis.given(_along_one_axis(), _along_one_axis())
  def test_any_geometry_equals_that_of_lax(self, rows, columns):
    size, window, strides, padding = zip(rows, columns, strict=True)
    arrays, ours, theirs = _case((size, window, strides, padding))
    both = _value_and_grads(ours), _value_and_grads(theirs)
    _assert_close(*_run_both(*both, *arrays))

  @parameterized.parameters('3x3', '7x7_stride_2', 'four_pixels')
  def test_bfloat16_is_kept_and_close_to_float32(self, name):
    arrays, ours, theirs = _case(name, 'bfloat16')

    def widened(*arrays):
      arrays = [x.astype(jnp.float32) for x in arrays]
      exact = _value_and_grads(theirs)(*arrays)
      return [x.astype(jnp.bfloat16) for x in exact]

    both = _run_both(_value_and_grads(ours), widened, *arrays)
    _assert_close(*both, rtol=5e-2, atol=2e-1)

  @parameterized.parameters('3x3_stride_2', 'four_outputs')
  def test_float64_is_not_rounded(self, name):
    with jax.enable_x64(True):
      arrays, ours, theirs = _case(name, 'float64')
      both = _value_and_grads(ours), _value_and_grads(theirs)
      _assert_close(*_run_both(*both, *arrays), rtol=1e-12, atol=1e-12)

  @parameterized.product(
    name=['3x3', '3x3_stride_2', 'four_pixels'],
    mapped=[(0, None), (None, 0), (0, 0)],
  )
  def test_vmap_equals_a_loop_of_lax(self, name, mapped):
    arrays, ours, theirs = _case(
      name,
      batch=(3, 2) if mapped[0] == 0 else (2,),
      num_kernels=(3,) if mapped[1] == 0 else (),
    )

    def loop(*arrays):
      pick = lambda x, axis, i: x if axis is None else x[i]
      each = [map(pick, arrays, mapped, (i, i)) for i in range(3)]
      found = [_value_and_grads(theirs)(*one) for one in each]
      return [jnp.stack(parts) for parts in zip(*found, strict=True)]

    vmapped = jax.vmap(_value_and_grads(ours), mapped)
    _assert_close(*_run_both(vmapped, loop, *arrays))

  def test_vmap_over_other_axes_than_the_first_equals_a_loop(self):
    (inputs, kernels), ours, theirs = _case(
      '3x3', batch=(3, 2), num_kernels=(3,)
    )

    def vmapped(inputs, kernels):
      moved = jnp.moveaxis(inputs, 0, 2), jnp.moveaxis(kernels, 0, -1)
      return jax.vmap(ours, in_axes=(2, -1), out_axes=1)(*moved)

    loop = lambda *arrays: jnp.stack(list(map(theirs, *arrays)), axis=1)
    _assert_close(*_run_both(vmapped, loop, inputs, kernels))

  def test_nested_vmap_equals_nested_loops(self):
    (inputs, kernels), ours, theirs = _case(
      '3x3', batch=(3, 2), num_kernels=(2,)
    )

    def loops(inputs, kernels):
      rows = [[_value_and_grads(theirs)(x, k) for x in inputs] for k in kernels]
      stack = lambda *parts: jnp.stack(parts)
      return jax.tree.map(stack, *(jax.tree.map(stack, *row) for row in rows))

    over_inputs = jax.vmap(_value_and_grads(ours), (0, None))
    vmapped = jax.vmap(over_inputs, (None, 0))
    _assert_close(*_run_both(vmapped, loops, inputs, kernels))

  @parameterized.parameters('3x3_stride_2', 'even_window')
  def test_descent_inside_a_scan_equals_that_with_lax(self, name):
    (inputs, kernel), ours, theirs = _case(name, batch=(3, 2))

    def descend(fn, inputs, kernel):
      def step(kernel, x):
        loss_fn = lambda k, x: jnp.mean(jnp.square(fn(x, k)))
        loss, grads = jax.value_and_grad(loss_fn, (0, 1))(kernel, x)
        return kernel - 0.1 * grads[0], (loss, grads[1])

      return jax.lax.scan(step, kernel, inputs)

    both = (functools.partial(descend, fn) for fn in (ours, theirs))
    _assert_close(*_run_both(*both, inputs, kernel))

  @parameterized.parameters('3x3', 'valid_leaves_a_rest')
  def test_gradients_of_gradients_equal_those_of_lax(self, name):
    arrays, ours, theirs = _case(name)

    def squared_grads(fn, *arrays):
      loss_fn = lambda x, k: jnp.mean(fn(x, k) ** 3)
      grads = jax.grad(loss_fn, (0, 1))(*arrays)
      return sum(jnp.sum(jnp.square(g)) for g in grads)

    both = (
      jax.grad(functools.partial(squared_grads, fn), (0, 1))
      for fn in (ours, theirs)
    )
    _assert_close(*_run_both(*both, *arrays), atol=1e-3)

  @parameterized.parameters(0, 1)
  def test_empty_batches_and_single_examples_are_fine(self, batch):
    arrays, ours, theirs = _case('3x3_stride_2', batch=(batch,))
    both = _value_and_grads(ours), _value_and_grads(theirs)
    _assert_close(*_run_both(*both, *arrays))

  @parameterized.named_parameters(
    ('dilated_kernel', (6, 5), 3, dict(rhs_dilation=(2, 1))),
    ('dilated_inputs', (6, 5), 3, dict(lhs_dilation=(1, 2))),
    ('groups', (6, 5), 1, dict(feature_group_count=3)),
    ('one_axis', (6,), 3, {}),
    ('three_axes', (4, 3, 5), 3, {}),
  )
  def test_other_convolutions_are_left_to_lax(self, size, channels, kwargs):
    rng = np.random.default_rng(0)
    window = (3,) * len(size)
    inputs = jnp.asarray(rng.normal(size=(2, *size, 3)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(*window, channels, 6)), jnp.float32)
    axes = 'DHW'[-len(size) :]
    kwargs |= dict(dimension_numbers=(f'N{axes}C', f'{axes}IO', f'N{axes}C'))
    ones = (1,) * len(size)
    ours, theirs = (
      lambda x, k, fn=fn: fn(x, k, ones, ((1, 1),) * len(size), **kwargs)
      for fn in (layer.conv, jax.lax.conv_general_dilated)
    )
    assert 'custom_vjp' not in str(jax.make_jaxpr(ours)(inputs, kernel))
    both = _value_and_grads(ours), _value_and_grads(theirs)
    _assert_close(*_run_both(*both, inputs, kernel))


@pytest.mark.parametrize(
  'change',
  [
    dict(strides=2),
    dict(padding=1),
    dict(padding='VALID'),
    dict(padding='CIRCULAR'),
    dict(kernel_size=(2, 2)),
    dict(kernel_dilation=2),
    dict(feature_group_count=3),
  ],
  ids=str,
)
def test_layer_equals_that_of_flax(change):
  kwargs = {'features': 6, 'kernel_size': (3, 3), **change}
  rng = np.random.default_rng(0)
  inputs = jnp.asarray(rng.normal(size=(2, 6, 5, 3)), jnp.float32)
  ours, theirs = layer.Conv(**kwargs), nn.Conv(**kwargs)
  variables = jax.tree.map(
    lambda x: jnp.asarray(rng.normal(size=x.shape), x.dtype),
    jax.eval_shape(theirs.init, jax.random.key(0), inputs),
  )
  _assert_close(*_run_both(ours.apply, theirs.apply, variables, inputs))


@pytest.mark.parametrize('size, num_pairs', [(1, 1), (2, 16)])
def test_padding_of_small_images_is_not_multiplied(size, num_pairs):
  inputs, kernel = jnp.ones((8, size, size, 32)), jnp.ones((3, 3, 32, 64))
  fn = layer.Conv(64, (3, 3), use_bias=False).apply
  compiled = jax.jit(fn).lower({'params': {'kernel': kernel}}, inputs).compile()
  # A multiplication and an addition for each image, pair of a pixel with an
  # output that sees it, and pair of channels.
  exact = 2 * 8 * num_pairs * 32 * 64
  assert compiled.cost_analysis()['flops'] < 1.1 * exact
