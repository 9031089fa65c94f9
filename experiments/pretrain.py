r"""Trains a network for an attacker to own, on data of another source.

  python -m experiments.pretrain --dataset=tfds:mnist --model=conv_net

saves, to a folder that `python -m experiments.transfer --extractor=FOLDER` can
read, what comes before the architecture's main cut. With --weights=FILE it
trains nothing, and converts torchvision's weights of --model=resnet18 or vgg16
from a .safetensors file. No defense, attack or projection has a part in it:
those flags are refused.
"""

import dataclasses
import pathlib
import re
import shutil

from absl import flags
import jax
import numpy as np
import safetensors
from safetensors import numpy as safetensors_numpy

from experiments import catalog
from experiments import common
from experiments import options
from splitjax import metrics
from splitjax import models
from splitjax.engine import extractors
from splitjax.engine import pipeline
from splitjax.engine import problems
from splitjax.models import networks

flags.DEFINE_string(
  'weights',
  None,
  "A .safetensors file with torchvision's weights, to be converted.",
)

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
  'save_records',
)
_CONVERTERS = {
  'resnet18': (models.resnet18_trunk, 12),
  'vgg16': (models.vgg16_trunk, 44),
}


def train(
  config: problems.Config, progress: common.Progress
) -> tuple[extractors.Plan, tuple]:
  """Trains a network, and cuts its head off.

  Args:
    config: on what, and how; one seed.
    progress: told of every epoch.

  Returns:
    What the extractor is, and its parameters and state.

  Raises:
    common.FlagError: naming the flag, its value and what was expected.
  """
  problem = problems.check(dataclasses.replace(config, num_seeds=1))
  dataset = problem.dataset
  [[observed]] = pipeline.observe(
    problem,
    problem.recipe(read=('client',)),
    jax.random.key(config.seed),
    progress,
  )
  confusion = metrics.confusion_matrices(
    observed.logits['inference'].argmax(-1)[None, None],
    dataset.test_labels,
    num_classes=dataset.num_classes,
  )
  accuracy = float(np.mean(metrics.measure_all(confusion)['accuracy']))
  plan = extractors.Plan(
    model=config.model,
    options=networks.options_of(
      config.model, dataset, norm=config.norm, dtype=config.dtype
    ),
    num_layers=problem.model.cuts[0],
    input_shape=dataset.train_inputs.shape[1:],
    source=f'{dataset.name}, test accuracy {100 * accuracy:.1f}%',
  )
  return plan, observed.client(0)


def convert(path: pathlib.Path, model: str) -> tuple[extractors.Plan, tuple]:
  """Reads torchvision's weights.

  Args:
    path: of the file.
    model: which network they are of.

  Returns:
    What the extractor is, and its parameters and state.

  Raises:
    common.FlagError: naming the flag, its value and what was expected.
  """
  if model not in _CONVERTERS:
    names = ' or '.join(_CONVERTERS)
    raise common.FlagError('model', model, f'{names} with --weights')
  convert_fn, num_layers = _CONVERTERS[model]
  try:
    variables = convert_fn(safetensors_numpy.load_file(path))
  except FileNotFoundError as error:
    raise common.FlagError('weights', path, 'a file that is there') from error
  except (ValueError, safetensors.SafetensorError) as error:
    raise common.FlagError(
      'weights', path, f'a state dict of {model}: {error}'
    ) from error
  plan = extractors.Plan(
    model=model,
    options={'num_classes': 1000, 'norm': 'batch'},
    num_layers=num_layers,
    input_shape=(224, 224, 3),
    mean=models.IMAGENET_MEAN,
    deviation=models.IMAGENET_DEVIATION,
    source=path.name,
  )
  return plan, variables


def main() -> None:
  for name in _UNUSED:
    if flags.FLAGS[name].present:
      value = flags.FLAGS[name].value
      raise common.FlagError(name, value, 'no such flag: nothing is attacked')
  config, weights = options.config_of_flags(), flags.FLAGS.weights
  common.check_name('model', config.model, catalog.MODELS)
  source = pathlib.Path(weights).name if weights else config.dataset
  name = re.sub(r'[^A-Za-z0-9_.]+', '-', f'{config.model}-{source}')
  folder = pathlib.Path(common.OUT_DIR.value or f'extractors/{name}')
  common.check_writable(folder)
  if folder.exists() and any(folder.iterdir()) and not common.OVERWRITE.value:
    raise common.FlagError('out_dir', folder, 'a new folder, or --overwrite')
  if weights:
    plan, variables = convert(pathlib.Path(weights), config.model)
  else:
    with common.Progress(config.epochs) as progress:
      plan, variables = train(config, progress)
  shutil.rmtree(folder, ignore_errors=True)  # As --overwrite allowed.
  extractors.save(folder, plan, variables)
  print(f'{plan.source}: the first {plan.num_layers} layers of {plan.model}.')
  print(f'Written to {folder}, for --extractor={folder}')


if __name__ == '__main__':
  flags.adopt_module_key_flags(common)
  flags.adopt_module_key_flags(options)
  common.launch(main)
