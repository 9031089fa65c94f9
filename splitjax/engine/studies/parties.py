"""How much each of several parties reads, alone and together with others."""

from collections.abc import Sequence
import dataclasses
import functools
import pathlib

from splitjax.data.dataset import Dataset
from splitjax.data.feature_split import split_features
from splitjax.engine import bottoms
from splitjax.engine import coalitions
from splitjax.engine import config as base
from splitjax.engine import facts
from splitjax.engine import problems
from splitjax.engine import verdicts
from splitjax.engine.coalitions import Coalition
from splitjax.engine.problems import Problem
from splitjax.engine.study import Reading
from splitjax.engine.study import Study
from splitjax.engine.study import Training
from splitjax.engine.study import cells_of
from splitjax.engine.study import point_of
from splitjax.errors import ConfigError
from splitjax.errors import check_distinct
from splitjax.errors import check_name
from splitjax.errors import check_range
from splitjax.options import option
from splitjax.records.intermediates import Name
from splitjax.reports import party_plots
from splitjax.reports.page import Summary
from splitjax.reports.page import Sweep
from splitjax.results import ANY
from splitjax.results import Cell
from splitjax.results import Row
from splitjax.results import Setting
from splitjax.training import shapes
from splitjax.training.fusion import FUSIONS
from splitjax.training.fusion import ShapesDifferError
from splitjax.training.missing import FILLS
from splitjax.training.missing import DropOut
from splitjax.training.party_model import PartyModel


@dataclasses.dataclass(frozen=True)
class Config(base.Config):
  """What the results depend on; see the help of each field."""

  parties: int = option(
    2, 'How many parties hold features, beside the label party.', low=1
  )
  feature_split: str = option(
    '',
    'How the features are divided. Images: columns (the default), rows, '
    'quarters, strips:1:2:5 of columns in these proportions, random. Tables: '
    'contiguous (the default), random. Texts: segments. Images and tables: '
    'importance:ALPHA, correlation:BETA, as in VertiBench.',
  )
  party_columns: str = option(
    '',
    'Names of the columns of a table that each party holds, as a,b;c,d; the '
    "label party's as a,b;c;label:d.",
  )
  party_models: tuple[str, ...] = option(
    (),
    'The model of each party where they differ from --model, which the label '
    'party has: as mlp:64:64,conv_net, hidden widths behind mlp.',
  )
  active_features: float = option(
    0.0, 'Share of the features that the label party holds, 0 to 0.5.'
  )
  fusion: str = option(
    'concat',
    'How the label party joins what the parties send, one of: '
    f'{", ".join(FUSIONS)}.',
  )
  attackers: tuple[str, ...] = option(
    (coalitions.EACH, coalitions.ALL),
    'Who attacks: each for every party alone, all for all together, or parties '
    'that work together, as 0+2 or 0-3.',
  )
  averaged_passes: tuple[int, ...] = option(
    (),
    'Over how many passes gradients are read, beside one alone.',
  )
  drop_out: float = option(
    0.0, 'Chance of each party to be missing in a step of training.'
  )
  absent: tuple[int, ...] = option(
    (), 'The parties that are missing in inference, from 0.'
  )
  fill: str = option(
    'zeros',
    'What the label party takes of a party that is missing: zeros, or mean for '
    'the running mean of what it sent.',
  )


def study(config: Config) -> Study:
  """Train a model of several parties once, and attack what each receives.

  Args:
    config: what to train and to attack.

  Returns:
    The study.

  Raises:
    ConfigError: naming the field, its value and what was expected.

  Example:
    >>> [training] = study(Config(parties=3)).trainings
    >>> [reading.setting.party for reading in training.readings]
    ['any', '0', '1', '2', '0+1+2']
  """
  _check(config)
  attackers = coalitions.parse(config.attackers, config.parties)
  problem = problems.check(
    config, model_fn=functools.partial(make_model, config)
  )
  _check_defense(problem)
  epoch = problem.config.recorded_epoch
  everyone = tuple(range(config.parties))
  whole = problem.setting._replace(party=ANY)
  counts = (1, *config.averaged_passes)
  sweeps = [sweep_of(problem, attackers, count) for count in counts]
  readings = [
    Reading(setting, epoch=epoch, num_passes=count, parties=parties)
    for sweep, count in zip(sweeps, counts, strict=True)
    for setting, parties in zip(sweep.settings, attackers, strict=True)
  ]
  training = Training(
    problem,
    (point_of(problem),),
    (Reading(whole, epoch=epoch, parties=everyone), *readings),
    recorded_epochs=range(epoch, epoch + max(counts)),
  )
  return Study(
    'parties',
    problem.config,
    (training,),
    tuple(_cells_of(problem, whole, readings)),
    functools.partial(_summarise, whole, sweeps),
    functools.partial(_draw, sweeps[0]),
    notes=(*problem.notes, *_not_promised(problem)),
  )


