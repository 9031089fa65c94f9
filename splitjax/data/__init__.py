"""Data sets as arrays: embedded, of tensorflow-datasets, or your own."""

from splitjax.data.arrays import from_arrays as from_arrays
from splitjax.data.augmentation import crop_and_flip as crop_and_flip
from splitjax.data.dataset import Dataset as Dataset
from splitjax.data.embedded import load_breast_cancer as load_breast_cancer
from splitjax.data.embedded import load_diabetes as load_diabetes
from splitjax.data.embedded import load_digits as load_digits
from splitjax.data.feature_split import FeatureSplit as FeatureSplit
from splitjax.data.feature_split import split_features as split_features
from splitjax.data.npz_files import load_npz as load_npz
from splitjax.data.splitting import draw_subset as draw_subset
from splitjax.data.splitting import find_classes as find_classes
from splitjax.data.splitting import name_of as name_of
from splitjax.data.splitting import random_split as random_split
from splitjax.data.splitting import random_subset as random_subset
from splitjax.data.splitting import stratified_split as stratified_split
from splitjax.data.splitting import stratified_subset as stratified_subset
from splitjax.data.standardizing import (
  split_and_standardize as split_and_standardize,
)
from splitjax.data.standardizing import (
  split_and_standardize_targets as split_and_standardize_targets,
)
from splitjax.data.tables import load_csv as load_csv
from splitjax.data.tables import load_parquet as load_parquet
from splitjax.data.text import hash_tokens as hash_tokens
from splitjax.data.tfds_sets import load_tfds as load_tfds
from splitjax.data.vectors import raw_vectors as raw_vectors

RegressionDataset = Dataset  # Deprecated: real targets are labels of a Dataset.

__all__ = [
  'Dataset',
  'FeatureSplit',
  'RegressionDataset',
  'crop_and_flip',
  'draw_subset',
  'find_classes',
  'from_arrays',
  'hash_tokens',
  'load_breast_cancer',
  'load_csv',
  'load_diabetes',
  'load_digits',
  'load_npz',
  'load_parquet',
  'load_tfds',
  'name_of',
  'random_split',
  'random_subset',
  'raw_vectors',
  'split_and_standardize',
  'split_and_standardize_targets',
  'split_features',
  'stratified_split',
  'stratified_subset',
]
