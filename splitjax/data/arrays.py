"""Your own arrays as a `Dataset`: checked, split and standardised."""

from collections.abc import Sequence
import numbers
from typing import Any

import jax.numpy as jnp
import numpy as np

from splitjax import checks
from splitjax.data import dataset as dataset_lib
from splitjax.data import splitting
from splitjax.data import standardizing


def from_arrays(
  inputs: Any,
  labels: Any,
  *,
  test_inputs: Any = None,
  test_labels: Any = None,
  name: str = 'own',
  class_names: Sequence[str] | None = None,
  column_names: Sequence[str] = (),
  target: str = 'class',
  seed: int = 0,
  standardize: bool = True,
) -> dataset_lib.Dataset:
  """Make a data set of your own arrays.

  Integers of 16 bits or more of shape `[N, L]` are token ids of texts, where 0
  is padding: they are kept, and the vocabulary is as large as the largest id
  needs. All other inputs are numbers or images, and are standardised: images
  `[N, H, W, C]` by channel, tables `[N, F]` by column, with the mean and the
  standard deviation of the training part. So give a table of whole numbers in a
  floating type.

  Args:
    inputs: `[N, ...]`, of a floating or an integer type, or booleans.
    labels: `[N]`: integers or strings for classes, whose sorted distinct values
      become `0` to `C - 1`; or real numbers.
    test_inputs: inputs of the test part, `[M, ...]`. By default a fifth of the
      samples is held out at random, by class if the labels are classes.
    test_labels: labels of the test part, `[M]`; together with `test_inputs`.
    name: name of the data set, as the results show it.
    class_names: names of the classes, one for each distinct label in sorted
      order; by default the labels themselves.
    column_names: name of each column of a table; columns of one name, as those
      of a one-hot encoding, are held by one party.
    target: what the labels are, 'class' or 'real'. Real targets are
      standardised with the statistics of the training part.
    seed: seed of the random split.
    standardize: whether to standardise inputs that are no token ids; False if
      they are scaled already.

  Returns:
    The data set: float32 inputs or int32 token ids, and int32 classes or
    float32 real targets.

  Raises:
    ValueError: naming the argument, its value and what was expected, if shapes
      do not fit, a number is not finite, or the labels are not of the kind that
      `target` says.

  Example:
    >>> animals = from_arrays(
    ...   [[4.0, 1.0], [2.0, 9.0]] * 10, ['cat', 'bird'] * 10, name='animals'
    ... )
    >>> animals.class_names, animals.train_inputs.shape
    (('bird', 'cat'), (16, 2))
    >>> sorted(animals.test_labels.tolist())
    [0, 0, 1, 1]
  """
  dataset_lib.check_target(target)
  if (test_inputs is None) != (test_labels is None):
    given = 'test_labels' if test_inputs is None else 'test_inputs'
    raise ValueError(
      f'test_inputs and test_labels must be given together, got {given} only.'
    )
  inputs = _check_inputs('inputs', inputs)
  labels = _check_labels('labels', labels, len(inputs), target)
  if test_inputs is None:
    train, test = _split(labels, target, seed)
    parts = inputs[train], inputs[test]
    label_parts = labels[train], labels[test]
  else:
    parts = inputs, _check_inputs('test_inputs', test_inputs)
    _check_alike(*parts)
    label_parts = (
      labels,
      _check_labels('test_labels', test_labels, len(parts[1]), target),
    )
  return dataset_lib.Dataset(
    name=name,
    **_prepare_labels(*label_parts, target, class_names),
    **_prepare_inputs(*parts, standardize),
    column_names=_check_names(column_names, inputs),
  )


def _check_names(names: Sequence[str], inputs: np.ndarray) -> tuple[str, ...]:
  """Return names of the columns of a table, or raise."""
  names = tuple(map(str, names))
  if names and (inputs.ndim, *inputs.shape[1:]) != (2, len(names)):
    raise ValueError(
      f'column_names must be one for each column of inputs {inputs.shape}, got '
      f'{len(names)} names.'
    )
  return names


def _check_inputs(argument: str, value: Any) -> np.ndarray:
  """Return inputs as an array of numbers `[N, ...]`, or raise."""
  array = _to_array(argument, value)
  floating = jnp.issubdtype(array.dtype, jnp.floating)
  if not floating and array.dtype.kind not in 'iub':
    raise ValueError(f'{argument} must be numbers, got the type {array.dtype}.')
  if floating:
    with np.errstate(over='ignore'):  # What overflows is infinite below.
      checks.vectors(argument, array.astype(np.float32))
  elif array.ndim < 2 or 0 in array.shape:
    raise ValueError(f'{argument} must have shape [N, ...], got {array.shape}.')
  elif _is_tokens(array) and array.min() < 0:
    raise ValueError(
      f'{argument} must not be negative where they are token ids (integers '
      f'[N, L]), got {array.min()}; numbers must be of a floating type.'
    )
  return array


