"""Split learning in JAX, and how much of the private labels crosses the cut."""

from splitjax import attacks as attacks
from splitjax import data as data
from splitjax import defenses as defenses
from splitjax import models as models
from splitjax.training.protection import Protection as Protection
from splitjax.training.split import Exchange as Exchange
from splitjax.training.split import SplitModel as SplitModel

__version__ = '0.2.0'
__all__ = [
  'Exchange',
  'Protection',
  'SplitModel',
  'attacks',
  'data',
  'defenses',
  'models',
]
