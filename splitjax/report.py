"""`python -m splitjax.report RUN RUN`: compares audits.

As a module it is the old path of `splitjax.results.rows` and
`splitjax.results.store`. Use the new paths; this one goes in 0.3.
"""

import sys
import warnings

from splitjax.auditing import comparing
from splitjax.results.rows import COLUMNS as COLUMNS
from splitjax.results.rows import TIMES as TIMES
from splitjax.results.rows import Cell as Cell
from splitjax.results.rows import Row as Row
from splitjax.results.rows import Setting as Setting
from splitjax.results.rows import by_cell as by_cell
from splitjax.results.rows import cell_of as cell_of
from splitjax.results.rows import cell_rows as cell_rows
from splitjax.results.rows import to_csv as to_csv
from splitjax.results.store import RESULT_FILES as RESULT_FILES
from splitjax.results.store import Results as Results

__all__ = [
  'COLUMNS',
  'Cell',
  'RESULT_FILES',
  'Results',
  'Row',
  'Setting',
  'TIMES',
  'by_cell',
  'cell_of',
  'cell_rows',
  'to_csv',
]

if __name__ == '__main__':
  sys.exit(comparing.main())

warnings.warn(
  f'{__name__} goes in 0.3: use splitjax.results.rows, splitjax.results.store.',
  DeprecationWarning,
  stacklevel=2,
)
