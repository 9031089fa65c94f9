"""Data sets whose labels are real numbers."""

import dataclasses

import numpy as np

from splitjax.data import dataset


@dataclasses.dataclass(frozen=True, eq=False)
class RegressionDataset:
  """Arrays of a regression set; targets are standardised.

  Attributes:
    name: its name, as the results show it.
    train_inputs: `[N, ...]`.
    train_targets: of mean 0 and standard deviation 1, float32 `[N]`.
    test_inputs: `[M, ...]`.
    test_targets: in the same units, `[M]`.
    target_mean: mean of the training targets before, in their own units.
    target_std: their standard deviation.
  """

  name: str
  train_inputs: np.ndarray
  train_targets: np.ndarray
  test_inputs: np.ndarray
  test_targets: np.ndarray
  target_mean: float
  target_std: float

  @property
  def train_ids(self) -> np.ndarray:
    """Ids of the training samples: their rows."""
    return np.arange(len(self.train_targets))

  @property
  def test_ids(self) -> np.ndarray:
    """Ids of the test samples, after those of the training samples."""
    return len(self.train_targets) + np.arange(len(self.test_targets))

  @property
  def targets_by_id(self) -> np.ndarray:
    """The truth in its own units: `targets_by_id[sample_ids]`."""
    return self.in_units(
      np.concatenate([self.train_targets, self.test_targets])
    )

  def in_units(self, targets: np.ndarray) -> np.ndarray:
    """Standardised targets, of any shape, in the units they were read in."""
    return self.target_mean + self.target_std * np.asarray(targets, np.float64)


def split_and_standardize_targets(
  name: str,
  inputs: np.ndarray,
  targets: np.ndarray,
  *,
  seed: int,
  test_ratio: float = 0.2,
) -> RegressionDataset:
  """Splits at random, and standardises with the training part's statistics.

  Args:
    name: of the data set.
    inputs: `[N, ...]`; see `standardize`.
    targets: real numbers, `[N]`.
    seed: of the split.
    test_ratio: share of the samples that are held out.

  Returns:
    The data set, with float32 inputs and targets.

  Raises:
    ValueError: if the targets are not finite, or equal in the training part.
  """
  from sklearn import model_selection  # Seconds to import, so not above.

  if not np.isfinite(targets).all():
    raise ValueError('targets must be finite, got a NaN or an infinity.')
  train, test = model_selection.train_test_split(
    np.arange(len(targets)), test_size=test_ratio, random_state=seed
  )
  mean, std = float(targets[train].mean()), float(targets[train].std())
  if not std > 0:
    raise ValueError('targets must differ in the training part, got one value.')
  inputs = dataset.standardize(inputs, train)
  targets = ((targets - mean) / std).astype(np.float32)
  return RegressionDataset(
    name=name,
    train_inputs=inputs[train],
    train_targets=targets[train],
    test_inputs=inputs[test],
    test_targets=targets[test],
    target_mean=mean,
    target_std=std,
  )
