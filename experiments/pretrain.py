r"""Trains a network for an attacker to own, on data of another source.

  python -m experiments.pretrain --dataset=tfds:mnist --model=conv_net

saves, to a folder that `python -m experiments.transfer --extractor=FOLDER` can
read, what comes before the architecture's main cut. With --weights=FILE it
trains nothing, and converts torchvision's weights of --model=resnet18 or vgg16
from a .safetensors file. No defense, attack or projection has a part in it:
those flags are refused.
"""

from collections.abc import Iterator, Mapping
import contextlib
import pathlib
import re
from typing import Any

from absl import flags

from experiments import common
from experiments.progress import Progress
from splitjax import engine
from splitjax import files
from splitjax.data import sets
from splitjax.engine import extractors
from splitjax.engine import pretraining
from splitjax.engine.progress import SILENT
from splitjax.engine.timings import Timings
from splitjax.engine.workplace import CHECKPOINTS
from splitjax.engine.workplace import Workplace
from splitjax.errors import ConfigError
from splitjax.errors import check_name
from splitjax.models.catalog import MODELS
from splitjax.results import lock

DEFAULT = engine.Config()
_UNUSED = (
  'attacks',
  'center_smashed',
  'cuts',
  'defense',
  'intermediates',
  'num_aux',
  'num_aux_draws',
  'num_seeds',
  'project_to',
  'recorded_epoch',
  'save_records',
)


def main(config: engine.Config, timings: Timings) -> None:
  """Write an extractor to the folder that the flags name."""
  for name in _UNUSED:
    if flags.FLAGS[name].present:
      value = flags.FLAGS[name].value
      raise ConfigError(name, value, 'no such flag: nothing is attacked')
  model, weights = str(config.model), flags.FLAGS.weights
  check_name('model', model, MODELS)
  source = pathlib.Path(weights).name if weights else sets.name_of(config)
  name = re.sub(r'[^A-Za-z0-9_.]+', '-', f'{model}-{source}')
  folder = pathlib.Path(common.OUT_DIR.value or f'extractors/{name}')
  if weights:
    identity = {'binary': 'pretrain', 'weights': weights, 'model': model}
    with _held(folder, identity):
      _write(folder, *pretraining.convert(pathlib.Path(weights), model))
    return
  with timings.phase('load'):
    problem = pretraining.problem_of(config)
  with (
    contextlib.closing(Progress(config.epochs)) as progress,
    _held(folder, pretraining.identity_of_problem(problem), progress) as place,
  ):
    checkpoint = place.checkpoint('training')
    with timings.phase('train'):
      found = pretraining.train(problem, progress, checkpoint)
    _write(folder, *found)
    place.remove_checkpoints()


@contextlib.contextmanager
def _held(
  folder: pathlib.Path,
  identity: Mapping[str, Any],
  progress: engine.Progress = SILENT,
) -> Iterator[Workplace]:
  """Hold the folder alone, which must be new unless --overwrite is given."""
  place = Workplace(
    folder,
    identity,
    seconds=common.CHECKPOINT_SECONDS.value,
    warn_fn=progress.warn,
  )
  overwrite = common.OVERWRITE.value
  with place.held() as was_killed:
    place.check_writable()
    files.remove_leftovers(folder, extractors.FILES)
    own = {lock.LOCK_FILE, CHECKPOINTS}
    if was_killed:  # While it wrote what it had made.
      own.update(extractors.FILES)
    if not overwrite and any(x.name not in own for x in folder.iterdir()):
      raise ConfigError('out_dir', folder, 'a new folder, or --overwrite')
    if overwrite and not was_killed:
      place.remove_checkpoints()
    yield place


def _write(
  folder: pathlib.Path, plan: extractors.ExtractorPlan, variables: tuple
) -> None:
  """Write an extractor, and say so."""
  extractors.save(folder, plan, variables)
  print(f'{plan.source}: the first {plan.num_layers} layers of {plan.model}.')
  print(f'Written to {folder}, for --extractor={folder}')


if __name__ == '__main__':
  flags.DEFINE_string(
    'weights',
    None,
    "A .safetensors file with torchvision's weights, to be converted.",
  )
  common.launch(main, DEFAULT)
