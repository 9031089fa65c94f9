"""Measures cell after cell: which attack reads how much of what, and when."""

from collections.abc import Mapping, Sequence
import itertools
import pathlib

import jax
import numpy as np

from experiments import catalog
from experiments import common
from experiments import pipeline
from experiments import problems
from experiments import targets
from splitjax import evaluation
from splitjax import metrics
from splitjax import report

# What can be read, by phase; all but what crosses the trained cut is no leak.
PLACES = (
  ('training', 'cut_grads'),
  ('training', 'smashed'),
  ('training', 'untrained_smashed'),
  ('training', 'raw_inputs'),
  ('inference', 'smashed'),
  ('inference', 'untrained_smashed'),
  ('inference', 'raw_inputs'),
)
REFERENCES = ('model', 'majority', 'chance')


def with_baseline(intermediates: Sequence[str]) -> list[str]:
  """What is attacked, with the no-leak baseline of smashed data."""
  baseline = ['untrained_smashed'] if 'smashed' in intermediates else []
  return [*intermediates, *baseline]


def cells_of(
  setting: report.Setting,
  read: Sequence[str],
  attacks: Sequence[str],
  *,
  references: bool = True,
) -> list[report.Cell]:
  """All that is measured in a setting, in the order of the results.

  Args:
    setting: the setting.
    read: the intermediates, see `PLACES`.
    attacks: their names.
    references: whether to add the model itself and the levels of chance.

  Returns:
    The cells.
  """
  cells = []
  for phase in pipeline.PHASES:
    if references:
      cells += [report.Cell(setting, phase, 'none', x) for x in REFERENCES]
    cells += [
      report.Cell(setting, phase, intermediate, attack)
      for where, intermediate in PLACES
      if where == phase and intermediate in read
      for attack in ('none', *attacks)
    ]
  return cells


def run(
  key: jax.Array,
  problem: problems.Problem,
  cells: Sequence[report.Cell],
  sources: Mapping[report.Setting, targets.Source],
  results: report.Results,
  progress: common.Progress,
) -> None:
  """Measures every cell that is not finished yet.

  Args:
    key: of the attacks' draws.
    problem: what is measured.
    cells: in the order of the results.
    sources: where the figures of each setting come from.
    results: where finished cells are kept.
    progress: told of every cell.
  """
  place_of = lambda cell: cell[:3]
  for (setting, phase, place), group in itertools.groupby(cells, place_of):
    target = None
    for cell in group:
      if cell not in results:
        if target is None:
          target = targets.make_target(
            problem.dataset,
            sources[setting],
            phase,
            # Whatever the place, the truth and what is scored are the same.
            'raw_inputs' if place == 'none' else place,
            center_smashed=problem.config.center_smashed,
          )
        if cell.attack in catalog.ATTACKS:
          progress.start(
            f'{phase}, cut {setting.cut}: {cell.attack} on {place}'
          )
        results.add(cell, _measure(key, problem, cell, sources, target))
      progress.advance()


def train_and_run(
  problem: problems.Problem,
  whole: report.Setting,
  settings: Sequence[report.Setting],
  cells: Sequence[report.Cell],
  results: report.Results,
  progress: common.Progress,
  *,
  records_dir: pathlib.Path | None = None,
) -> None:
  """Trains once, and measures every cell that is not finished yet.

  Args:
    problem: what to train and to measure.
    whole: the setting of what depends on no single cut.
    settings: one for each cut of the model.
    cells: in the order of the results.
    results: where finished cells are kept.
    progress: told of every epoch and cell.
    records_dir: where to save what crossed the cuts, if anywhere.
  """
  key_train, key_attack = jax.random.split(jax.random.key(problem.config.seed))
  [observed] = problems.observe(problem, problem.recipe(), key_train, progress)
  results.begin()
  if records_dir is not None:
    pipeline.save(observed, records_dir)
  source = targets.Source(observed, targets.draw_auxiliary(problem))
  sources = {whole: source}
  for index, setting in enumerate(settings):
    sources[setting] = source._replace(cut=index)
  run(key_attack, problem, cells, sources, results, progress)


def _measure(key, problem, cell, sources, target):
  """The rows of one cell."""
  if cell.intermediate == 'none':
    return _reference(problem, cell, sources[cell.setting], target)
  if cell.attack == 'none':
    zero = ~np.any(target.view.vectors, axis=-1)  # [S, N]
    return report.cell_rows(
      cell,
      {'zero_share': zero.mean(axis=-1, keepdims=True)},
      num_scored=zero.shape[-1],
      seconds=None,
    )
  # The same draws for a place whatever else is measured.
  place = PLACES.index((cell.phase, cell.intermediate))
  answer = evaluation.predict(
    catalog.ATTACKS[cell.attack], jax.random.fold_in(key, place), target.view
  )
  confusion = metrics.confusion_matrices(
    answer.labels,
    target.truth,
    target.scored,
    num_classes=problem.dataset.num_classes,
  )
  measures = metrics.measure_all(confusion)
  if answer.scores is not None:
    measures |= _aucs(answer.scores, target.truth, target.scored)
  return report.cell_rows(
    cell,
    measures,
    num_scored=confusion[0, 0].sum(),
    seconds=answer.seconds,
  )


def _reference(problem, cell, source, target):
  """What the model itself, the largest class, or guessing reaches."""
  num_classes = problem.dataset.num_classes
  if cell.attack == 'model':
    truth = {
      'training': problem.dataset.train_labels,
      'inference': problem.dataset.test_labels,
    }[cell.phase]
    logits = np.stack([one.logits[cell.phase] for one in source.observed])
    logits = logits[:, None]  # [S, 1, N, C]
    confusion = metrics.confusion_matrices(
      logits.argmax(-1), truth, num_classes=num_classes
    )
    measures = metrics.measure_all(confusion)
    if num_classes == 2:
      measures |= _aucs(logits[..., 1] - logits[..., 0], truth)
  else:
    truth = np.broadcast_to(target.truth, target.scored.shape)
    confusion = metrics.confusion_matrices(
      truth, truth, target.scored, num_classes=num_classes
    )
    if cell.attack == 'majority':
      measures = metrics.measure_all(metrics.majority_confusion(confusion))
    else:
      measures = metrics.measure_chance(confusion)
    if num_classes == 2:  # Equal scores for all, or random ones.
      measures['auc'] = np.full(confusion.shape[:-2], 0.5)
  return report.cell_rows(
    cell, measures, num_scored=confusion[0, 0].sum(), seconds=None
  )


def _aucs(scores, truth, scored=None):
  auc = metrics.auc(scores, truth, scored)
  return {'auc': auc, 'auc_either_way': np.maximum(auc, 1 - auc)}
