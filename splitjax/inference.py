"""Old path of `splitjax.training.inference`; use the new one; goes in 0.3."""

import warnings

from splitjax.training.inference import Pass as Pass
from splitjax.training.inference import PyTree as PyTree
from splitjax.training.inference import evaluate as evaluate

__all__ = ['Pass', 'PyTree', 'evaluate']

warnings.warn(
  f'{__name__} goes in 0.3: use splitjax.training.inference.',
  DeprecationWarning,
  stacklevel=2,
)
