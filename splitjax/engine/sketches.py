"""How what crosses wide cuts is kept: summed over neighbours, or projected."""

from collections.abc import Callable, Sequence
import math

import jax
import jax.numpy as jnp

from splitjax.records import pooling
from splitjax.records import projection
from splitjax.training import shapes
from splitjax.training.split import Model

SketchFn = Callable[[Sequence[jax.Array]], tuple[jax.Array, ...]]


def make_sketch(
  key: jax.Array, model: Model, example: jax.Array, width: int
) -> SketchFn:
  """Make a function that keeps what crosses, and shrinks what is wide.

  Images are summed over neighbouring positions until they fit, which keeps the
  weak directions of a class that a random projection loses. What has no
  positions, or not enough of them, is projected. One function serves gradients
  and smashed data, all runs, epochs and phases.

  Args:
    key: random key for the projections.
    model: the split model.
    example: inputs `[B, ...]`; only their shape matters.
    width: what is wider is shrunk to this width or less; 0 for never.

  Returns:
    From what crosses each cut, `[B, ...]`, to as many `[B, D]`, float32.
  """
  steps = []
  cut_shapes = shapes.cut_shapes(model, example)
  for where, shape in zip(model.crossings, cut_shapes, strict=True):
    factor = pooling.factor_for(shape, width)
    pooled = pooling.pooled_shape(shape, factor)
    drawn = None
    if 0 < width < math.prod(pooled):
      drawn = projection.draw(
        _key_of(key, **where),
        num_features=math.prod(pooled),
        width=width,
      )
    steps.append((factor, drawn))

  def sketch_fn(vectors: Sequence[jax.Array]) -> tuple[jax.Array, ...]:
    return tuple(
      _shrink(x, factor, drawn)
      for (factor, drawn), x in zip(steps, vectors, strict=True)
    )

  return sketch_fn


def kept_shapes(
  model: Model, example: jax.Array, width: int
) -> list[tuple[int, ...]]:
  """Return the shape in which a sample of each cut is kept.

  Args:
    model: the split model.
    example: inputs `[B, ...]`; only their shape matters.
    width: as in `make_sketch`.

  Returns:
    Height, width and channels where positions are left; else a single number.
  """
  found = []
  for shape in shapes.cut_shapes(model, example):
    pooled = pooling.pooled_shape(shape, pooling.factor_for(shape, width))
    fits = not 0 < width < math.prod(pooled)
    found.append(pooled if fits else (width,))
  return found


def _key_of(key: jax.Array, cut: int, party: int = 0) -> jax.Array:
  """Return the key of a cut's projection, its own for each party."""
  key = jax.random.fold_in(key, cut)
  return jax.random.fold_in(key, party) if party else key


def _shrink(
  x: jax.Array, factor: int, drawn: projection.Projection | None
) -> jax.Array:
  """Sum over neighbours, flatten, and project."""
  x = pooling.sum_neighbours(x, factor)
  if drawn is not None:
    return projection.project(drawn, x)
  return x.reshape(len(x), -1).astype(jnp.float32)
