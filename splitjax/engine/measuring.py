"""Measures cell after cell: which attack reads how much of what, and when."""

from collections.abc import Mapping, Sequence
import functools
import itertools

import jax
import numpy as np

from splitjax.attacks import choice
from splitjax.attacks.groupings import CANDIDATES
from splitjax.engine import guessing
from splitjax.engine import keys
from splitjax.engine import scoring
from splitjax.engine.problems import Problem
from splitjax.engine.progress import Progress
from splitjax.engine.sources import Source
from splitjax.engine.targets import Target
from splitjax.engine.targets import grant
from splitjax.engine.targets import make_target
from splitjax.engine.trials import predict
from splitjax.errors import ConfigError
from splitjax.records.intermediates import Name
from splitjax.results import Cell
from splitjax.results import Results
from splitjax.results import Row
from splitjax.results import Setting
from splitjax.results import cell_rows


def measure(
  key: jax.Array,
  problem: Problem,
  cells: Sequence[Cell],
  sources: Mapping[Setting, Source],
  results: Results,
  progress: Progress,
) -> None:
  """Measure every cell that is not finished yet.

  Args:
    key: random key for the attacks' draws.
    problem: what is measured.
    cells: what to measure, in the order of the results.
    sources: where the figures of each setting come from.
    results: where finished cells are kept.
    progress: told of every cell.
  """
  for place, group in itertools.groupby(cells, lambda cell: cell[:3]):
    setting, phase, name = place
    # Made when the first cell that is not finished asks for it.
    target_fn = functools.cache(
      functools.partial(
        make_target,
        problem.dataset,
        sources[setting],
        phase,
        name,
        center_smashed=problem.config.center_smashed,
        granted=problem.granted | sources[setting].optional,
      )
    )
    for cell in group:
      if cell not in results:
        if cell.attack != 'none' and name != Name.NONE:
          progress.start(f'{phase}, cut {setting.cut}: {cell.attack} on {name}')
        if cell.attack == guessing.ATTACK:
          rows = guessing.best(cell, sources[setting], results.rows())
        elif name == Name.NONE:
          rows = _reference(problem, cell, sources[setting])
        elif cell.attack == 'none':
          rows = _zero_share(cell, target_fn())
        else:
          num_guessers = guessing.num_guessers(setting, cells)
          rows = _attack(
            key, problem, cell, target_fn(), sources[setting], num_guessers
          )
        results.add(cell, rows)
      progress.advance()


def _zero_share(cell: Cell, target: Target) -> list[Row]:
  """Return the share of vectors that are all zero."""
  zero = ~np.any(target.view.vectors, axis=-1)  # [S, N]
  return cell_rows(
    cell,
    {'zero_share': zero.mean(axis=-1, keepdims=True)},
    num_scored=zero.shape[-1],
    seconds=None,
  )


def _attack(
  key: jax.Array,
  problem: Problem,
  cell: Cell,
  target: Target,
  source: Source,
  num_guessers: int,
) -> list[Row]:
  """Return the rows of one attack."""
  chosen = choice.parse(cell.attack)
  attack = chosen.attack
  used = [x for x in attack.optional if x in source.optional]
  ids = np.asarray(target.view.sample_ids)
  asked = None
  if source.canaries is not None and guessing.guesses(cell):
    asked = source.canaries.asked(ids)
  try:
    found = predict(
      chosen.fn,
      keys.of_place(key, cell.phase, cell.intermediate),
      grant(target.view, [*attack.granted, *used]),
      share_fn=attack.share_fn,
      asked=asked,
    )
  except (MemoryError, OverflowError, jax.errors.JaxRuntimeError) as error:
    expected = f'an attack, --num_seeds and --num_aux_draws that fit: {error}'
    raise ConfigError('attacks', cell.attack, expected) from error
  answers = scoring.Answers(
    found.labels, target.truth, target.scored, found.scores, found.confidence
  )
  measures, deleted = scoring.score(
    scoring.num_classes_of(problem.dataset),
    answers,
    ids,
  )
  if 'accuracy' in measures:
    accuracy = measures['accuracy']
    measures['worst_draw'] = accuracy.min(keepdims=True)
    measures['best_draw'] = accuracy.max(keepdims=True)
  if found.chosen is not None:
    measures |= {
      f'chose_{name}': (found.chosen == index).astype(np.float64)
      for index, name in enumerate(CANDIDATES)
      if (found.chosen == index).any()
    }
  # Of all trials together.
  rate = found.labels.shape[-1] / found.seconds
  measures['samples_per_second'] = np.array([[rate]])
  measures['compile_seconds'] = np.array([[found.compile_seconds]])
  rows = cell_rows(
    cell,
    measures,
    num_scored=target.scored[0, 0].sum(),
    seconds=found.seconds,
    deleted=deleted,
  )
  if asked is None:
    return rows
  return rows + guessing.measure(cell, source, found, asked, num_guessers)


def _reference(problem: Problem, cell: Cell, source: Source) -> list[Row]:
  """Return what is known without an attack."""
  dataset = problem.dataset
  if cell.attack == 'guarantee':
    guarantees = source.plan.guarantees(source.monitored())
    return cell_rows(cell, guarantees, num_scored=0, seconds=None)
  if cell.attack == 'model':
    counted = source.counted_ids(dataset, cell.phase)
    found = scoring.score_model(dataset, cell.phase, source.observed, counted)
  elif cell.attack == 'mean':
    target = make_target(dataset, source, cell.phase, cell.intermediate)
    found = scoring.score_mean(dataset, target)
  else:
    found = scoring.score_guess(dataset, cell, source)
  return cell_rows(
    cell,
    found.measures,
    num_scored=scoring.num_scored_of(dataset, cell, source),
    seconds=None,
    deleted=found.deleted,
  )
