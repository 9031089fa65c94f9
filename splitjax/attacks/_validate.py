"""Checks of arguments at trace time; each message names the argument."""

from collections.abc import Sequence
import numbers

import jax
import jax.numpy as jnp


def matrices(**arrays: jax.Array | jax.ShapeDtypeStruct) -> None:
  """Check that arrays are real matrices `[rows, D]` of one width `D >= 1`.

  Args:
    **arrays: arrays by the names that the messages call them.

  Raises:
    ValueError: if one is not a matrix of a floating type, or if the widths
      differ.
  """
  width_of = None
  for name, array in arrays.items():
    shape, dtype = jnp.shape(array), jnp.result_type(array)
    if len(shape) != 2 or shape[1] < 1:
      raise ValueError(f'{name} must have shape [rows, D], got {shape}.')
    if not jnp.issubdtype(dtype, jnp.floating):
      raise ValueError(f'{name} must be of a floating type, got {dtype}.')
    if width_of is None:
      width_of = (name, shape[1])
    elif shape[1] != width_of[1]:
      raise ValueError(
        f'{name} must be as wide as {width_of[0]} ({width_of[1]}), got '
        f'{shape[1]}.'
      )


def automatic(**arrays: jax.Array) -> None:
  """Check that no array is sharded over axes of a mesh that are explicit."""
  for name, array in arrays.items():
    sharding = jax.typeof(array).sharding
    explicit = set(sharding.mesh.explicit_axes) & set(
      jax.tree.leaves(tuple(sharding.spec))
    )
    if explicit:
      raise ValueError(
        f'{name} must be sharded over automatic axes of a mesh, got explicit '
        f'{sorted(explicit)}: make the mesh with '
        'axis_types=(jax.sharding.AxisType.Auto,).'
      )


def labels_of(name: str, labels: jax.Array, vectors: jax.Array) -> None:
  """Check that there is one integer label for each row of `vectors`."""
  shape, dtype = jnp.shape(labels), jnp.result_type(labels)
  if shape != jnp.shape(vectors)[:1] or shape == (0,):
    raise ValueError(
      f'{name} must have shape {jnp.shape(vectors)[:1]}, one label a vector '
      f'and at least one, got {shape}.'
    )
  if not jnp.issubdtype(dtype, jnp.integer):
    raise ValueError(f'{name} must be integers, got {dtype}.')


def targets_of(name: str, targets: jax.Array, vectors: jax.Array) -> None:
  """Check that there is one real number for each row of `vectors`."""
  shape, dtype = jnp.shape(targets), jnp.result_type(targets)
  expected = jnp.shape(vectors)[:1]
  if shape != expected or not jnp.issubdtype(dtype, jnp.floating):
    raise ValueError(
      f'{name} must be floating of shape {expected}, got {dtype} of {shape}.'
    )


def known_samples(
  vectors: jax.Array, aux_vectors: jax.Array, aux_labels: jax.Array
) -> None:
  """Check vectors to label, and auxiliary vectors with their labels."""
  matrices(vectors=vectors, aux_vectors=aux_vectors)
  automatic(vectors=vectors)
  labels_of('aux_labels', aux_labels, aux_vectors)


def choice(name: str, value: object, accepted: Sequence[str]) -> None:
  """Check that a value is one of those accepted."""
  if value not in accepted:
    raise ValueError(f'{name} must be one of {accepted}, got {value!r}.')


def count(
  name: str, value: int, *, at_least: int = 1, at_most: int | None = None
) -> None:
  """Check that an integer lies between two bounds, themselves included."""
  if isinstance(value, bool) or not isinstance(value, numbers.Integral):
    raise ValueError(f'{name} must be a whole number, got {value!r}.')
  if value < at_least or (at_most is not None and value > at_most):
    upper = '' if at_most is None else f' and at most {at_most}'
    raise ValueError(f'{name} must be at least {at_least}{upper}, got {value}.')
