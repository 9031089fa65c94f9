"""Old path of `splitjax.records.projection`; use the new one; goes in 0.3."""

import warnings

from splitjax.records.projection import Projection as Projection
from splitjax.records.projection import draw as draw
from splitjax.records.projection import project as project

__all__ = ['Projection', 'draw', 'project']

warnings.warn(
  f'{__name__} goes in 0.3: use splitjax.records.projection.',
  DeprecationWarning,
  stacklevel=2,
)
