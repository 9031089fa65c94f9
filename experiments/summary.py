"""What a person reads of the results of `label_inference`."""

from collections.abc import Mapping, Sequence

from experiments import problems
from splitjax import page
from splitjax import report

TITLES = {
  'cut_grads': 'cut gradients, first pass',
  'smashed': 'smashed data',
  'untrained_smashed': 'no leak: untrained client',
  'raw_inputs': 'no leak: raw inputs',
}


def summarise(
  problem: problems.Problem,
  rows: Sequence[report.Row],
  read: Mapping[str, Sequence[str]],
) -> page.Summary:
  """What a person reads of the results.

  Args:
    problem: what was measured.
    rows: all rows of it.
    read: what was read, by phase.

  Returns:
    Title, facts and tables.
  """
  config, model = problem.config, problem.model
  measure = 'accuracy' if problem.dataset.num_classes > 2 else 'macro_f1'
  figures = {
    report.cell_of(row): row for row in rows if row['measure'] == measure
  }
  of = lambda phase, name: figures[report.Cell(phase, 'none', name)]
  level = lambda name: f'{100 * of("training", name)["mean"]:.1f}'
  zero = [
    f'{100 * row["mean"]:.2g}% of {row["intermediate"]} ({row["phase"]})'
    for row in rows
    if row['measure'] == 'zero_share' and row['mean'] > 0
  ]
  facts = [
    f'Network: {model.describe()}.',
    f'Training: {config.epochs} epochs of {config.optimizer}, learning rate '
    f'{config.learning_rate:g}, batch {config.batch_size}.',
    f'Labels known to the attacker: {config.num_aux} of each class; '
    f'{config.num_seeds} seeds x {config.num_aux_draws} draws of them = '
    f'{config.num_seeds * config.num_aux_draws} trials.',
    f'Figures: {measure.replace("_", " ")} in %, mean [95% interval].',
    f'The model itself: {report.figure(of("training", "model"))} on the '
    f'training set, {report.figure(of("inference", "model"))} on the test set. '
    f'Majority class: {level("majority")}. Chance: {level("chance")}.',
  ]
  if zero:
    facts.append('All-zero vectors: ' + ', '.join(zero) + '.')
  return page.Summary(
    title=f'{problem.dataset.name}: labels read at the cut of a split model',
    facts=facts,
    rows=rows,
    lines=[
      (phase, intermediate, TITLES[intermediate])
      for phase, intermediates in read.items()
      for intermediate in intermediates
    ],
    attacks=config.attacks,
    measure=measure,
  )
