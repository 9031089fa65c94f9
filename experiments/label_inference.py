r"""Trains a split model, records what crosses the cut, and reads the labels.

  python -m experiments.label_inference

trains five small networks on handwritten digits and attacks them, in about half
a minute on two CPU cores. It prints a table of attack accuracy by what the
attacker read, beside what is no leakage (the same attack on the raw inputs and
on an untrained client). To --out_dir it writes results.csv, results.jsonl (with
the figure of every trial), config.json, leakage.png and report.html. Expect
close to 100% from the cut gradients of the first pass, and from smashed data
nearly the accuracy of the model itself.
"""

import dataclasses
import hashlib
import json
import math
import pathlib

from absl import flags
import jax
import numpy as np

from experiments import catalog
from experiments import common
from experiments import pipeline
from experiments import targets
from splitjax import data
from splitjax import evaluation
from splitjax import metrics
from splitjax import page
from splitjax import report
from splitjax import split

# What is read, by phase; the last two are no leakage.
READ = {
  'training': ('cut_grads', 'smashed', 'untrained_smashed', 'raw_inputs'),
  'inference': ('smashed', 'untrained_smashed', 'raw_inputs'),
}
REFERENCES = ('model', 'majority', 'chance')
TITLES = {
  'cut_grads': 'cut gradients, first pass',
  'smashed': 'smashed data',
  'untrained_smashed': 'no leak: untrained client',
  'raw_inputs': 'no leak: raw inputs',
}
LINES = [
  (phase, intermediate, TITLES[intermediate])
  for phase, intermediates in READ.items()
  for intermediate in intermediates
]


@dataclasses.dataclass(frozen=True)
class Config:
  """What the results depend on; the fields are the flags of these names."""

  dataset: str = 'digits'
  model: str = 'mlp'
  cut: int | None = None  # The architecture's main cut.
  epochs: int = 60
  batch_size: int = 32
  learning_rate: float = 0.05
  optimizer: str = 'sgd'
  attacks: tuple[str, ...] = ('distance', 'clustering', 'clustering_paper')
  center_smashed: bool = False
  num_aux: int = 1
  num_aux_draws: int = 10
  num_seeds: int = 5
  seed: int = 0


@dataclasses.dataclass(frozen=True)
class Problem:
  """A configuration that was checked, with what its names stand for."""

  config: Config
  dataset: data.Dataset
  model: split.SplitModel

  @property
  def setting(self) -> report.Setting:
    """The columns that all rows share."""
    return report.Setting(
      self.dataset.name,
      self.config.model,
      '-'.join(str(cut) for cut in self.model.cuts),
    )

  @property
  def cells(self) -> list[report.Cell]:
    """All that is measured, in the order of the results."""
    return [
      report.Cell(phase, intermediate, name)
      for phase, intermediates in READ.items()
      for intermediate, names in (
        ('none', REFERENCES),
        *((read, ('none', *self.config.attacks)) for read in intermediates),
      )
      for name in names
    ]


def check(config: Config) -> Problem:
  """Looks up what a configuration names, before any long work starts.

  Args:
    config: to be checked.

  Returns:
    The problem.

  Raises:
    common.FlagError: naming the flag, its value and what was expected.
  """
  common.check_name('dataset', config.dataset, catalog.DATASETS)
  common.check_name('model', config.model, catalog.MODELS)
  common.check_name('optimizer', config.optimizer, catalog.OPTIMIZERS)
  for name in config.attacks or ('',):
    common.check_name('attacks', name, catalog.ATTACKS)
  if not (math.isfinite(config.learning_rate) and config.learning_rate > 0):
    raise common.FlagError(
      'learning_rate', config.learning_rate, 'a positive number'
    )
  dataset = catalog.DATASETS[config.dataset](seed=config.seed)
  architecture = catalog.MODELS[config.model]
  rank = dataset.train_inputs.ndim - 1
  if architecture.input_rank not in (None, rank):
    fitting = [
      name
      for name, other in catalog.MODELS.items()
      if other.input_rank in (None, rank)
    ]
    raise common.FlagError(
      'model',
      config.model,
      f'a model for inputs of shape {dataset.train_inputs.shape[1:]}: '
      + ', '.join(fitting),
    )
  layers = architecture.make_fn(dataset.num_classes)
  cut = architecture.main_cut if config.cut is None else config.cut
  common.check_range(
    'cut', cut, 1, len(layers) - 1, f'a layer inside {config.model}'
  )
  common.check_range(
    'batch_size',
    config.batch_size,
    1,
    len(dataset.train_labels),
    'at most the training samples',
  )
  smallest = int(np.bincount(dataset.train_labels).min())
  common.check_range(
    'num_aux',
    config.num_aux,
    1,
    smallest - 1,
    'fewer than the training samples of the smallest class',
  )
  config = dataclasses.replace(config, cut=cut)
  return Problem(config, dataset, split.SplitModel(layers, (cut,)))


