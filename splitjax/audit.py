"""`python -m splitjax.audit`: a verdict on what crossed a cut.

In programs `splitjax.audit` is the function of `splitjax.auditing`. Whoever
imports this module can call it as that function.
"""

import sys
import types
import typing
from typing import Any

from splitjax import commands

if typing.TYPE_CHECKING:
  from splitjax.auditing.result import AuditResult


class _Callable(types.ModuleType):
  """A module that is called as the function of its name."""

  def __call__(self, *args: Any, **kwargs: Any) -> 'AuditResult':
    from splitjax import auditing

    return auditing.audit(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable
if __name__ == '__main__':
  sys.exit(commands.audit())
