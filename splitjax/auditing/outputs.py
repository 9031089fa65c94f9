"""What an audit writes into a folder: each file whole or not at all."""

from collections.abc import Iterator
import contextlib
import csv
import io
import os
import pathlib

from splitjax import files
from splitjax.auditing.result import AuditResult
from splitjax.engine.workplace import Workplace
from splitjax.errors import ConfigError
from splitjax.reports import audit_page
from splitjax.reports import audit_plots

_COLUMNS = (
  'phase',
  'place',
  'attack',
  'leaks',
  'measure',
  'mean',
  'low',
  'high',
)
_FILES = (
  'audit.json',
  'junit.xml',
  'leakage.png',
  'leakage.svg',
  'report.html',
  'results.csv',
)
_SUFFIXES = ('.json', '.xml', '.csv', '.html', '.png', '.svg')


@contextlib.contextmanager
def held(folder: str | os.PathLike | None) -> Iterator[None]:
  """Hold a folder alone, from before long work starts until all is written.

  Args:
    folder: the folder, which is made if it is not there; None for none.

  Raises:
    ConfigError: if it cannot be written, or another audit or run has it.
  """
  if not isinstance(folder, str | os.PathLike | None):
    raise ConfigError('out_dir', folder, 'the name of a folder')
  place = Workplace(folder, {'binary': 'an audit'}, names=_FILES)
  with place.held():
    place.check_writable()
    yield


def write(result: AuditResult, folder: str | os.PathLike) -> list[str]:
  """Write all outputs of an audit; those of an earlier one are replaced.

  Args:
    result: what was found.
    folder: the folder; it is made if it is not there.

  Returns:
    Names of the files.
  """
  path = pathlib.Path(folder)
  path.mkdir(parents=True, exist_ok=True)
  for name, text in (
    ('junit.xml', result.to_junit()),
    ('results.csv', to_csv(result)),
  ):
    with files.replacing(path / name) as scratch:
      scratch.write_text(text, encoding='utf-8')
  audit_plots.leakage(result.to_dict(), path / 'leakage.png')
  audit_page.write_audit(result.to_dict(), path)
  result.save(path / 'audit.json')  # The last: with it the folder is whole.
  return sorted(x.name for x in path.iterdir() if x.suffix in _SUFFIXES)


def to_csv(result: AuditResult) -> str:
  """Return all figures in long form, in percent."""
  text = io.StringIO()
  writer = csv.DictWriter(text, _COLUMNS, lineterminator='\n')
  writer.writeheader()
  writer.writerows(result.to_dataframe().to_dict('records'))
  return text.getvalue()
