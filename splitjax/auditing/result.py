"""The result of an audit: one object that all outputs are made from."""

from collections.abc import Mapping
import dataclasses
import json
import os
import pathlib
from typing import Any
from xml.etree import ElementTree

from splitjax import files
from splitjax import metrics
from splitjax.reports.verdict import in_words

FORMAT, VERSION = 'splitjax audit', 1
EXIT_STATUS = {metrics.PASS: 0, metrics.FAIL: 1, metrics.INCONCLUSIVE: 3}


@dataclasses.dataclass(frozen=True)
class AuditResult:
  """What an audit found; its content is what `audit.json` holds.

  Attributes:
    content: plain values, as documented in `docs/audit.md`. All figures are in
      percent, leakages in percentage points.
  """

  content: Mapping[str, Any]

  @property
  def verdict(self) -> str:
    """'pass', 'fail' or 'inconclusive'."""
    return self.content['verdict']

  @property
  def exit_status(self) -> int:
    """0 for 'pass', 1 for 'fail', 3 for 'inconclusive'."""
    return EXIT_STATUS[self.verdict]

  @property
  def leakage(self) -> Mapping[str, float]:
    """Leakage in points: 'mean', 'low' and 'high'."""
    return self.content['leakage']

  def summary(self) -> str:
    """Return the verdict in words, one paragraph."""
    return self.content['summary']

  def __str__(self) -> str:
    return self.summary()

  def to_dict(self) -> dict[str, Any]:
    """Return the content as plain values."""
    return json.loads(json.dumps(self.content))

  def to_dataframe(self) -> Any:
    """Return all figures in long form, as a pandas data frame.

    Columns are 'phase', 'place', 'attack', 'leaks', 'measure', 'mean', 'low'
    and 'high'; figures are in percent.
    """
    import pandas as pd  # Slow to import, and needed here alone.

    return pd.DataFrame(
      [
        {
          'phase': one['phase'],
          'place': one['place'],
          'attack': one['attack'],
          'leaks': one['leaks'],
          'measure': measure,
          **value,
        }
        for one in self.content['attacks']
        for measure, value in one.items()
        if isinstance(value, Mapping) and 'mean' in value
      ]
    )

  def save(self, path: str | os.PathLike) -> None:
    """Write `audit.json`, whole or not at all."""
    text = json.dumps(self.content, indent=2, allow_nan=False) + '\n'
    with files.replacing(path) as scratch:
      scratch.write_text(text, encoding='utf-8')

  @classmethod
  def load(cls, path: str | os.PathLike) -> 'AuditResult':
    """Read what `save` wrote.

    Args:
      path: the file, or a folder with an `audit.json`.

    Returns:
      The result.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it holds no audit, or one of a later version.
    """
    file = pathlib.Path(path)
    if file.is_dir():
      file = file / 'audit.json'
    try:
      content = json.loads(file.read_text(encoding='utf-8'))
      known = content['format'] == FORMAT and content['verdict'] in EXIT_STATUS
      version = content['version']
    except (ValueError, KeyError, TypeError) as error:
      raise ValueError(f'{file} must be an audit, got {error!r}.') from error
    if not known or version > VERSION:
      raise ValueError(
        f'{file} must be an audit of version {VERSION}, got {version!r}.'
      )
    return cls(content)

  def to_junit(self) -> str:
    """Return JUnit XML: a test case for each attack that was judged.

    A case fails if its leakage is above the limit, and is an error if that is
    open. What was not tried is skipped. There is a failure if, and only if, the
    verdict is 'fail'; and no failure and no error if it is 'pass'.
    """
    limit = self.content['limit']
    judged = [x for x in self.content['attacks'] if x.get('leakage')]
    suite = ElementTree.Element('testsuite', name='splitjax audit')
    counts = {'failures': 0, 'errors': 0, 'skipped': 0}
    for one in judged:
      case = ElementTree.SubElement(
        suite,
        'testcase',
        classname=f'splitjax.audit.{one["phase"]}',
        name=f'{one["attack"]} on {one["place"]}',
      )
      kind = {'fail': 'failure', 'inconclusive': 'error'}.get(one['verdict'])
      if kind:
        counts[f'{kind}s'] += 1
        text = f'{in_words(one["leakage"])} points of leakage, limit {limit:g}'
        ElementTree.SubElement(case, kind, message=text, type=one['verdict'])
    for one in self.content['not_tried']:
      case = ElementTree.SubElement(
        suite, 'testcase', classname='splitjax.audit', name=one['what']
      )
      ElementTree.SubElement(case, 'skipped', message=one['why'])
      counts['skipped'] += 1
    suite.set('tests', str(len(suite)))
    for name, count in counts.items():
      suite.set(name, str(count))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, 'unicode', xml_declaration=True) + '\n'
