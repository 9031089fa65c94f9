import pathlib
import re
import shlex

import pytest

from experiments import ablation  # noqa: F401 (defines flags)
from experiments import attack_table
from experiments import common
from experiments import defense_sweep  # noqa: F401

README = (pathlib.Path(__file__).parents[1] / 'README.md').read_text()


@pytest.mark.parametrize('index', range(2))
def test_python_examples_run(index):
  examples = re.findall(r'```python\n(.*?)```', README, re.DOTALL)
  assert len(examples) == 2
  exec(compile(examples[index], f'README example {index}', 'exec'), {})


def test_what_is_linked_exists():
  root = pathlib.Path(__file__).parents[1]
  links = [x for x in re.findall(r'\]\((.*?)\)', README) if '://' not in x]
  assert 'docs/digits.png' in links
  # What stands before a '#' is a file, what behind it a title in that file.
  assert all((root / link.partition('#')[0]).exists() for link in links)
  titles = [
    re.sub('[^a-z0-9 ]', '', x.lower()).replace(' ', '-')
    for x in re.findall('^#+ (.*)$', README, re.MULTILINE)
  ]
  assert {x[1:] for x in links if x.startswith('#')} <= set(titles)


def test_table_of_attacks_is_that_of_the_code():
  page = pathlib.Path(__file__).parents[1] / 'docs' / 'attacks.md'
  assert page.read_text() == attack_table.to_text()


def test_commands_name_flags_that_exist():
  commands = re.findall(r'^python -m experiments.*$', README, re.MULTILINE)
  assert commands
  known = set(common.flags.FLAGS) | {'help'}
  for command in commands:
    names = [word[2:].split('=')[0] for word in shlex.split(command)[3:]]
    assert set(names) <= known
