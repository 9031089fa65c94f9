"""Measures cell after cell: which attack reads how much of what, and when."""

from collections.abc import Mapping, Sequence
import itertools

import jax
import numpy as np

from experiments import common
from splitjax import metrics
from splitjax.attacks import catalog as attack_catalog
from splitjax.engine import observations
from splitjax.engine import problems
from splitjax.engine import targets
from splitjax.engine import trials
from splitjax.results import report

# What can be read, by phase. Untrained clients and raw inputs are no leak, nor
# is what a network of the attacker's own extracts, unless gradients helped.
PLACES = (
  ('training', 'cut_grads'),
  ('training', 'smashed'),
  ('training', 'untrained_smashed'),
  ('training', 'raw_inputs'),
  ('inference', 'smashed'),
  ('inference', 'untrained_smashed'),
  ('inference', 'raw_inputs'),
  ('training', 'extracted'),
  ('inference', 'extracted'),
)
# What is known without an attack: how good the model is, what guessing gives,
# and what the defense promises.
REFERENCES = ('model', 'majority', 'chance', 'guarantee')


def cells_of(
  setting: report.Setting,
  read: Sequence[str],
  attacks: Sequence[str],
  *,
  references: Sequence[str] = (),
) -> list[report.Cell]:
  """All that is measured in a setting, in the order of the results.

  Args:
    setting: the setting.
    read: the intermediates, see `PLACES`.
    attacks: their names.
    references: which of `REFERENCES` to add; guarantees are of the training.

  Returns:
    The cells.
  """
  cells = []
  for phase in observations.PHASES:
    cells += [
      report.Cell(setting, phase, 'none', name)
      for name in references
      if phase == 'training' or name != 'guarantee'
    ]
    cells += [
      report.Cell(setting, phase, intermediate, attack)
      for where, intermediate in PLACES
      if where == phase and intermediate in read
      for attack in ('none', *attacks)
      if attack == 'none'
      or intermediate in attack_catalog.ATTACKS[attack].reads
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
        if place == 'none':
          rows = _reference(problem, cell, sources[setting])
        else:
          if target is None:
            target = targets.make_target(
              problem.dataset,
              sources[setting],
              phase,
              place,
              center_smashed=problem.config.center_smashed,
              granted=problem.granted,
            )
          if cell.attack != 'none':
            progress.start(
              f'{phase}, cut {setting.cut}: {cell.attack} on {place}'
            )
          rows = _measure(key, problem, cell, target)
        results.add(cell, rows)
      progress.advance()


def _measure(key, problem, cell, target):
  """The rows of one attack."""
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
  attack = attack_catalog.ATTACKS[cell.attack]
  answer = trials.predict(
    attack.fn,
    jax.random.fold_in(key, place),
    targets.grant(target.view, attack.granted),
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
  rate = answer.labels.shape[-1] / answer.seconds
  # Of all trials together.
  measures['samples_per_second'] = np.array([[rate]])
  measures['compile_seconds'] = np.array([[answer.compile_seconds]])
  return report.cell_rows(
    cell,
    measures,
    num_scored=confusion[0, 0].sum(),
    seconds=answer.seconds,
  )


def _reference(problem, cell, source):
  """What is known without an attack."""
  if cell.attack == 'guarantee':
    found = source.plan.guarantees(source.monitored())
    return report.cell_rows(cell, found, num_scored=0, seconds=None)
  labels = {
    'training': problem.dataset.train_labels,
    'inference': problem.dataset.test_labels,
  }[cell.phase]
  num_classes = problem.dataset.num_classes
  if cell.attack == 'model':
    logits = np.stack([one.logits[cell.phase] for one in source.observed])
    logits = logits[:, None]  # [S, 1, N, C]
    confusion = metrics.confusion_matrices(
      logits.argmax(-1), labels, num_classes=num_classes
    )
    measures = metrics.measure_all(confusion)
    if num_classes == 2:
      measures |= _aucs(logits[..., 1] - logits[..., 0], labels)
    diverged = np.array([[float(one.diverged)] for one in source.observed])
    if diverged.any():
      measures['diverged'] = diverged
  else:
    # Of the training set, the samples that the attacker knows do not count; in
    # every trial as many of each class.
    sizes = np.bincount(labels, minlength=num_classes)
    sizes = sizes - (cell.setting.num_aux if cell.phase == 'training' else 0)
    num_trials = sum(len(one.ids) for one in source.auxiliary)
    confusion = np.broadcast_to(
      np.diag(sizes), (1, num_trials, num_classes, num_classes)
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
