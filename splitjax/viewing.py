"""Old path of `splitjax.records.viewing`; use the new one; goes in 0.3."""

import warnings

from splitjax.records.viewing import Auxiliary as Auxiliary
from splitjax.records.viewing import Extractor as Extractor
from splitjax.records.viewing import Own as Own
from splitjax.records.viewing import View as View
from splitjax.records.viewing import make_view as make_view
from splitjax.records.viewing import rows_of as rows_of
from splitjax.records.viewing import sample_auxiliary as sample_auxiliary
from splitjax.records.viewing import scored_mask as scored_mask

__all__ = [
  'Auxiliary',
  'Extractor',
  'Own',
  'View',
  'make_view',
  'rows_of',
  'sample_auxiliary',
  'scored_mask',
]

warnings.warn(
  f'{__name__} goes in 0.3: use splitjax.records.viewing.',
  DeprecationWarning,
  stacklevel=2,
)
