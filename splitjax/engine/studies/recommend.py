"""Which defense to take: a search by halving, and a fresh look at the best."""

from collections.abc import Callable, Sequence
import dataclasses
import functools
from typing import Any

import numpy as np

from splitjax.defenses.plan import Plan
from splitjax.engine import config as base
from splitjax.engine.problems import Problem
from splitjax.engine.problems import check
from splitjax.engine.result import Result
from splitjax.engine.studies import advice
from splitjax.engine.studies import candidates
from splitjax.engine.studies import findings
from splitjax.engine.studies import strengths
from splitjax.engine.studies import worth
from splitjax.engine.studies.worth import PLACES
from splitjax.engine.studies.worth import Worth
from splitjax.engine.study import Study
from splitjax.engine.study import Training
from splitjax.errors import ConfigError
from splitjax.errors import check_distinct
from splitjax.errors import check_name
from splitjax.options import option
from splitjax.records.intermediates import Name
from splitjax.results import Cell

_FEW = dict(num_seeds=1, num_aux_draws=2)  # Of the search.
_STRENGTHS = 4  # Of a defense that is tried in pairs.
_SECOND = 12  # Defenses that are looked at twice before the last look.
_SEEDS_APART = 1_000_003


@dataclasses.dataclass(frozen=True)
class Config(base.Config):
  """What is searched for; see the help of each field."""

  max_loss: float = option(
    2.0,
    'How many points of accuracy the defense may cost the model on new '
    'samples. Where one class is much larger than the others, of balanced '
    'accuracy.',
  )
  max_leakage: float = option(
    10.0,
    'How many points above the no-leak baselines the strongest attacker may '
    'read, at each of --places.',
  )
  places: tuple[str, ...] = option(
    ('one_pass', 'training'),
    'Where it may not read more: gradients of one_pass or of the whole '
    'training, smashed data of the training set or (inference) of new samples. '
    f'Any of: {", ".join(PLACES)}.',
  )
  defenses: tuple[str, ...] = option(
    (),
    'What is tried, as `defense_sweep` takes it; by default the catalog, noise '
    'at several clip norms.',
  )
  num_paired: int = option(
    4, 'How many of the best defenses are tried in pairs.', low=0
  )
  num_finalists: int = option(
    2, 'How many are measured anew, on fresh networks.', low=1
  )


RunFn = Callable[[Study, str], Result]


def study(config: Config, run_fn: RunFn) -> Study:
  """Search for a defense, and return the study that measures the best anew.

  All are tried on one network each, a part of the training set held out to
  judge the model; then pairs of the best; then the best of both again, on
  another network. Figures of the search are chosen for being good, so that they
  say too little; the study that is returned measures the last few on fresh
  networks, draws and samples that no choice saw.

  Args:
    config: what is trained, and what is searched for.
    run_fn: `(study, name) -> result` runs a step of the search.

  Returns:
    The study of the finalists.

  Raises:
    ConfigError: naming the field, its value and what was expected.
  """
  problem = _check(config)
  part = _hold_out(problem)
  plans = candidates.singles(config.defenses, part)
  if not plans:
    raise ConfigError('defenses', config.defenses, 'one that defends')
  names = tuple(plan.text for plan in plans)
  check_distinct('defenses', names)

  def look(plans: Sequence[Plan], step: int) -> list[Worth]:
    tried = _study(part, plans, config.places, step)
    rows = run_fn(tried, f'search-{step}').rows()
    return findings.worths(tried, rows, config.places)

  found = look(plans, 1)
  order = functools.partial(advice.rank, limits=findings.limits_of(config))
  paired = candidates.pairs(_to_pair(sorted(found, key=order), config), part)
  if paired:
    found += look(paired, 2)
  best = sorted(found, key=order)[: max(_SECOND, config.num_finalists)]
  again = {one.plan.text: one for one in look([x.plan for x in best], 3)}
  seen = [advice.mean_of(one, again[one.plan.text]) for one in best]
  last = sorted(seen, key=order)[: config.num_finalists]
  finalists = [candidates.refit(one.plan, problem) for one in last]
  return _study(problem, finalists, config.places, 4, found)


