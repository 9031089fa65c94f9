"""Old path of `splitjax.metrics.regression`; use the new one; goes in 0.3."""

import warnings

from splitjax.metrics.regression import measure_targets as measure_targets

__all__ = ['measure_targets']

warnings.warn(
  f'{__name__} goes in 0.3: use splitjax.metrics.regression.',
  DeprecationWarning,
  stacklevel=2,
)
