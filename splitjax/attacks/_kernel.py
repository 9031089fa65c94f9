"""Compiles public kernels, and checks what they are called with on the host.

At trace time an array is a shape and a type. What a NumPy array holds beside
these is seen here alone: its byte order, objects, numbers that float32 or int32
cannot hold. Nothing that is on a device is read.
"""

from collections.abc import Callable, Sequence
import functools
import inspect
import numbers
import typing
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

P = ParamSpec('P')
R = TypeVar('R')

_NUMBERS = (float, float | jax.Array, jax.typing.ArrayLike)


def jit(
  fn: Callable[P, R], *, static_argnames: str | Sequence[str] = ()
) -> Callable[P, R]:
  """Compile a kernel as `jax.jit` does, for arrays of any origin.

  Lists, data frames and arrays of other byte orders are made arrays that JAX
  takes.

  Args:
    fn: the kernel; type hints say which arguments are arrays and numbers.
    static_argnames: as for `jax.jit`.

  Returns:
    The kernel. It raises ValueError naming the argument that is no array of
    numbers, does not fit the types at hand, or is no finite number.
  """
  compiled = jax.jit(fn, static_argnames=static_argnames)
  hints = typing.get_type_hints(fn)
  names = tuple(inspect.signature(fn).parameters)
  if isinstance(static_argnames, str):
    static_argnames = (static_argnames,)
  to_argument = {
    name: functools.partial(
      _convert(hints[name], name in static_argnames), name
    )
    for name in names
  }

  @functools.wraps(fn)
  def call(*args: Any, **kwargs: Any) -> Any:
    ready = [
      to_argument[name](one) for name, one in zip(names, args, strict=False)
    ]
    named = {
      name: to_argument[name](one) if name in to_argument else one
      for name, one in kwargs.items()
    }
    found = compiled(*ready, *args[len(names) :], **named)
    return _read_by_now(found, (ready, named))

  for name in ('lower', 'trace', 'eval_shape', '_cache_size'):
    setattr(call, name, getattr(compiled, name))
  # pyrefly: ignore[bad-return]
  return call


def _read_by_now(found: Any, given: Any) -> Any:
  """Return what was found, once no memory of NumPy is read any more.

  JAX may read it in place, and while the caller goes on, which may change it.
  """
  is_host = lambda tree: any(
    isinstance(x, np.ndarray) for x in jax.tree.leaves(tree)
  )
  is_traced = any(
    isinstance(x, jax.core.Tracer) for x in jax.tree.leaves(found)
  )
  if is_host(given) and not is_traced:
    jax.block_until_ready(found)
  return found


def _convert(hint: Any, is_static: bool) -> Callable[[str, Any], Any]:
  """Return what makes an argument ready, by its type hint."""
  if is_static:
    return _check_static
  if hint == jax.Array:
    return to_array
  if hint == (jax.Array | None):
    return lambda name, one: None if one is None else to_array(name, one)
  return _check_number if hint in _NUMBERS else to_arrays


def _check_static(name: str, value: Any) -> Any:
  """Raise for what JAX cannot compile for."""
  try:
    hash(value)
  except TypeError:
    raise ValueError(
      f'{name} must be a name or a number, got {type(value).__name__}.'
    ) from None
  return value


def _check_number(name: str, value: Any) -> Any:
  """Raise for what is no finite number; arrays are taken as they are."""
  if isinstance(value, numbers.Real):
    if not np.isfinite(float(value)):
      raise ValueError(f'{name} must be a finite number, got {value}.')
  elif not isinstance(value, jax.Array | np.ndarray):
    raise ValueError(f'{name} must be a number, got {value!r}.')
  return value


def to_arrays(name: str, value: Any) -> Any:
  """Make the NumPy arrays in a tuple such as JAX takes, see `to_array`."""
  to_leaf = lambda leaf: (
    to_array(name, leaf) if isinstance(leaf, np.ndarray) else leaf
  )
  return jax.tree.map(to_leaf, value)


def to_array(name: str, value: Any) -> Any:
  """Return an array that JAX takes.

  Args:
    name: name of the argument, for the message.
    value: anything that NumPy makes an array of; arrays of JAX stay.

  Returns:
    The array.

  Raises:
    ValueError: if it does not hold numbers, or some that do not fit 32 bits
      where JAX has no more.

  Example:
    >>> to_array('aux_labels', np.array([1, 2], '>i4')).dtype.isnative
    True
    >>> to_array('vectors', ['a', 'b'])
    Traceback (most recent call last):
    ValueError: vectors must hold numbers, got <U1.
  """
  if isinstance(value, jax.Array):
    return value
  if value is None:
    raise ValueError(f'{name} must be an array, got None.')
  try:
    array = np.asarray(value)
  except (TypeError, ValueError, RuntimeError) as error:
    text = ' '.join(f'{error}'.split())[:120]
    raise ValueError(
      f'{name} must be an array, got {type(value).__name__}: {text}'
    ) from None
  dtype = array.dtype
  if not (jnp.issubdtype(dtype, jnp.number) or dtype == np.bool_):
    raise ValueError(f'{name} must hold numbers, got {dtype}.')
  if not dtype.isnative:
    array = array.astype(dtype.newbyteorder('='))
  # pyrefly: ignore[missing-attribute]
  if dtype.itemsize > 4 and array.size and not jax.config.jax_enable_x64:
    array = _narrow(name, array)
  return array


def _narrow(name: str, array: np.ndarray) -> np.ndarray:
  """Return an array in 32 bits, or raise if its numbers do not fit."""
  low, high = array.min(), array.max()
  if array.dtype.kind in 'iu':
    limits = np.iinfo(np.int32 if array.dtype.kind == 'i' else np.uint32)
    if low < limits.min or high > limits.max:
      outside = low if low < limits.min else high
      raise ValueError(
        f'{name} must lie between {limits.min} and {limits.max}, got {outside}.'
      )
    return array
  if array.dtype.kind != 'f':
    return array
  limits = np.finfo(np.float32)
  largest = max(-low, high)
  if np.isfinite(largest) and (
    largest > limits.max or 0 < largest < limits.tiny
  ):
    raise ValueError(
      f'{name} must fit float32 ({limits.tiny:.0e} to {limits.max:.0e}), got '
      f'{largest:g}; scale them, or enable 64 bits in JAX.'
    )
  with np.errstate(over='ignore'):  # An infinity beside it is no number.
    return array.astype(np.float32)
