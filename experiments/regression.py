r"""How much of real targets crosses the cut: label inference on regression.

  python -m experiments.regression

trains five small networks to predict how far diabetes got, and attacks them
with the learning-based attack of Xie et al. (https://arxiv.org/abs/2301.07284),
in about a minute on two CPU cores; beside it what the known samples tell by the
nearest of them and by ridge regression, of gradients, smashed data and (no
leak) raw inputs. --defense=rle_like,mle_like trains on extended labels too, see
`splitjax.defenses.label_extension`. It prints R2, and writes what
`label_inference` writes, with mean absolute errors and rank correlations.
Expect the gradients of the first pass to tell more than the model knows.
"""

import functools
import itertools

from absl import flags
import jax
import numpy as np

from experiments import catalog
from experiments import common
from experiments import regression_config
from experiments import regressors
from experiments import target_reading
from splitjax import data
from splitjax.records import viewing
from splitjax.reports import regression_summary
from splitjax.results import report


def settings_of(config: regression_config.Config) -> list[report.Setting]:
  """One for each defense, strength and number of known samples, in order."""
  return [
    report.Setting(
      dataset=config.dataset,
      model='mlp',
      cut=str(config.cut),
      defense=name,
      strength=strength,
      epochs=config.epochs,
      batch_size=config.batch_size,
      learning_rate=config.learning_rate,
      recorded_epoch=config.recorded_epoch,
      num_aux=num_aux,
    )
    for name in config.defense
    for strength in _strengths_of(config, name)
    for num_aux in config.num_aux
  ]


def _strengths_of(config, name):
  return (0.0,) if name == 'none' else tuple(sorted(config.strengths))


def cells_of(config: regression_config.Config) -> list[report.Cell]:
  """All that is measured, in the order of the results.

  A model is measured once, however many samples are known; raw inputs and the
  mean of the known targets undefended alone.
  """
  cells = []
  for setting in settings_of(config):
    plain = setting.defense == 'none'
    for phase in ('training', 'inference'):
      add = functools.partial(report.Cell, setting, phase)
      if setting.num_aux == config.num_aux[0]:
        cells.append(add('none', 'model'))
      if plain:
        cells.append(add('none', 'mean'))
      cells += [
        add(place[1], attack)
        for place in target_reading.PLACES
        if place[0] == phase and (plain or place[1] != 'raw_inputs')
        for attack in target_reading.attacks_of(place)
      ]
  return cells


def run(
  config: regression_config.Config,
  dataset: data.RegressionDataset,
  results: report.Results,
  progress: common.Progress,
) -> None:
  """Measures every cell that is not finished yet.

  Args:
    config: from `regression_config.check`.
    dataset: likewise.
    results: where finished cells are kept.
    progress: told of every cell.

  Raises:
    common.FlagError: if a training diverges.
  """
  key_train, key_attack = jax.random.split(jax.random.key(config.seed))
  draw_fn = functools.partial(_draw_known, config, dataset)
  begun = False
  for name, group in itertools.groupby(
    cells_of(config), lambda cell: cell.setting.defense
  ):
    cells = list(group)
    if all(cell in results for cell in cells):
      continue
    strengths = _strengths_of(config, name)
    progress.start(
      f'training {config.num_seeds * len(strengths)} models, {name}'
    )
    observed = _observe(key_train, config, dataset, name, strengths)
    if not begun:
      results.begin()
      begun = True
    readers = {
      strength: target_reading.Reader(key_attack, dataset, one, draw_fn)
      for strength, one in zip(strengths, observed, strict=True)
    }
    for cell in cells:
      if cell not in results:
        progress.start(f'{name}, {cell.phase}: {cell.attack}')
        results.add(cell, readers[cell.setting.strength].rows(cell))
      progress.advance()


def _observe(key, config, dataset, name, strengths):
  recipe = regressors.Recipe(
    hidden_sizes=config.hidden_sizes,
    cut=config.cut,
    optimizer=catalog.OPTIMIZERS[config.optimizer](config.learning_rate),
    epochs=config.epochs,
    batch_size=config.batch_size,
    recorded_epoch=config.recorded_epoch,
    defense=name,
    num_extra=config.num_extra,
  )
  try:
    return regressors.observe(
      key, dataset, recipe, num_seeds=config.num_seeds, strengths=strengths
    )
  except FloatingPointError as error:
    raise common.FlagError(
      'learning_rate',
      config.learning_rate,
      f'one that converges under {name}: {error}',
    ) from error


def _draw_known(config, dataset, num_aux) -> np.ndarray:
  """Ids of the known samples of every trial, `[S, R, A]`."""
  ids = dataset.train_ids
  return np.stack(
    [
      viewing.sample_auxiliary(
        (config.seed, index),
        ids,
        np.zeros_like(ids),  # As of one class: any sample may be known.
        num_classes=1,
        num_per_class=num_aux,
        num_draws=config.num_aux_draws,
      ).ids
      for index in range(config.num_seeds)
    ]
  )


def facts_of(
  config: regression_config.Config, dataset: data.RegressionDataset
) -> list[str]:
  """What was run and how, in sentences."""
  widths = ' x '.join(str(size) for size in config.hidden_sizes)
  facts = [
    f'Data: {dataset.name}, {len(dataset.train_targets)} training and '
    f'{len(dataset.test_targets)} test samples; targets '
    f'{dataset.target_mean:.1f} +- {dataset.target_std:.1f}.',
    f'Network: perceptron {widths} with a linear head, cut after layer '
    f'{config.cut}; {config.epochs} epochs of {config.optimizer}, learning '
    f'rate {config.learning_rate:g}, batch {config.batch_size}.',
    f'{config.num_seeds * config.num_aux_draws} trials: {config.num_seeds} '
    f'networks x {config.num_aux_draws} draws of the known samples, which are '
    'never scored; 95% bootstrap intervals.',
  ]
  if len(config.defense) > 1:
    facts.append(
      f'Defenses extend each label by {config.num_extra} entries; they are '
      'like RLE and MLE of Qiu et al., not theirs.'
    )
  return facts


def main() -> None:
  if common.SAVE_RECORDS.value:
    raise common.FlagError('save_records', True, 'no such flag in a regression')
  config, dataset = regression_config.check(regression_config.config_of_flags())
  cells = cells_of(config)
  out_dir, results = common.open_results('regression', config, cells)
  if not results.complete:
    with common.Progress(len(cells)) as progress:
      run(config, dataset, results, progress)
  common.show(
    regression_summary.summarise(results.rows(), facts_of(config, dataset)),
    out_dir,
    regression_summary.draw,
  )


if __name__ == '__main__':
  flags.adopt_module_key_flags(common)
  regression_config.define_flags()
  flags.adopt_module_key_flags(regression_config)
  common.launch(main)
