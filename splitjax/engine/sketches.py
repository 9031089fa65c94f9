"""How what crosses wide cuts is kept: flattened, and projected at random."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from splitjax.records import projection
from splitjax.training import shapes
from splitjax.training.split import SplitModel

SketchFn = Callable[[Sequence[jax.Array]], tuple[jax.Array, ...]]


def make_sketch(
  key: jax.Array, model: SplitModel, example: jax.Array, width: int
) -> SketchFn:
  """Make a function that flattens what crosses, and projects what is wide.

  One function serves gradients and smashed data, all runs, epochs and phases.

  Args:
    key: random key for the projections.
    model: the split model.
    example: inputs `[B, ...]`; only their shape matters.
    width: what is wider is projected to this width; 0 for no projection.

  Returns:
    From what crosses each cut, `[B, ...]`, to as many `[B, D]`, float32.
  """
  drawn = []
  for cut, features in zip(
    model.cuts, shapes.cut_widths(model, example), strict=True
  ):
    wide = 0 < width < features
    key_cut = jax.random.fold_in(key, cut)
    drawn.append(
      projection.draw(key_cut, num_features=features, width=width)
      if wide
      else None
    )

  def sketch_fn(vectors: Sequence[jax.Array]) -> tuple[jax.Array, ...]:
    return tuple(
      x.reshape(len(x), -1).astype(jnp.float32)
      if one is None
      else projection.project(one, x)
      for one, x in zip(drawn, vectors, strict=True)
    )

  return sketch_fn
