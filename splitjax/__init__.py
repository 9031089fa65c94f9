"""Split learning in JAX, and how much of the private labels crosses the cut."""

import typing
from typing import Any

from splitjax import attacks as attacks
from splitjax import data as data
from splitjax import defenses as defenses
from splitjax import models as models
from splitjax.training.protection import Protection as Protection
from splitjax.training.split import Exchange as Exchange
from splitjax.training.split import SplitModel as SplitModel

if typing.TYPE_CHECKING:
  from splitjax.auditing import AuditResult as AuditResult
  from splitjax.auditing import audit as audit

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


def __getattr__(name: str) -> Any:
  """Import the audit when it is first asked for: it takes a second."""
  if name not in ('AuditResult', 'audit'):
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  from splitjax import auditing

  return getattr(auditing, name)