def _check_alike(train: np.ndarray, test: np.ndarray) -> None:
  """Raise if the inputs of the two parts do not belong together."""
  if train.shape[1:] != test.shape[1:]:
    raise ValueError(
      f'test_inputs must have shape [M, {str(train.shape[1:])[1:-1]}] as '
      f'inputs have, got {test.shape}.'
    )
  if _is_tokens(train) != _is_tokens(test):
    raise ValueError(
      f'test_inputs must be of the type of inputs, {train.dtype}, got '
      f'{test.dtype}.'
    )


def _check_labels(
  argument: str, value: Any, num_samples: int, target: str
) -> np.ndarray:
  """Return labels as an array `[N]` of the kind of `target`, or raise."""
  array = _to_array(argument, value)
  if array.shape != (num_samples,):
    raise ValueError(
      f'{argument} must have shape ({num_samples},), one for each sample, got '
      f'{array.shape}.'
    )
  if target == 'real':
    return _check_real(argument, array)
  if array.dtype.kind == 'O':
    for kind, dtype in ((str, np.str_), (numbers.Integral, np.int64)):
      if all(isinstance(label, kind) for label in array):
        array = array.astype(dtype)
  if array.dtype.kind not in 'iubU':
    raise ValueError(
      f"{argument} must be integers or strings with target='class', got the "
      f"type {array.dtype}; real numbers need target='real'."
    )
  return array


def _check_real(argument: str, labels: np.ndarray) -> np.ndarray:
  """Return labels as finite float64 numbers, or raise."""
  floating = jnp.issubdtype(labels.dtype, jnp.floating)
  if not floating and labels.dtype.kind not in 'iu':
    raise ValueError(
      f"{argument} must be numbers with target='real', got the type "
      f'{labels.dtype}.'
    )
  labels = labels.astype(np.float64)
  finite = np.abs(labels) <= np.finfo(np.float32).max
  if not finite.all():
    row = int(np.argmin(finite))
    raise ValueError(
      f'{argument} must be finite in float32, got {labels[row]} in row {row}.'
    )
  return labels


def _to_array(argument: str, value: Any) -> np.ndarray:
  """Return nested lists or an array of any library as a NumPy array."""
  try:
    return np.asarray(value)
  except ValueError as error:
    raise ValueError(
      f'{argument} must be an array with rows of equal length, got: {error}'
    ) from error


def _is_tokens(inputs: np.ndarray) -> bool:
  """Whether inputs are token ids: integers of 16 bits or more, `[N, L]`."""
  integers = inputs.dtype.kind in 'iu' and inputs.dtype.itemsize > 1
  return integers and inputs.ndim == 2


def _split(
  labels: np.ndarray, target: str, seed: int
) -> tuple[np.ndarray, np.ndarray]:
  """Return the rows of a training part and of a test part of a fifth."""
  if target == 'class':
    return splitting.stratified_split(labels, seed=seed)
  return splitting.random_split(len(labels), seed=seed)


def _prepare_labels(
  train: np.ndarray,
  test: np.ndarray,
  target: str,
  class_names: Sequence[str] | None,
) -> dict[str, Any]:
  """Return both parts' labels as a `Dataset` holds them, with their fields."""
  if target == 'class':
    return _number_classes(train, test, class_names)
  if class_names is not None:
    raise ValueError(
      f"class_names must not be given with target='real', got {class_names}."
    )
  return standardizing.standardize_targets('labels', train, test)._asdict()


def _number_classes(
  train: np.ndarray, test: np.ndarray, class_names: Sequence[str] | None
) -> dict[str, Any]:
  """Return both parts' labels as classes, and their names, for a `Dataset`."""
  values = np.unique(train).tolist()
  if len(values) < 2:
    raise ValueError(
      f'labels must have 2 distinct values at least, got {values}.'
    )
  names = tuple(map(str, values if class_names is None else class_names))
  if len(names) != len(values) or len(set(names)) < len(names):
    raise ValueError(
      f'class_names must be {len(values)} distinct names, one for each '
      f'distinct label, got {names}.'
    )
  classes = {value: index for index, value in enumerate(values)}
  for label in test.tolist():
    if label not in classes:
      raise ValueError(
        f'test_labels must be labels of the training part, got {label!r}.'
      )
  number = lambda labels: np.array(
    [classes[label] for label in labels.tolist()], np.int32
  )
  return {
    'train_labels': number(train),
    'test_labels': number(test),
    'class_names': names,
  }


def _prepare_inputs(
  train: np.ndarray, test: np.ndarray, standardize: bool
) -> dict[str, Any]:
  """Return both parts' inputs as a `Dataset` holds them, and what they are."""
  if _is_tokens(train):
    size = 1 + int(max(train.max(), test.max()))
    return {
      'train_inputs': train.astype(np.int32),
      'test_inputs': test.astype(np.int32),
      'vocabulary_size': max(size, 2),
      'notes': (
        f'inputs are integers [N, {train.shape[1]}], so token ids below {size}',
      ),
    }
  if standardize:
    train, test = standardizing.standardize_inputs(
      train.astype(np.float64), test.astype(np.float64)
    )
  return {
    'train_inputs': train.astype(np.float32),
    'test_inputs': test.astype(np.float32),
  }