def _check(config: Config) -> Problem:
  """Check what is searched for."""
  for name in config.places or ('',):
    check_name('places', name, PLACES)
  check_distinct('places', config.places)
  for name in ('max_loss', 'max_leakage'):
    if not 0 < getattr(config, name) < 100:
      raise ConfigError(name, getattr(config, name), 'between 0 and 100')
  for name, only in {
    'defense': 'none',
    'attacks': (worth.ATTACK,),
    'recorded_epoch': 1,
    'intermediates': (Name.CUT_GRADS, Name.SMASHED),
  }.items():
    if getattr(config, name) != only:
      raise ConfigError(name, getattr(config, name), 'no such flag here')
  if len(config.cuts) > 1:
    raise ConfigError('cuts', config.cuts, 'one cut')
  problem = check(config)
  if problem.dataset.is_real:
    raise ConfigError('target', 'real', 'classes')
  return problem


def _hold_out(problem: Problem) -> Problem:
  """Return a problem whose test set is a part of the training set."""
  dataset, config = problem.dataset, problem.config
  rng = np.random.default_rng(config.seed)
  labels = dataset.train_labels
  held = np.zeros(len(labels), bool)
  for label in range(dataset.num_classes):
    rows = np.flatnonzero(labels == label)
    held[rng.permutation(rows)[: round(findings.HELD_OUT * len(rows))]] = True
  part = dataclasses.replace(
    dataset,
    train_inputs=dataset.train_inputs[~held],
    train_labels=labels[~held],
    test_inputs=dataset.train_inputs[held],
    test_labels=labels[held],
  )
  return dataclasses.replace(problem, dataset=part)


def _to_pair(ordered: Sequence[Worth], config: Config) -> list[Plan]:
  """Return the best strengths of the best defenses."""
  best: dict[tuple[str, ...], list[Plan]] = {}
  for one in ordered:
    names = tuple(spec.name for spec in one.plan.specs)
    if names in best or len(best) < config.num_paired:
      best.setdefault(names, []).append(one.plan)
  return [plan for plans in best.values() for plan in plans[:_STRENGTHS]]


def _study(
  problem: Problem,
  plans: Sequence[Plan],
  places: Sequence[str],
  step: int,
  searched: Sequence[Worth] | None = None,
) -> Study:
  """Return the study of some defenses; the last one knows what was searched."""
  names = tuple(plan.text for plan in plans)
  changes: dict[str, Any] = {} if searched is not None else _FEW
  seed = (problem.config.seed + step * _SEEDS_APART) % 2**32
  changes = {**changes, 'defenses': names, 'seed': seed}
  config: Any = dataclasses.replace(problem.config, **changes)
  problem = dataclasses.replace(problem, config=config)
  passes = (config.epochs,) if config.epochs > 1 else ()
  trainings = tuple(
    strengths.make_training(
      dataclasses.replace(problem, plan=group[0]), group, passes=passes
    )
    for group in ((problem.plan,), *candidates.by_program(plans))
  )
  strengths.check_distinct('defenses', names, trainings)
  return Study(
    'recommend',
    config,
    trainings,
    tuple(x for one in trainings for x in _cells_of(one, places)),
    lambda study, rows: findings.summarise(study, rows, searched or ()),
    lambda study, summary, path: findings.draw(
      study, summary, path, searched or ()
    ),
    notes=problem.notes,
  )


def _cells_of(training: Training, places: Sequence[str]) -> list[Cell]:
  """List what is measured of a training, in the order of the results."""
  cells = []
  for reading in training.readings:
    setting = reading.setting
    if setting.num_passes > 1:
      continue
    cells.append(Cell(setting, 'inference', 'none', 'model'))
    read = [PLACES[name] for name in places]
    if not training.problem.plan.specs:
      for phase in dict.fromkeys(one.phase for one in read):
        cells += [
          Cell(setting, phase, 'none', x) for x in ('majority', 'chance')
        ]
      cells += [
        Cell(setting, one.phase, name.value, worth.ATTACK)
        for one in read
        if one.intermediate == Name.SMASHED
        for name in (Name.RAW_INPUTS, Name.UNTRAINED_SMASHED)
      ]
    cells += [one.cell(setting) for one in read]
  return list(dict.fromkeys(cells))
