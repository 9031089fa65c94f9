"""Old path of `splitjax.training.split`; use the new one; goes in 0.3."""

import warnings

from splitjax.training.split import Exchange as Exchange
from splitjax.training.split import LossFn as LossFn
from splitjax.training.split import PyTree as PyTree
from splitjax.training.split import SplitGrads as SplitGrads
from splitjax.training.split import SplitModel as SplitModel
from splitjax.training.split import split_grads as split_grads

__all__ = [
  'Exchange',
  'LossFn',
  'PyTree',
  'SplitGrads',
  'SplitModel',
  'split_grads',
]

warnings.warn(
  f'{__name__} goes in 0.3: use splitjax.training.split.',
  DeprecationWarning,
  stacklevel=2,
)