def run(
  problem: Problem,
  results: report.Results,
  progress: common.Progress,
  *,
  records_dir: pathlib.Path | None = None,
) -> None:
  """Measures every cell that is not finished yet.

  Args:
    problem: what to measure.
    results: where finished cells are kept.
    progress: told of every epoch and cell.
    records_dir: where to save what crossed the cut, if anywhere.
  """
  config, dataset = problem.config, problem.dataset

  def epoch_fn(epoch, loss):
    if not math.isfinite(loss):
      raise common.FlagError(
        'learning_rate',
        config.learning_rate,
        f'one that converges, the loss is {loss} in epoch {epoch + 1}',
      )
    progress.advance(f'epoch {epoch + 1}, loss {loss:.3f}')

  progress.start(
    f'training {config.num_seeds} models for {config.epochs} epochs'
  )
  observed = pipeline.observe(
    dataset,
    problem.model,
    optimizer_fn=catalog.OPTIMIZERS[config.optimizer],
    learning_rate=config.learning_rate,
    num_epochs=config.epochs,
    batch_size=config.batch_size,
    seed=config.seed,
    num_seeds=config.num_seeds,
    metadata={**problem.setting._asdict(), **common.versions()},
    epoch_fn=epoch_fn,
  )
  if records_dir is not None:
    pipeline.save(observed, records_dir)
  auxiliary = targets.draw_auxiliary(
    dataset,
    seed=config.seed,
    num_seeds=config.num_seeds,
    num_per_class=config.num_aux,
    num_draws=config.num_aux_draws,
  )
  attacked = targets.make_targets(
    dataset, observed, auxiliary, center_smashed=config.center_smashed
  )
  for cell in problem.cells:
    if cell not in results:
      if cell.attack in catalog.ATTACKS:
        progress.start(f'{cell.phase}: {cell.attack} on {cell.intermediate}')
      results.add(cell, measure(problem, cell, observed, attacked))
    progress.advance()


def measure(
  problem: Problem,
  cell: report.Cell,
  observed: list[pipeline.Observed],
  attacked: dict[tuple[str, str], targets.Target],
) -> list[report.Row]:
  """Measures one cell.

  Args:
    problem: what is measured.
    cell: which attack, on what, when.
    observed: what crossed the cut, one for each seed.
    attacked: what the attacker may read, by phase and intermediate.

  Returns:
    The cell's rows.
  """
  num_classes = problem.dataset.num_classes
  seconds = None
  if cell.attack == 'none':
    vectors = attacked[cell.phase, cell.intermediate].view.vectors
    zero = ~np.any(vectors, axis=-1)  # [S, N]
    return report.cell_rows(
      problem.setting,
      cell,
      {'zero_share': zero.mean(axis=-1, keepdims=True)},
      num_scored=zero.shape[-1],
      seconds=seconds,
    )
  if cell.intermediate != 'none':
    target = attacked[cell.phase, cell.intermediate]
    predictions, seconds = evaluation.predict(
      catalog.ATTACKS[cell.attack],
      jax.random.key(problem.config.seed),
      target.view,
    )
    confusion = metrics.confusion_matrices(
      predictions, target.truth, target.scored, num_classes=num_classes
    )
  elif cell.attack == 'model':
    confusion = targets.utility(problem.dataset, observed, cell.phase)
  else:
    target = attacked[cell.phase, 'smashed']
    truth = np.broadcast_to(target.truth, target.scored.shape)
    confusion = metrics.confusion_matrices(
      truth, truth, target.scored, num_classes=num_classes
    )
    if cell.attack == 'majority':
      confusion = metrics.majority_confusion(confusion)
  measure_fn = (
    metrics.measure_chance if cell.attack == 'chance' else metrics.measure_all
  )
  return report.cell_rows(
    problem.setting,
    cell,
    measure_fn(confusion),
    num_scored=confusion[0, 0].sum(),
    seconds=seconds,
  )


