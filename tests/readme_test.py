import pathlib
import re
import shlex

import pytest

from experiments import ablation  # noqa: F401 (defines flags)
from experiments import attack_table
from experiments import common
from experiments import defense_sweep  # noqa: F401
from experiments import pretrain  # noqa: F401
from experiments import transfer  # noqa: F401

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / 'README.md').read_text()
BUILD = (ROOT / 'BUILD.md').read_text()
EXAMPLES = [
  example
  for page in (README, BUILD)
  for example in re.findall(r'```python\n(.*?)```', page, re.DOTALL)
]


@pytest.mark.parametrize('index', range(4))
def test_python_examples_run(index):
  assert len(EXAMPLES) == 4
  exec(compile(EXAMPLES[index], f'example {index}', 'exec'), {})


def test_what_is_linked_exists():
  links = [x for x in re.findall(r'\]\((.*?)\)', README) if '://' not in x]
  assert 'docs/digits.png' in links
  # What stands before a '#' is a file, what behind it a title in that file.
  assert all((ROOT / link.partition('#')[0]).exists() for link in links)
  titles = [
    re.sub('[^a-z0-9 ]', '', x.lower()).replace(' ', '-')
    for x in re.findall('^#+ (.*)$', README, re.MULTILINE)
  ]
  assert {x[1:] for x in links if x.startswith('#')} <= set(titles)


def test_table_of_attacks_is_that_of_the_code():
  page = ROOT / 'docs' / 'attacks.md'
  assert page.read_text() == attack_table.to_text()


def test_commands_name_flags_that_exist():
  pattern = r'python -m experiments\.[^`\n]*'
  commands = re.findall(pattern, README + BUILD)
  assert len(commands) > 12
  known = set(common.flags.FLAGS) | {'help'}
  for command in commands:
    words = [x for x in shlex.split(command) if x.startswith('--')]
    names = [word[2:].split('=')[0] for word in words]
    assert set(names) <= known


def test_tables_have_as_many_columns_everywhere():
  pages = [*ROOT.glob('*.md'), *ROOT.glob('docs/*.md')]
  pages.append(ROOT / 'benchmarks' / 'RESULTS.md')
  tables = [
    table.splitlines()
    for page in pages
    for table in re.findall(r'(?:^\|.*\n)+', page.read_text(), re.MULTILINE)
  ]
  assert len(tables) > 20
  for rows in tables:
    widths = {row.replace(r'\|', '').count('|') for row in rows}
    assert len(widths) == 1, rows[0]
