"""Old path of `splitjax.parallel`; use the new one; goes in 0.3."""

import warnings

from splitjax.parallel import AXIS as AXIS
from splitjax.parallel import PyTree as PyTree
from splitjax.parallel import grid as grid
from splitjax.parallel import make_mesh as make_mesh
from splitjax.parallel import map_runs as map_runs
from splitjax.parallel import on_every_device as on_every_device
from splitjax.parallel import pad as pad

__all__ = [
  'AXIS',
  'PyTree',
  'grid',
  'make_mesh',
  'map_runs',
  'on_every_device',
  'pad',
]

warnings.warn(
  f'{__name__} goes in 0.3: use splitjax.parallel.',
  DeprecationWarning,
  stacklevel=2,
)
