"""Old path of `splitjax.models.layering`; use the new one; goes in 0.3."""

import warnings

from splitjax.models.layering import Layer as Layer
from splitjax.models.layering import PyTree as PyTree
from splitjax.models.layering import apply as apply
from splitjax.models.layering import init as init
from splitjax.models.layering import name as name

__all__ = ['Layer', 'PyTree', 'apply', 'init', 'name']

warnings.warn(
  f'{__name__} goes in 0.3: use splitjax.models.layering.',
  DeprecationWarning,
  stacklevel=2,
)
