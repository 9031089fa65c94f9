"""Which features of the samples each of several parties holds."""

from collections.abc import Sequence
import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np

from splitjax.data import config
from splitjax.data import image_strips
from splitjax.data import party_columns as party_columns_lib
from splitjax.data import unit_split
from splitjax.data.dataset import Dataset
from splitjax.errors import ConfigError
from splitjax.errors import check_name

# The first of each kind is the default.
SPLITS: dict[str, tuple[str, ...]] = {
  'images': (*image_strips.NAMES, 'random', *unit_split.MEASURED),
  'a table': ('contiguous', 'random', *unit_split.MEASURED),
  'texts': ('segments',),
}
NUMBERED = ('strips', *unit_split.MEASURED)
LARGEST_SHARE = 0.5


class _Part(NamedTuple):
  """Indices of a party's features, and the shape of a sample of them."""

  columns: np.ndarray
  shape: tuple[int, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureSplit:
  """The features of `P` parties and of the label party, none of them shared.

  Attributes:
    columns: indices of each party's features in a flattened sample, increasing.
    shapes: shape of a sample as each party holds it. A rectangular part of an
      image keeps height, width and channels; other parts are flat.
    active_columns: indices of the label party's features; None if it has none.
    active_shape: shape of a sample as the label party holds it; None likewise.
  """

  columns: tuple[np.ndarray, ...]
  shapes: tuple[tuple[int, ...], ...]
  active_columns: np.ndarray | None = None
  active_shape: tuple[int, ...] | None = None

  @property
  def num_parties(self) -> int:
    """The number of parties beside the label party, `P`."""
    return len(self.columns)

  def apply(self, inputs: jax.Array) -> tuple[jax.Array, ...]:
    """Return what each party holds of inputs `[N, ...]`.

    Args:
      inputs: inputs of whole samples, `[N, ...]`.

    Returns:
      Inputs of each party, `[N, *shape]` with its shape.
    """
    return tuple(
      _take(inputs, columns, shape)
      for columns, shape in zip(self.columns, self.shapes, strict=True)
    )

  def apply_active(self, inputs: jax.Array) -> jax.Array | None:
    """Return what the label party holds of inputs `[N, ...]`.

    Args:
      inputs: inputs of whole samples, `[N, ...]`.

    Returns:
      Inputs `[N, *active_shape]`; None if it has no features.
    """
    if self.active_columns is None or self.active_shape is None:
      return None
    return _take(inputs, self.active_columns, self.active_shape)

  def datasets(self, dataset: Dataset) -> tuple[Dataset, ...]:
    """Return the data set as each party knows it, for its model and baseline.

    Args:
      dataset: the data set that was split.

    Returns:
      A data set of each party's features, with all labels.
    """
    return tuple(
      _part_of(dataset, columns, shape)
      for columns, shape in zip(self.columns, self.shapes, strict=True)
    )

  def active_dataset(self, dataset: Dataset) -> Dataset | None:
    """Return the data set of the label party's features, if it has any."""
    if self.active_columns is None or self.active_shape is None:
      return None
    return _part_of(dataset, self.active_columns, self.active_shape)


def _take(inputs: Any, columns: np.ndarray, shape: tuple[int, ...]) -> Any:
  """Return some features of samples `[N, ...]`, each of this shape."""
  return inputs.reshape(len(inputs), -1)[:, columns].reshape(-1, *shape)


def _part_of(
  dataset: Dataset, columns: np.ndarray, shape: tuple[int, ...]
) -> Dataset:
  """Return a data set of some of the features."""
  sizes, names = dataset.category_sizes, dataset.column_names
  first = int(np.prod(dataset.train_inputs.shape[1:])) - len(sizes)
  return dataclasses.replace(
    dataset,
    train_inputs=_take(dataset.train_inputs, columns, shape),
    test_inputs=_take(dataset.test_inputs, columns, shape),
    category_sizes=tuple(
      sizes[i - first] for i in columns if i >= first and sizes
    ),
    column_names=tuple(names[i] for i in columns if names),
  )


def split_features(
  dataset: Dataset,
  num_parties: int,
  how: str = '',
  *,
  active_share: float = 0.0,
  party_columns: str = '',
  seed: int = 0,
) -> FeatureSplit:
  """Divide the features of a data set between parties.

  Args:
    dataset: images, a table or texts.
    num_parties: the number of parties beside the label party.
    how: one of `SPLITS`; '' for the default of the kind of data. Images:
      'columns' and 'rows' of nearly equal width, 'quarters', 'strips:1:2:5' of
      columns in these proportions, 'random' pixels. Tables: 'contiguous' or
      'random' columns. Texts: 'segments' of tokens. Images and tables by
      'importance:ALPHA' and 'correlation:BETA', see `importance_split` and
      `correlation_split`.
    active_share: share of the features that the label party holds, 0 to 0.5,
      taken before all others: the last columns of images (rows if `how` is
      'rows'), columns of a table or tokens of a text; random ones if the split
      is.
    party_columns: names of a table's columns for each party, as in 'a,b;c,d',
      in place of `how`; the label party's as in 'a,b;c;label:d'. Columns
      without names are called by their positions.
    seed: seed of what is random.

  Returns:
    The split.

  Raises:
    ConfigError: if an argument does not fit the data.
  """
  kind = config.kind_of(dataset)
  shape = dataset.train_inputs.shape[1:]
  if not 0 <= active_share <= LARGEST_SHARE:
    expected = f'a share of the features, 0 to {LARGEST_SHARE}'
    raise ConfigError('active_features', active_share, expected)
  if party_columns:
    _check_named(kind, how, active_share, party_columns)
    sources = party_columns_lib.sources_of(dataset.column_names, *shape)
    return _of_columns(
      *party_columns_lib.assign_named(party_columns, sources, num_parties)
    )
  how = how or SPLITS[kind][0]
  name, _, number = how.partition(':')
  check_name('feature_split', name, SPLITS[kind])
  if number and name not in NUMBERED:
    raise ConfigError('feature_split', how, f'{name} without numbers')
  unit_split.check_parties(num_parties, int(np.prod(shape)))
  if kind == 'images':
    return _split_image(dataset, num_parties, how, active_share, seed)
  units = list(np.arange(np.prod(shape))[:, None])
  if dataset.column_names:
    sources = party_columns_lib.sources_of(dataset.column_names, *shape)
    units = list(sources.values())
  taken = None
  if active_share:
    taken, units = unit_split.take(units, active_share, name, seed)
  inputs = dataset.train_inputs.reshape(len(dataset.train_inputs), -1)
  return _of_columns(
    unit_split.divide(inputs, units, num_parties, how, seed), taken
  )


def _check_named(
  kind: str, how: str, active_share: float, party_columns: str
) -> None:
  """Raise if columns are named that are no table's, or are split otherwise."""
  if kind != 'a table':
    raise ConfigError('party_columns', party_columns, f'none for {kind}')
  if how:
    raise ConfigError('feature_split', how, 'none with party_columns')
  if active_share:
    expected = 'none with party_columns, but label:NAMES in these'
    raise ConfigError('active_features', active_share, expected)


def _split_image(
  dataset: Dataset, num_parties: int, how: str, active_share: float, seed: int
) -> FeatureSplit:
  """Divide images `[H, W, C]`."""
  inputs = dataset.train_inputs
  shape = inputs.shape[1:]
  whole, active = image_strips.Rectangle(0, shape[0], 0, shape[1]), None
  if active_share:
    rows = how == 'rows'
    whole, strip = image_strips.take_strip(shape, active_share, rows=rows)
    active = _of_rectangle(shape, strip)
  if how.partition(':')[0] in image_strips.NAMES:
    parts = image_strips.cut(whole, how, num_parties)
    return _make_split([_of_rectangle(shape, part) for part in parts], active)
  pixels = list(whole.columns(shape).reshape(-1, shape[2]))
  flat = inputs.reshape(len(inputs), -1)
  columns = unit_split.divide(flat, pixels, num_parties, how, seed)
  return _make_split([_Part(one, one.shape) for one in columns], active)


def _of_rectangle(
  shape: tuple[int, ...], part: image_strips.Rectangle
) -> _Part:
  """Return a part of an image, which keeps its channels."""
  return _Part(part.columns(shape), (part.height, part.width, *shape[2:]))


def _of_columns(
  columns: Sequence[np.ndarray], active: np.ndarray | None
) -> FeatureSplit:
  """Return a split of flat parts."""
  return _make_split(
    [_Part(one, one.shape) for one in columns],
    None if active is None else _Part(active, active.shape),
  )


def _make_split(parts: Sequence[_Part], active: _Part | None) -> FeatureSplit:
  """Return a split of the parties' parts and the label party's."""
  return FeatureSplit(
    tuple(part.columns for part in parts),
    tuple(part.shape for part in parts),
    None if active is None else active.columns,
    None if active is None else active.shape,
  )
