import importlib
import subprocess
import sys

import pytest

import splitjax
from splitjax import commands


def test_importing_the_package_imports_nothing_else():
  code = (
    'import sys, splitjax; '
    'print([x for x in ("jax", "flax", "numpy") if x in sys.modules]); '
    'print(splitjax.attacks.nearest_labels.__name__, "jax" in sys.modules)'
  )
  run = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True
  )
  assert run.stdout.splitlines() == ['[]', 'nearest_labels True']


def test_all_names_are_there_and_no_others():
  for name in [*splitjax.__all__, 'engine', 'records']:
    assert name in dir(splitjax)
    assert getattr(splitjax, name) is not None
  with pytest.raises(AttributeError, match="no attribute 'atacks'"):
    splitjax.atacks  # noqa: B018


@pytest.mark.parametrize('name', ['audit', 'report'])
def test_interrupted_import_is_one_line(name, monkeypatch, capsys):
  def interrupt(module):
    assert module.startswith('splitjax.auditing.')
    raise KeyboardInterrupt

  monkeypatch.setattr(importlib, 'import_module', interrupt)
  assert getattr(commands, name)() == 130
  assert capsys.readouterr().err == f'splitjax-{name}: error: interrupted\n'


def test_commands_are_those_of_the_audit(monkeypatch, capsys):
  monkeypatch.setattr(sys, 'argv', ['splitjax-audit', '--labels=none.npy'])
  assert commands.audit() == 2
  assert len(capsys.readouterr().err.splitlines()) == 1
