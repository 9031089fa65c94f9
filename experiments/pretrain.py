r"""Trains a network for an attacker to own, on data of another source.

  python -m experiments.pretrain --dataset=tfds:mnist --model=conv_net

saves, to a folder that `python -m experiments.transfer --extractor=FOLDER` can
read, what comes before the architecture's main cut. With --weights=FILE it
trains nothing, and converts torchvision's weights of --model=resnet18 or vgg16
from a .safetensors file. No defense, attack or projection has a part in it:
those flags are refused.
"""

import contextlib
import pathlib
import re
import shutil

from absl import flags

from experiments import common
from splitjax import engine
from splitjax.data import sets
from splitjax.engine import extractors
from splitjax.engine import pretraining
from splitjax.errors import ConfigError
from splitjax.errors import check_name
from splitjax.models.catalog import MODELS

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


def main(config: engine.Config) -> None:
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
  common.check_writable(folder)
  if folder.exists() and any(folder.iterdir()) and not common.OVERWRITE.value:
    raise ConfigError('out_dir', folder, 'a new folder, or --overwrite')
  if weights:
    plan, variables = pretraining.convert(pathlib.Path(weights), model)
  else:
    with contextlib.closing(common.Progress(config.epochs)) as progress:
      plan, variables = pretraining.train(config, progress)
  shutil.rmtree(folder, ignore_errors=True)  # As --overwrite allowed.
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
