"""Which features of a tensorflow-datasets set are labels, and which inputs."""

from typing import Any, NamedTuple

import numpy as np


class Choice(NamedTuple):
  """Features by what they are for.

  Attributes:
    label: key of the labels.
    inputs: keys of the inputs: one text or image, or the columns of a table.
    is_table: whether the inputs are columns.
  """

  label: str
  inputs: tuple[str, ...]
  is_table: bool


def choose_features(
  name: str,
  info: Any,
  *,
  label_column: str | None,
  text_column: str | None,
  target: str | None,
) -> Choice:
  """Return which features are the labels and which the inputs.

  The inputs are a table if the set declares several features or a vector as its
  input, or if it has neither texts nor images.

  Args:
    name: name of the set, for messages.
    info: what the set says of itself.
    label_column: key of the labels; None for those that the set declares, or
      the only one of a kind.
    text_column: key of the input, a text or an image; None for the same.
    target: what the labels are, 'class' or 'real'; None for either.

  Raises:
    ValueError: if there is none, or it is not clear which.
  """
  own = info.supervised_keys
  own = own if isinstance(own, tuple) and len(own) == 2 else (None, None)
  features = sorted(info.features.items())  # The files keep no order.
  classes = [key for key, feature in features if is_class(feature)]
  real = [key for key, feature in features if is_real(feature)]
  whole = [key for key, feature in features if is_whole(feature)]
  inputs = [key for key, one in features if is_text(one) or is_image(one)]
  kinds = (real, whole) if target == 'real' else (classes, real, whole)
  stated = own[1] if isinstance(own[1], str) else None
  label = _choose('label_column', label_column, stated, kinds, name, info)
  inputs = [key for key in inputs if key != label]
  columns = [key for key, one in features if key != label and is_column(one)]
  declared = own[0] if isinstance(own[0], str) else None
  several = own[0] is not None and declared is None
  vector = declared in columns and declared not in inputs
  if text_column is None and columns and (several or vector or not inputs):
    meant = _keys_of(own[0]) if several or vector else columns
    found = [key for key in columns if key in meant] or columns
    return Choice(label, tuple(found), True)
  key = _choose('text_column', text_column, declared, (inputs,), name, info)
  return Choice(label, (key,), False)


def _keys_of(structure: Any) -> list[str]:
  """Return the keys in what a set declares as its input."""
  if isinstance(structure, str):
    return [structure]
  parts = structure.values() if isinstance(structure, dict) else structure
  return [key for part in parts for key in _keys_of(part)]


def _choose(
  argument: str,
  wanted: str | None,
  default: str | None,
  candidates: tuple[list[str], ...],
  name: str,
  info: Any,
) -> str:
  """Return the feature that is wanted, declared, or the only one of a kind.

  Args:
    argument: argument of `load_tfds` that `wanted` is, for the message.
    wanted: key of the feature that the user asks for, if any.
    default: key of the feature that the set declares, if any.
    candidates: keys of the features that would do, by kind, in the order in
      which the only one of a kind is taken.
    name: name of the set.
    info: what the set says of itself.

  Returns:
    The key of the feature.

  Raises:
    ValueError: if there is none, or it is not clear which.
  """
  known = [key for kind in candidates for key in kind]
  if wanted in known:
    return wanted
  if wanted is None and default in known:
    return default
  if not known:
    raise ValueError(
      f'{argument} must be a feature of {name}, which has none of the kind; '
      f'it has {", ".join(sorted(info.features))}.'
    )
  first = next(kind for kind in candidates if kind)
  if wanted is None and len(first) == 1:
    return first[0]
  raise ValueError(
    f'{argument} must be one of {", ".join(known)} in {name}, got {wanted!r}.'
  )


def is_class(feature: Any) -> bool:
  """Return whether a feature is a class."""
  from tensorflow_datasets import features as kinds

  return isinstance(feature, kinds.ClassLabel)


def is_real(feature: Any) -> bool:
  """Return whether a feature is one floating number."""
  return _is_scalar(feature, np.floating)


def is_whole(feature: Any) -> bool:
  """Return whether a feature is one integer that is no class."""
  return not is_class(feature) and _is_scalar(feature, np.integer)


def is_text(feature: Any) -> bool:
  """Return whether a feature is a text."""
  from tensorflow_datasets import features as kinds

  return isinstance(feature, kinds.Text)


def is_image(feature: Any) -> bool:
  """Return whether a feature is an image."""
  from tensorflow_datasets import features as kinds

  return isinstance(feature, kinds.Image)


def is_column(feature: Any) -> bool:
  """Return whether a feature is a column of a table, or several."""
  if is_image(feature):
    return False
  shape = feature.shape
  if is_text(feature) or shape == ():
    return _dtype_of(feature) is not None
  return (
    isinstance(shape, tuple)
    and len(shape) == 1
    and bool(shape[0])
    and _is_number(feature)
  )


def _dtype_of(feature: Any) -> np.dtype | None:
  """Return the type of a feature's values; None of a nested feature."""
  try:
    return np.dtype(feature.np_dtype)
  except (AttributeError, TypeError):
    return None


def _is_number(feature: Any) -> bool:
  """Return whether a feature holds numbers or booleans."""
  dtype = _dtype_of(feature)
  return dtype is not None and dtype.kind in 'iufb'


def _is_scalar(feature: Any, kind: type) -> bool:
  """Return whether a feature is one number of a kind."""
  dtype = _dtype_of(feature)
  return (
    feature.shape == () and dtype is not None and np.issubdtype(dtype, kind)
  )
