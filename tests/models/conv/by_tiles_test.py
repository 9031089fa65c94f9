import functools

import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax.models.conv import by_library
from splitjax.models.conv import by_tiles
from splitjax.models.conv import layer
from splitjax.models.conv.geometry import Geometry

_ONE_AROUND = ((1, 1), (1, 1))
# Size of the images, and padding.
GEOMETRIES = {
  'whole_tiles': ((8, 4), _ONE_AROUND),
  'one_row_over': ((9, 8), _ONE_AROUND),
  'one_column_short': ((4, 7), _ONE_AROUND),
  'valid': ((6, 9), ((0, 0), (0, 0))),
  'uneven_padding': ((5, 6), ((2, 0), (0, 1))),
  'cropped': ((8, 7), ((-1, 1), (1, -2))),
  'padding_beyond_the_window': ((3, 3), ((3, 4), (5, 3))),
  'one_pixel': ((1, 1), _ONE_AROUND),
  'one_output': ((3, 3), ((0, 0), (0, 0))),
}
# Enough channels and tiles for `conv` to choose this method.
_SHAPES = (32, 8, 8, 64), (3, 3, 64, 64)


def _draw(*shapes, dtype='float32'):
  rng = np.random.default_rng(0)
  return [jnp.asarray(rng.normal(size=shape), dtype) for shape in shapes]


def _geometry(size, padding, **kwargs):
  kwargs = dict(window=(3, 3), strides=(1, 1), precision=None) | kwargs
  return Geometry(size=size, padding=padding, **kwargs)


def _conv(fn, padding, inputs, kernel):
  dimensions = by_library.DIMENSIONS
  return fn(inputs, kernel, (1, 1), padding, dimension_numbers=dimensions)


def _value_and_grads(fn, inputs, kernel):
  """The outputs, and the gradients of half their sum of squares."""
  outputs, vjp_fn = jax.vjp(fn, inputs, kernel)
  return outputs, *vjp_fn(outputs)


def _assert_equals_lax(size, padding):
  """Not rounded to float32, and so equal up to the rounding of float64."""
  with jax.enable_x64(True):
    arrays = _draw((2, *size, 3), (3, 3, 3, 4), dtype='float64')
    geometry = _geometry(size, padding)
    theirs = functools.partial(_conv, jax.lax.conv_general_dilated, padding)

    @jax.jit
    def both(inputs, kernel):
      outputs = by_tiles.outputs(geometry, inputs, kernel)
      ours = (
        outputs,
        by_tiles.input_grads(geometry, outputs, kernel),
        by_tiles.kernel_grads(geometry, inputs, outputs),
      )
      return ours, _value_and_grads(theirs, inputs, kernel)

    for ours, expected in zip(*both(*arrays), strict=True):
      assert ours.dtype == np.float64
      np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize('name', GEOMETRIES)
def test_outputs_and_gradients_equal_those_of_lax(name):
  _assert_equals_lax(*GEOMETRIES[name])


@hypothesis.settings(max_examples=8)  # Each is a program of its own.
@hypothesis.given(
  size=st.tuples(st.integers(1, 10), st.integers(1, 10)),
  padding=st.tuples(*[st.tuples(st.integers(-1, 4), st.integers(-1, 4))] * 2),
)
@pytest.mark.slow
def test_any_size_and_padding_equal_those_of_lax(size, padding):
  for length, pair in zip(size, padding, strict=True):
    hypothesis.assume(length + min(0, pair[0]) + min(0, pair[1]) > 0)
    hypothesis.assume(length + sum(pair) >= 3)
  _assert_equals_lax(size, padding)


def _sum_of_cubes(fn, *arrays):
  return jnp.mean(fn(*arrays) ** 3)


def _second_grads(fn, *arrays):
  """Of the sum of squares of the first ones."""

  def squared(*arrays):
    grads = jax.grad(functools.partial(_sum_of_cubes, fn), (0, 1))(*arrays)
    return sum(jnp.sum(jnp.square(g)) for g in grads)

  return jax.grad(squared, (0, 1))(*arrays)


