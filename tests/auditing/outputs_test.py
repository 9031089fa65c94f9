"""The folder of an audit, and errors that nobody thought of."""

import os

import pytest

from splitjax.auditing import command
from splitjax.auditing import outputs
from splitjax.errors import ConfigError
from splitjax.results import lock


def test_folder_that_another_run_holds_is_refused(tmp_path):
  with (
    lock.locked(tmp_path, {'binary': 'transfer'}),
    pytest.raises(ConfigError, match='out_dir=.*: transfer, process'),
    outputs.held(tmp_path),
  ):
    raise AssertionError


def test_what_a_killed_audit_was_writing_is_removed(tmp_path):
  (tmp_path / '.audit.json.abcd_123').mkdir()
  with outputs.held(tmp_path):
    assert os.listdir(tmp_path) == ['.lock']
  assert os.listdir(tmp_path) == []


def test_folder_must_be_named():
  with (
    pytest.raises(ConfigError, match='out_dir=3: expected the name of a fol'),
    outputs.held(3),
  ):
    raise AssertionError


@pytest.mark.parametrize(
  ('error', 'status', 'text'),
  [
    (RuntimeError('a\nb'), 2, 'RuntimeError: a b (--debug shows where)'),
    (KeyboardInterrupt(), 130, 'interrupted'),
  ],
)
def test_any_error_is_one_line(monkeypatch, capsys, error, status, text):
  def fails(values):
    raise error

  monkeypatch.setattr(command, '_run', fails)
  assert command.main([]) == status
  assert capsys.readouterr().err == f'splitjax-audit: error: {text}\n'
  assert command.main(['--debug']) == status
  assert capsys.readouterr().err.startswith('Traceback')
