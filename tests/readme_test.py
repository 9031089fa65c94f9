"""What the documents say to run: examples, commands and their flags."""

import importlib
import pathlib
import re
import shlex

import pytest

from experiments import attack_table
from experiments import common
from splitjax import options

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob('*.md')), *sorted(ROOT.glob('docs/*.md'))]
EXAMPLES = [
  (f'{page.name} {number}', example)
  for page in PAGES
  for number, example in enumerate(
    re.findall(r'```python\n(.*?)```', page.read_text(), re.DOTALL), 1
  )
]


@pytest.mark.parametrize(
  ('name', 'code'),
  [
    # All attacks of a run compile for long.
    pytest.param(*x, id=x[0], marks=[pytest.mark.slow] * ('engine.run' in x[1]))
    for x in EXAMPLES
  ],
)
def test_python_examples_run(name, code):
  exec(compile(code, name, 'exec'), {})


def test_table_of_attacks_is_that_of_the_code():
  page = ROOT / 'docs' / 'attacks.md'
  assert page.read_text() == attack_table.to_text()


def _commands() -> list[tuple[str, str]]:
  """Returns the binaries that the documents run, with what follows them."""
  found = []
  for page in PAGES:
    # A command may go over several lines.
    text = page.read_text().replace('\\\n', '')
    found += re.findall(r'python -m experiments\.(\w+)([^`\n]*)', text)
  return found


def _flags_of(binary: str) -> set[str]:
  """Returns the names of the flags that a binary has."""
  by_module = common.flags.FLAGS.flags_by_module_dict()
  shared = [*by_module[common.__name__], *by_module[common.options.__name__]]
  module = importlib.import_module(f'experiments.{binary}')
  own = options.options_of(module.DEFAULT) if hasattr(module, 'DEFAULT') else []
  text = pathlib.Path(module.__file__).read_text()
  defined = re.findall(r"flags\.DEFINE_\w+\(\s*'(\w+)'", text)
  return {'help', *defined, *(x.name for x in [*shared, *own])}


def test_commands_name_flags_that_exist():
  commands = _commands()
  assert len(commands) > 30
  for binary, rest in commands:
    words = [x for x in shlex.split(rest) if x.startswith('--')]
    names = {word[2:].partition('=')[0] for word in words}
    assert names <= _flags_of(binary), f'{binary}{rest}'


def test_tables_have_as_many_columns_everywhere():
  pages = [*PAGES, ROOT / 'benchmarks' / 'RESULTS.md']
  tables = [
    table.splitlines()
    for page in pages
    for table in re.findall(r'(?:^\|.*\n)+', page.read_text(), re.MULTILINE)
  ]
  assert len(tables) > 20
  for rows in tables:
    widths = {row.replace(r'\|', '').count('|') for row in rows}
    assert len(widths) == 1, rows[0]