def _descend(fn, inputs, kernel):
  """Two steps inside a scan, half of the images each, twice: enough tiles."""

  def step(kernel, x):
    loss_fn = functools.partial(_sum_of_cubes, fn)
    loss, grads = jax.value_and_grad(loss_fn, (0, 1))(x, kernel)
    return kernel - 0.1 * grads[1], (loss, grads[0])

  halves = inputs.reshape(2, -1, *inputs.shape[1:])
  return jax.lax.scan(step, kernel, jnp.concatenate([halves, halves], axis=1))


@pytest.mark.parametrize('what', [_value_and_grads, _second_grads, _descend])
def test_chosen_by_conv_it_equals_lax_in_float32(what):
  arrays = inputs, kernel = _draw(*_SHAPES)
  geometry = _geometry(inputs.shape[1:3], _ONE_AROUND)
  assert by_tiles.suits(geometry, inputs, kernel)
  ours, theirs = (
    functools.partial(_conv, fn, _ONE_AROUND)
    for fn in (layer.conv, jax.lax.conv_general_dilated)
  )
  both = jax.jit(lambda *arrays: [what(fn, *arrays) for fn in (ours, theirs)])
  for found, expected in zip(*map(jax.tree.leaves, both(*arrays)), strict=True):
    largest = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, atol=3e-5 * largest, rtol=0)


@pytest.mark.parametrize('mapped', [(0, None), (None, 0), (0, 0)])
@pytest.mark.slow
def test_vmap_equals_a_loop_of_lax(mapped):
  shapes = [
    shape if axis is None else (2, *shape)
    for shape, axis in zip(_SHAPES, mapped, strict=True)
  ]
  ours, theirs = (
    functools.partial(_value_and_grads, functools.partial(_conv, fn, 'SAME'))
    for fn in (layer.conv, jax.lax.conv_general_dilated)
  )

  @jax.jit
  def both(*arrays):
    pick = lambda x, axis, i: x if axis is None else x[i]
    loop = [theirs(*map(pick, arrays, mapped, (i, i))) for i in range(2)]
    stacked = [jnp.stack(parts) for parts in zip(*loop, strict=True)]
    return jax.vmap(ours, mapped)(*arrays), stacked

  for found, expected in zip(*both(*_draw(*shapes)), strict=True):
    largest = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, atol=3e-5 * largest, rtol=0)


@pytest.mark.parametrize(
  'change',
  [
    dict(window=(1, 1)),
    dict(window=(3, 1)),
    dict(strides=(2, 1)),
    dict(precision=jax.lax.Precision.HIGHEST),
    dict(dtype='bfloat16'),
    dict(dtype='float16'),
    dict(channels=(32, 64)),
    dict(channels=(64, 32)),
    dict(batch=31),  # Too few tiles.
    dict(batch=0),
    dict(size=(5, 5), batch=128),  # More zeros than half.
    dict(size=(1, 1), batch=128),
  ],
  ids=str,
)
def test_others_are_left_to_a_library(change):
  assert _suits()
  assert not _suits(**change)


def _suits(
  size=_SHAPES[0][1:3],
  *,
  batch=_SHAPES[0][0],
  channels=_SHAPES[1][2:],
  dtype='float32',
  **kwargs,
):
  geometry = _geometry(size, _ONE_AROUND, **kwargs)
  shapes = (batch, *size, channels[0]), (*geometry.window, *channels)
  return by_tiles.suits(geometry, *_draw(*shapes, dtype=dtype))


def test_far_fewer_products_are_made_than_by_definition():
  inputs, kernel = _draw((8, 32, 32, 256), (3, 3, 256, 256))
  fn = functools.partial(_conv, layer.conv, 'SAME')
  compiled = jax.jit(fn).lower(inputs, kernel).compile()
  by_definition = 2 * 9 * 256 * inputs.size
  # A quarter; sums before and after are the rest.
  assert compiled.cost_analysis()['flops'] < 0.4 * by_definition
