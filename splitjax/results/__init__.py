"""Figures of attacks in long form, and the folder that holds them."""

from splitjax.results.environment import environment as environment
from splitjax.results.environment import identity_of as identity_of
from splitjax.results.rows import ANY as ANY
from splitjax.results.rows import COLUMNS as COLUMNS
from splitjax.results.rows import JUDGED as JUDGED
from splitjax.results.rows import TIMES as TIMES
from splitjax.results.rows import Cell as Cell
from splitjax.results.rows import Row as Row
from splitjax.results.rows import Setting as Setting
from splitjax.results.rows import by_cell as by_cell
from splitjax.results.rows import cell_of as cell_of
from splitjax.results.rows import cell_rows as cell_rows
from splitjax.results.rows import to_csv as to_csv
from splitjax.results.store import RECORDS as RECORDS
from splitjax.results.store import REPORT_FILES as REPORT_FILES
from splitjax.results.store import RESULT_FILES as RESULT_FILES
from splitjax.results.store import Results as Results
from splitjax.results.store import read as read

__all__ = [
  'ANY',
  'COLUMNS',
  'Cell',
  'JUDGED',
  'RECORDS',
  'REPORT_FILES',
  'RESULT_FILES',
  'Results',
  'Row',
  'Setting',
  'TIMES',
  'by_cell',
  'cell_of',
  'cell_rows',
  'environment',
  'identity_of',
  'read',
  'to_csv',
]
