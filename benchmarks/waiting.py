r"""Prints where the time of five usual commands goes.

  python -m benchmarks.waiting

runs each in a process of its own with `--timings`, first with an empty folder
of compiled programs, then once more with what the first run left there, and
prints the seconds of each phase. They are of the whole process but Python's own
start. Each --command=NAME picks one of them. Ten
minutes on two cores.
"""

from collections.abc import Sequence
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from absl import app
from absl import flags

from benchmarks import timing
from splitjax.engine.timings import PHASES

_SIMPLE_NET = (
  *('label_inference', '--model=simple_net', '--image_size=32'),
  *('--num_train=256', '--num_test=128', '--batch_size=128', '--epochs=1'),
  *('--num_seeds=1', '--attacks=distance,clustering'),
)
COMMANDS = {
  'main job': ('label_inference',),
  'two attacks': ('label_inference', '--attacks=distance,clustering'),
  'conv_net': (
    *('label_inference', '--model=conv_net', '--num_seeds=1', '--epochs=10'),
    '--attacks=distance,clustering',
  ),
  'cut_sweep': ('cut_sweep', '--attacks=distance', '--num_seeds=1'),
  'simple_net': _SIMPLE_NET,
}

_NAMES = flags.DEFINE_multi_enum(
  'command', list(COMMANDS), list(COMMANDS), 'Which are run.'
)


def seconds_of(
  args: Sequence[str], cache: pathlib.Path, folder: pathlib.Path
) -> dict[str, float]:
  """Run a command, and return the seconds of each phase."""
  name, *flags_given = args
  subprocess.run(
    [
      *(sys.executable, '-m', f'experiments.{name}', *flags_given),
      *(f'--out_dir={folder}', f'--compilation_cache={cache}', '--overwrite'),
    ],
    check=True,
    env={**os.environ, 'TQDM_DISABLE': '1'},
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
  )
  return json.loads((folder / 'config.json').read_text())['run']['seconds']


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError('Too many command-line arguments.')
  rows = []
  for name in _NAMES.value:
    with tempfile.TemporaryDirectory() as root:
      for number, cache in enumerate(('cold', 'warm')):
        found = seconds_of(
          COMMANDS[name],
          pathlib.Path(root, 'cache'),
          pathlib.Path(root, str(number)),
        )
        total = {'in all': sum(found.values())}
        rows.append(
          {'command': name, 'cache': cache}
          | {phase: found[phase] for phase in PHASES}
          | total
        )
  timing.show(rows)


if __name__ == '__main__':
  app.run(main)
