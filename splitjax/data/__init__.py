"""Data sets as arrays: embedded ones, or a `Dataset` of your own."""

from splitjax.data.dataset import Dataset as Dataset
from splitjax.data.dataset import split_and_standardize as split_and_standardize
from splitjax.data.embedded import load_breast_cancer as load_breast_cancer
from splitjax.data.embedded import load_digits as load_digits

__all__ = [
  'Dataset',
  'load_breast_cancer',
  'load_digits',
  'split_and_standardize',
]
