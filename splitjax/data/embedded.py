"""Real data sets that come with scikit-learn: nothing to download."""

from splitjax.data import dataset
from splitjax.data import standardizing


def load_digits(*, seed: int) -> dataset.Dataset:
  """1,797 handwritten digits as 8x8 images, ten classes.

  Args:
    seed: of the split into training and test part.

  Returns:
    Inputs `[N, 8, 8, 1]`.
  """
  from sklearn import datasets  # Seconds to import, so not above.

  bunch = datasets.load_digits()
  return standardizing.split_and_standardize(
    'digits',
    bunch.images[..., None],
    bunch.target,
    tuple(str(name) for name in bunch.target_names),
    seed=seed,
  )


def load_breast_cancer(*, seed: int) -> dataset.Dataset:
  """569 tumours described by 30 numbers, malignant (0) or benign (1).

  Args:
    seed: of the split into training and test part.

  Returns:
    Inputs `[N, 30]`.
  """
  from sklearn import datasets  # Seconds to import, so not above.

  bunch = datasets.load_breast_cancer()
  return standardizing.split_and_standardize(
    'breast_cancer',
    bunch.data,
    bunch.target,
    tuple(str(name) for name in bunch.target_names),
    seed=seed,
  )


def load_diabetes(*, seed: int) -> dataset.Dataset:
  """442 patients described by 10 numbers; how far diabetes got in a year.

  Args:
    seed: of the split into training and test part.

  Returns:
    Inputs `[N, 10]`; targets between 25 and 346 before they are standardised.
  """
  from sklearn import datasets  # Seconds to import, so not above.

  bunch = datasets.load_diabetes(scaled=False)
  return standardizing.split_and_standardize_targets(
    'diabetes', bunch.data, bunch.target, seed=seed
  )
