"""Which features of the samples each of several parties holds."""

import dataclasses

import jax
import numpy as np

from splitjax.data import config
from splitjax.data import image_strips
from splitjax.data.dataset import Dataset
from splitjax.errors import ConfigError
from splitjax.errors import check_name

# The first of each kind is the default.
SPLITS: dict[str, tuple[str, ...]] = {
  'images': ('columns', 'rows', 'quarters', 'strips', 'random'),
  'a table': ('contiguous', 'random'),
  'texts': ('segments',),
}
LARGEST_SHARE = 0.5
_IN_ORDER = ('contiguous', 'segments')


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


def _take(
  inputs: jax.Array, columns: np.ndarray, shape: tuple[int, ...]
) -> jax.Array:
  """Return some features of samples `[N, ...]`, each of this shape."""
  return inputs.reshape(len(inputs), -1)[:, columns].reshape(-1, *shape)


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
      'random' columns. Texts: 'segments' of tokens.
    active_share: share of the features that the label party holds, 0 to 0.5,
      taken before all others: the last columns of images (rows if `how` is
      'rows'), columns of a table or tokens of a text; random ones if the split
      is.
    party_columns: names of a table's columns for each party, as in 'a,b;c,d'.
    seed: seed of what is random.

  Returns:
    The split.

  Raises:
    ConfigError: if an argument does not fit the data.
  """
  kind = config.kind_of(dataset)
  how = how or SPLITS[kind][0]
  check_name('feature_split', how.partition(':')[0], SPLITS[kind])
  if not 0 <= active_share <= LARGEST_SHARE:
    expected = f'a share of the features, 0 to {LARGEST_SHARE}'
    raise ConfigError('active_features', active_share, expected)
  shape = dataset.train_inputs.shape[1:]
  _check_parties(num_parties, int(np.prod(shape)))
  rng = np.random.default_rng(seed)
  if kind == 'images':
    return _split_image(shape, num_parties, how, active_share, rng)
  units = list(np.arange(np.prod(shape))[:, None])
  taken, units = _take_units(units, active_share, how, rng)
  return _of_units(units, num_parties, how, rng, taken)


def _check_parties(num_parties: int, num_units: int) -> None:
  """Raise if there are more parties than features that they can hold."""
  if not 1 <= num_parties <= num_units:
    expected = f'1 to {num_units}, a feature for each party'
    raise ConfigError('parties', num_parties, expected)


def _split_image(
  shape: tuple[int, ...],
  num_parties: int,
  how: str,
  active_share: float,
  rng: np.random.Generator,
) -> FeatureSplit:
  """Divide an image `[H, W, C]`."""
  rows = how == 'rows'
  whole, active = image_strips.Rectangle(0, shape[0], 0, shape[1]), None
  if active_share:
    whole, active = image_strips.take_strip(shape, active_share, rows=rows)
  taken = () if active is None else _of_rectangle(shape, active)
  name = how.partition(':')[0]
  if name not in image_strips.NAMES:
    pixels = whole.columns(shape).reshape(-1, shape[2])
    return _of_units(list(pixels), num_parties, how, rng, taken)
  parts = image_strips.cut(whole, how, num_parties)
  columns, shapes = zip(*(_of_rectangle(shape, one) for one in parts))
  return FeatureSplit(columns, shapes, *taken)


def _of_rectangle(
  shape: tuple[int, ...], part: image_strips.Rectangle
) -> tuple[np.ndarray, tuple[int, ...]]:
  """Return the columns and the shape of a part of an image."""
  return part.columns(shape), (part.height, part.width, *shape[2:])


def _take_units(
  units: list[np.ndarray],
  share: float,
  how: str,
  rng: np.random.Generator,
) -> tuple[tuple, list[np.ndarray]]:
  """Return what the label party holds, and the features that are left."""
  if not share:
    return (), units
  size = max(1, round(share * len(units)))
  order = np.arange(len(units))
  if how not in _IN_ORDER:
    order = rng.permutation(order)
  columns = _join(units, order[-size:])
  left = [units[index] for index in np.sort(order[:-size])]
  return (columns, columns.shape), left


def _of_units(
  units: list[np.ndarray],
  num_parties: int,
  how: str,
  rng: np.random.Generator,
  taken: tuple,
) -> FeatureSplit:
  """Divide features of which some columns must stay together."""
  _check_parties(num_parties, len(units))
  order = np.arange(len(units))
  if how not in _IN_ORDER:
    order = rng.permutation(order)
  parts = np.array_split(order, num_parties)
  columns = tuple(_join(units, part) for part in parts)
  return FeatureSplit(columns, tuple(one.shape for one in columns), *taken)


def _join(units: list[np.ndarray], chosen: np.ndarray) -> np.ndarray:
  """Return the columns of chosen units, increasing."""
  return np.sort(np.concatenate([units[index] for index in chosen]))
