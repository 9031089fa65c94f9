"""Real data sets that come with scikit-learn: nothing to download."""

from collections.abc import Sequence
from typing import Any

from splitjax.data import dataset
from splitjax.data import standardizing


def load_digits(*, seed: int, classes: Sequence[str] = ()) -> dataset.Dataset:
  """Load 1,797 handwritten digits as 8x8 images, in ten classes.

  The test part of the optical digits of the UCI repository
  (https://doi.org/10.24432/C50P49), of which a fifth is held out here.

  Args:
    seed: seed of the random split into a training and a test part.
    classes: names or numbers of the classes to keep; empty for all.

  Returns:
    The data set, with inputs `[N, 8, 8, 1]`, standardised as one channel.
  """
  from sklearn import datasets  # Seconds to import, so not above.

  bunch: Any = datasets.load_digits()
  return standardizing.split_and_standardize(
    'digits',
    bunch.images[..., None],
    bunch.target,
    tuple(str(name) for name in bunch.target_names),
    seed=seed,
    classes=classes,
  )


def load_breast_cancer(
  *, seed: int, classes: Sequence[str] = ()
) -> dataset.Dataset:
  """Load 569 tumours described by 30 numbers, malignant (0) or benign (1).

  The Wisconsin diagnostic set of the UCI repository
  (https://doi.org/10.24432/C5DW2B), of which a fifth is held out.

  Args:
    seed: seed of the random split into a training and a test part.
    classes: names or numbers of the classes to keep; empty for all.

  Returns:
    The data set, with inputs `[N, 30]`, standardised by column.
  """
  from sklearn import datasets  # Seconds to import, so not above.

  bunch: Any = datasets.load_breast_cancer()
  return standardizing.split_and_standardize(
    'breast_cancer',
    bunch.data,
    bunch.target,
    tuple(str(name) for name in bunch.target_names),
    seed=seed,
    classes=classes,
    column_names=tuple(map(str, bunch.feature_names)),
  )


def load_diabetes(*, seed: int, classes: Sequence[str] = ()) -> dataset.Dataset:
  """Load 442 patients described by 10 numbers, and how diabetes progressed.

  The set of Efron, Hastie, Johnstone and Tibshirani, "Least Angle Regression",
  Annals of Statistics 2004; a fifth is held out at random.

  Args:
    seed: seed of the random split into a training and a test part.
    classes: none, since the targets are real numbers.

  Raises:
    ValueError: if `classes` are given.

  Returns:
    The data set, with inputs `[N, 10]`, standardised by column, and real
    targets: the progression after a year, 25 to 346 in its own units.
  """
  from sklearn import datasets  # Seconds to import, so not above.

  if classes:
    raise ValueError(
      f'classes are for data of classes, got {",".join(classes)}.'
    )
  bunch: Any = datasets.load_diabetes(scaled=False)
  return standardizing.split_and_standardize_targets(
    'diabetes',
    bunch.data,
    bunch.target,
    seed=seed,
    column_names=tuple(bunch.feature_names),
  )
