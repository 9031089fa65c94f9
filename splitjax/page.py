"""Old path of `splitjax.reports.page`; use the new one; goes in 0.3."""

import warnings

from splitjax.reports.page import HOW_TO_READ as HOW_TO_READ
from splitjax.reports.page import Line as Line
from splitjax.reports.page import Summary as Summary
from splitjax.reports.page import Sweep as Sweep
from splitjax.reports.page import pivot as pivot
from splitjax.reports.page import shown as percent
from splitjax.reports.page import shown as shown
from splitjax.reports.page import to_text as to_text
from splitjax.reports.page import write as write

__all__ = [
  'HOW_TO_READ',
  'Line',
  'Summary',
  'Sweep',
  'percent',
  'pivot',
  'shown',
  'to_text',
  'write',
]

warnings.warn(
  f'{__name__} goes in 0.3: use splitjax.reports.page.',
  DeprecationWarning,
  stacklevel=2,
)
