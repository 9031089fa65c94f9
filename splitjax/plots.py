"""Old path of `splitjax.reports.plots`; use the new one; goes in 0.3."""

import warnings

from splitjax.reports.plots import COLORS as COLORS
from splitjax.reports.plots import intervals as intervals
from splitjax.reports.plots import leakage as leakage
from splitjax.reports.plots import sweep as sweep

__all__ = ['COLORS', 'intervals', 'leakage', 'sweep']

warnings.warn(
  f'{__name__} goes in 0.3: use splitjax.reports.plots.',
  DeprecationWarning,
  stacklevel=2,
)
