"""`python -m splitjax.audit`: a verdict on what crossed a cut.

In programs, `splitjax.audit` is the function of `splitjax.auditing`; importing
this module gives that function too.
"""

import sys

from splitjax.auditing import audit
from splitjax.auditing import command

if __name__ == '__main__':
  sys.exit(command.main())
sys.modules[__name__] = audit  # type: ignore[assignment]
