"""Old path of `splitjax.reports.plots` and `splitjax.reports.canvas`.

Use the new paths; this one goes in 0.3.
"""

import warnings

from splitjax.reports.canvas import COLORS as COLORS
from splitjax.reports.plots import intervals as intervals
from splitjax.reports.plots import leakage as leakage
from splitjax.reports.plots import sweep as sweep

__all__ = ['COLORS', 'intervals', 'leakage', 'sweep']

warnings.warn(
  f'{__name__} goes in 0.3: use splitjax.reports.plots and canvas.',
  DeprecationWarning,
  stacklevel=2,
)
