"""Split learning in JAX, and how much of the private labels crosses the cut."""

import importlib
import typing
from typing import Any

if typing.TYPE_CHECKING:
  from splitjax import attacks as attacks
  from splitjax import data as data
  from splitjax import defenses as defenses
  from splitjax import models as models
  from splitjax.auditing import AuditResult as AuditResult
  from splitjax.auditing import audit as audit
  from splitjax.training.protection import Protection as Protection
  from splitjax.training.split import Exchange as Exchange
  from splitjax.training.split import SplitModel as SplitModel

__version__ = '0.2.0'
__all__ = [
  'AuditResult',
  'Exchange',
  'Protection',
  'SplitModel',
  'attacks',
  'audit',
  'data',
  'defenses',
  'models',
]

_ROOMS = (
  'attacks',
  'data',
  'defenses',
  'engine',
  'metrics',
  'models',
  'records',
  'reports',
  'results',
  'training',
)
_MODULES = {
  'AuditResult': 'splitjax.auditing',
  'Exchange': 'splitjax.training.split',
  'Protection': 'splitjax.training.protection',
  'SplitModel': 'splitjax.training.split',
  'audit': 'splitjax.auditing',
}


def __getattr__(name: str) -> Any:
  """Import what is asked for, when it is: all of it takes two seconds."""
  if name in _ROOMS:
    return importlib.import_module(f'splitjax.{name}')
  if name not in _MODULES:
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
  """Return the names that there are, imported or not."""
  return sorted({*globals(), *__all__, *_ROOMS})
