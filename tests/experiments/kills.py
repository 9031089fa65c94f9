"""Runs binaries and kills them at chosen places, for `kill_test`.

As a program it reads jobs from standard input, a JSON object a line, and forks
for each, so that nothing is imported twice; it answers with the exit status.
"""

import json
import os
import pathlib
import runpy
import signal
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).parents[2]
_SMALL = [
  '--num_train=80',
  '--num_test=40',
  '--batch_size=40',
  '--epochs=3',
  '--num_seeds=1',
  '--num_aux_draws=1',
  '--checkpoint_seconds=0',
  '--attacks=distance',
]
COMMANDS = {
  'label_inference': [
    *_SMALL,
    '--save_records',
    '--intermediates=cut_grads',
  ],
  'cut_sweep': [*_SMALL, '--cuts=3,7'],
  'ablation': [
    *_SMALL,
    '--vary_batch_size=20',
    '--vary_recorded_epoch=1,3',
    '--vary_num_aux=2',
    '--vary_learning_rate=0.1',
  ],
  'defense_sweep': [
    *_SMALL,
    '--defenses=max_norm,label_dp',
    '--averaged_passes=2',
  ],
  'transfer': [*_SMALL, '--cuts=7', '--attacks=distance,transfer'],
  'parties': [*_SMALL, '--intermediates=cut_grads'],
  'regression': [*_SMALL, '--attacks=ridge', '--vary_num_aux=5'],
  'pretrain': [
    '--num_train=80',
    '--num_test=40',
    '--epochs=3',
    '--checkpoint_seconds=0',
  ],
}


class Runner:
  """Runs binaries in children of one process that has imported all."""

  def __init__(self, cache: str | os.PathLike) -> None:
    """Start the process; compiled programs are kept in a folder."""
    self._cache = f'--compilation_cache={cache}'
    self._process = subprocess.Popen(
      [sys.executable, __file__],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
      cwd=ROOT,
      env={**os.environ, 'PYTHONPATH': str(ROOT)},
    )

  def run(self, binary, out_dir, *args, **kill):
    """Run a binary; `at` and `after` or `seconds` say when to kill it.

    Returns the status, below zero for a signal, and what was printed.
    """
    job = {
      'binary': binary,
      'log': f'{out_dir}.log',
      'argv': [
        *COMMANDS[binary],
        self._cache,
        f'--out_dir={out_dir}',
        *args,
      ],
      **kill,
    }
    self._process.stdin.write(json.dumps(job) + '\n')
    self._process.stdin.flush()
    status = json.loads(self._process.stdout.readline())
    return status, pathlib.Path(job['log']).read_text()

  def close(self) -> None:
    """End the process."""
    self._process.stdin.close()
    self._process.stdout.close()
    self._process.wait()


def _killing(write_fn, counter, job):
  """Return a function that kills the process before or after a write."""

  def killing(*args, **kwargs):
    counter[0] += 1
    hit = counter[0] == job.get('at')
    if hit and not job.get('after'):
      os.kill(os.getpid(), signal.SIGKILL)
    result = write_fn(*args, **kwargs)
    if hit:
      os.kill(os.getpid(), signal.SIGKILL)
    return result

  return killing


def _tell(owner, name):
  """Let a method of a class print its first argument when it has returned."""
  method = getattr(owner, name)

  def telling(self, *args, **kwargs):
    result = method(self, *args, **kwargs)
    print(f'{name}: {args[0]}', flush=True)
    return result

  setattr(owner, name, telling)


def _run(job) -> None:
  """Run a job in this process, which ends with it."""
  from safetensors import numpy as safetensors_numpy

  from splitjax import results
  from splitjax.engine import observing

  log = os.open(job['log'], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
  os.dup2(log, 1)
  os.dup2(log, 2)
  _tell(observing._Session, '_train')
  _tell(results.Results, 'add')
  counter = [0]
  for module, name in (
    (os, 'replace'),
    (os, 'unlink'),
    (os, 'rmdir'),
    (safetensors_numpy, 'save_file'),
  ):
    setattr(module, name, _killing(getattr(module, name), counter, job))
  if job.get('seconds'):
    timer = threading.Timer(
      job['seconds'], os.kill, (os.getpid(), signal.SIGKILL)
    )
    timer.daemon = True
    timer.start()
  sys.argv = [job['binary'], *job['argv']]
  try:
    runpy.run_module(f'experiments.{job["binary"]}', run_name='__main__')
  finally:
    print(f'writes: {counter[0]}', flush=True)


def _serve() -> None:
  """Fork for every job, and print its status."""
  import jinja2  # noqa: F401
  from matplotlib import figure  # noqa: F401

  from splitjax import engine  # noqa: F401

  sys.path.insert(0, str(ROOT))
  for line in sys.stdin:
    child = os.fork()
    if not child:
      status = 1
      try:
        _run(json.loads(line))
        status = 0
      except SystemExit as end:
        status = end.code or 0
      finally:
        sys.stdout.flush()
        os._exit(status)
    _, code = os.waitpid(child, 0)
    print(json.dumps(os.waitstatus_to_exitcode(code)), flush=True)


if __name__ == '__main__':
  _serve()
