"""The folder of compiled programs: where it is, shared, and mended."""

import os
import pathlib
import subprocess
import sys

import filelock
import pytest

from splitjax import compilation

ROOT = pathlib.Path(__file__).parents[1]
_COMPILES = """
import sys
import jax
from splitjax import compilation

assert jax.config.jax_compilation_cache_dir is None  # Not by an import.
given = sys.argv[1:]
compilation.keep(*given)
events = []
jax.monitoring.register_event_listener(lambda event: events.append(event))
fn = jax.jit(lambda x: jax.numpy.linalg.svd(x @ x)[1])
fn(jax.numpy.ones((50, 50))).block_until_ready()
print(sum('cache_hits' in event for event in events) > 0)
"""


def _start(home, *args):
  env = {k: x for k, x in os.environ.items() if not k.startswith('JAX_')}
  env |= {'XDG_CACHE_HOME': str(home), 'PYTHONPATH': str(ROOT)}
  return subprocess.Popen(
    [sys.executable, '-c', _COMPILES, *args],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    env=env,
  )


def _finish(process):
  out, error = process.communicate()
  assert process.returncode == 0 and error == '', error
  return out.strip()


def test_default_is_in_the_users_folder_of_caches(monkeypatch, tmp_path):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  assert compilation.default_folder() == tmp_path / 'splitjax'
  monkeypatch.setenv('XDG_CACHE_HOME', '')
  monkeypatch.setenv('HOME', str(tmp_path))
  assert compilation.default_folder() == tmp_path / '.cache' / 'splitjax'


def test_two_processes_share_the_folder_and_the_next_reads_it(tmp_path):
  """Without a word on standard error."""
  outputs = [x.communicate() for x in [_start(tmp_path), _start(tmp_path)]]
  assert [error for _, error in outputs] == ['', '']
  assert any((tmp_path / 'splitjax').glob('*-cache'))
  assert _finish(_start(tmp_path)) == 'True'


def test_nothing_is_kept_where_it_is_switched_off_or_cannot_be(tmp_path):
  assert _finish(_start(tmp_path, '')) == 'False'
  assert list(tmp_path.iterdir()) == []
  (tmp_path / 'file').touch()
  assert _finish(_start(tmp_path / 'file')) == 'False'


def test_folder_that_was_named_and_cannot_be_made_is_an_error(tmp_path):
  (tmp_path / 'file').touch()
  with pytest.raises(OSError, match='file'):
    compilation.keep(tmp_path / 'file' / 'cache')


def test_what_a_killed_process_left_is_removed(tmp_path):
  for name in ('whole-cache', 'whole-atime', 'cut-cache', 'gone-atime', 'own'):
    (tmp_path / name).touch()
  lock = filelock.FileLock(tmp_path / '.lockfile')
  with lock:  # A process writes.
    compilation._mend(tmp_path)
    assert (tmp_path / 'cut-cache').exists()
  compilation._mend(tmp_path)
  found = {path.name for path in tmp_path.iterdir()} - {'.lockfile'}
  assert found == {'whole-cache', 'whole-atime', 'own'}
