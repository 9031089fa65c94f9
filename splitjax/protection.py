"""Old path of `splitjax.training.protection`; use the new one; goes in 0.3."""

import warnings

from splitjax.training.protection import Place as Place
from splitjax.training.protection import Protection as Protection
from splitjax.training.protection import PyTree as PyTree
from splitjax.training.protection import compose as compose
from splitjax.training.protection import (
  draw_stored_labels as draw_stored_labels,
)

__all__ = ['Place', 'Protection', 'PyTree', 'compose', 'draw_stored_labels']

warnings.warn(
  f'{__name__} goes in 0.3: use splitjax.training.protection.',
  DeprecationWarning,
  stacklevel=2,
)