def make_model(
  config: Config, dataset: Dataset, layers_fn: problems.LayersFn
) -> PartyModel:
  """Make a bottom for the features of each party, and the label party's part.

  Args:
    config: who holds what, and where the network is cut.
    dataset: what is trained on.
    layers_fn: from a data set to the layers of the architecture for it.

  Returns:
    The model.

  Raises:
    ConfigError: if the features cannot be divided so, or what the parties send
      cannot be joined so.
  """
  features = split_features(
    dataset,
    config.parties,
    config.feature_split,
    active_share=config.active_features,
    party_columns=config.party_columns,
    seed=config.seed,
  )
  whole = layers_fn(dataset)
  cuts = problems.cuts_of(config, None, whole)
  if len(cuts) > 1:
    raise ConfigError('cuts', cuts, 'one cut: that of every party')
  bottom = slice(cuts[0])
  active, held = features.active_dataset(dataset), features.datasets(dataset)
  if config.party_models:
    parts = bottoms.make(config, config.party_models, held)
  else:
    parts = tuple(layers_fn(one)[bottom] for one in held)
  model = PartyModel(
    features,
    parts,
    whole[cuts[0] :],
    own=() if active is None else layers_fn(active)[bottom],
    fusion=config.fusion,
    drop_out=DropOut(config.drop_out, config.absent, config.fill),
  )
  try:
    shapes.cut_shapes(model, dataset.train_inputs[:1])
  except ShapesDifferError as error:
    raise ConfigError('fusion', config.fusion, f'concat: {error}') from error
  except (ArithmeticError, TypeError, ValueError):
    pass  # The network does not fit the inputs: `check` says so.
  return model


def _check(config: Config) -> None:
  """Raise `ConfigError` if a field of the parties cannot be used."""
  check_name('fusion', config.fusion, FUSIONS)
  check_name('fill', config.fill, FILLS)
  bottoms.check(config.party_models, config.parties)
  if not 0 <= config.drop_out < 1:
    raise ConfigError('drop_out', config.drop_out, 'a chance below 1, or 0')
  passes = config.averaged_passes
  check_distinct('averaged_passes', passes)
  if passes and Name.CUT_GRADS not in config.intermediates:
    raise ConfigError('averaged_passes', passes, 'cut_grads in intermediates')
  most = config.epochs + 1 - config.recorded_epoch
  for count in passes:
    check_range('averaged_passes', count, 2, most, 'passes of the training')
  check_distinct('absent', config.absent)
  for party in config.absent:
    last = config.parties - 1
    check_range('absent', party, 0, last, 'parties')
  if config.malicious_client and config.parties > 1:
    raise ConfigError('malicious_client', True, 'none with several parties')


def _check_defense(problem: Problem) -> None:
  """Raise `ConfigError` if a defense does not act on several parties."""
  plan, model = problem.plan, problem.model
  places = plan.protect(plan.strengths)
  assert isinstance(model, PartyModel)
  if places.server_grads is not None and model.has_features:
    expected = "no such defense with --active_features: it takes a sample's "
    expected += 'gradient of what the parties sent alone'
    raise ConfigError('defense', plan.text, expected)


def sweep_of(
  problem: Problem, attackers: Sequence[Coalition], num_passes: int = 1
) -> Sweep:
  """Return one setting for each attacker."""
  labels = [coalitions.name_of(one) for one in attackers]
  settings = [
    problem.setting._replace(party=label, num_passes=num_passes)
    for label in labels
  ]
  return Sweep('party', settings, labels)


def _cells_of(
  problem: Problem, whole: Setting, readings: Sequence[Reading]
) -> list[Cell]:
  """List all that is measured, in the order of the results."""
  references = list(problem.references)
  if _not_promised(problem):
    references.remove('guarantee')
  cells = cells_of(whole, [], problem.attacks, references=references)
  reads = [*problem.read, Name.RAW_INPUTS.value]
  alone = [
    x
    for x in problem.attacks
    if x.attack.logits or Name.ONLINE in x.attack.granted
  ]
  for reading in readings:
    read = reads if reading.num_passes == 1 else [Name.CUT_GRADS]
    together = len(reading.parties) > 1
    attacks = [x for x in problem.attacks if not (together and x in alone)]
    cells += cells_of(reading.setting, read, attacks)
  return cells


def _not_promised(problem: Problem) -> list[str]:
  """Say that a promise of one exchange is none of several, where it is so."""
  places = problem.plan.protect(problem.plan.strengths)
  several = len(problem.model.cuts) > 1 and places.at_a_cut
  if not several or 'guarantee' not in problem.references:
    return []
  text = problem.plan.text
  return [f'--defense={text} promises nothing here: it is of one exchange']


def _summarise(
  whole: Setting, sweeps: Sequence[Sweep], study: Study, rows: Sequence[Row]
) -> Summary:
  """Return the answer, facts and a line for each attacker."""
  problem = study.problem
  what = 'targets' if problem.dataset.is_real else 'labels'
  summary = facts.summarise_sweeps(
    problem, rows, whole, sweeps, f'{what} read, by the party'
  )
  judged = verdicts.judge(rows)
  answer = party_plots.answer_of(summary, sweeps[0])
  return summary._replace(
    facts=[*answer, *summary.facts],
    verdict=judged['summary'] if judged else '',
  )


def _draw(
  sweep: Sweep, study: Study, summary: Summary, path: pathlib.Path
) -> None:
  """Draw what each party reads."""
  del study
  party_plots.leak_by_party(summary, sweep, path)