def summarise(problem: Problem, rows: list[report.Row]) -> page.Summary:
  """What a person reads of the results.

  Args:
    problem: what was measured.
    rows: all rows of it.

  Returns:
    Title, facts and tables.
  """
  config, model = problem.config, problem.model
  measure = 'accuracy' if problem.dataset.num_classes > 2 else 'macro_f1'
  figures = {
    report.cell_of(row): report.figure(row)
    for row in rows
    if row['measure'] == measure
  }
  of = lambda phase, name: figures[report.Cell(phase, 'none', name)]
  zero = [
    f'{100 * row["mean"]:.2g}% of {row["intermediate"]} ({row["phase"]})'
    for row in rows
    if row['measure'] == 'zero_share' and row['mean'] > 0
  ]
  bounds = {'training': 'training', 'inference': 'test'}
  facts = [
    f'Network: {model.describe()}.',
    f'Training: {config.epochs} epochs of {config.optimizer}, learning rate '
    f'{config.learning_rate:g}, batch {config.batch_size}.',
    f'The attacker knows the labels of {config.num_aux} of each class. '
    f'{config.num_seeds} seeds x {config.num_aux_draws} draws of them = '
    f'{config.num_seeds * config.num_aux_draws} trials.',
    f'Figures: {measure.replace("_", " ")} in %, mean [95% interval].',
    'The model itself: '
    + ', '.join(f'{of(p, "model")} ({name} set)' for p, name in bounds.items())
    + f'. Majority class: {of("training", "majority")}. '
    f'Chance: {of("training", "chance")}.',
  ]
  if zero:
    facts.append('All-zero vectors: ' + ', '.join(zero) + '.')
  return page.Summary(
    title=f'{problem.dataset.name}: labels read at the cut of a split model',
    facts=facts,
    rows=rows,
    lines=LINES,
    attacks=config.attacks,
    measure=measure,
  )


def config_of_flags() -> Config:
  """The configuration that the command line asks for."""
  values = {
    field.name: flags.FLAGS[field.name].value
    for field in dataclasses.fields(Config)
  }
  return Config(**{**values, 'attacks': tuple(values['attacks'])})


def default_out_dir(config: Config) -> pathlib.Path:
  """A folder that the same configuration finds again."""
  text = json.dumps(dataclasses.asdict(config), sort_keys=True)
  digest = hashlib.sha256(text.encode()).hexdigest()[:8]
  return pathlib.Path('results') / f'label_inference-{config.dataset}-{digest}'


def main() -> None:
  problem = check(config_of_flags())
  config = problem.config
  out_dir = pathlib.Path(common.OUT_DIR.value or default_out_dir(config))
  results = common.open_results(
    out_dir,
    {'flags': dataclasses.asdict(config), 'versions': common.versions()},
    problem.cells,
  )
  records_dir = out_dir / 'records' if common.SAVE_RECORDS.value else None
  if records_dir is not None or not results.complete:
    with common.Progress(config.epochs + len(problem.cells)) as progress:
      run(problem, results, progress, records_dir=records_dir)
  common.show(summarise(problem, results.rows()), out_dir)


if __name__ == '__main__':
  flags.adopt_module_key_flags(common)
  common.launch(main)
