"""How new inputs are labelled by heads trained on what gradients gave away."""

import dataclasses
import pathlib

from splitjax.engine import config as base
from splitjax.engine import extractors
from splitjax.engine.studies import cut_sweep
from splitjax.engine.study import Study
from splitjax.engine.study import cells_of
from splitjax.options import option
from splitjax.records.intermediates import Name


@dataclasses.dataclass(frozen=True)
class Config(base.Config):
  """What the results depend on; see the help of each field."""

  extractor: str = option(
    'client',
    'The attacker always has its client. Beside it, a folder that '
    'experiments.pretrain wrote: a network of other data.',
  )


def study(config: Config) -> Study:
  """Train once, and train heads on features at every cut.

  Args:
    config: what to train and to attack; all cuts if it names none.

  Returns:
    The study.

  Raises:
    ConfigError: naming the field, its value and what was expected.

  Example:
    >>> [training] = study(Config(cuts=(3, 7))).trainings
    >>> [reading.setting.cut for reading in training.readings]
    ['any', '3', '7']
  """
  problem = cut_sweep.check_cuts(config)
  extractor = None
  if config.extractor != 'client':
    folder = pathlib.Path(config.extractor)
    extractor = extractors.load(folder, problem.dataset)
  # What an extractor of the attacker's own makes depends on no cut, but for
  # the attacks that are helped by the cut's gradients.
  extracted = [] if extractor is None else [Name.EXTRACTED.value]
  helped = [x for x in problem.attacks if Name.CUT_GRADS in x.attack.granted]
  others = [x for x in problem.attacks if x not in helped]
  cells = cells_of(
    cut_sweep.whole_of(problem),
    [Name.RAW_INPUTS.value, *extracted],
    others,
    references=problem.references,
  )
  for setting in cut_sweep.sweep_of(problem).settings:
    cells += cells_of(setting, problem.read, problem.attacks)
    cells += cells_of(setting, extracted, helped)
  title = 'transfer of labels, by the cut'
  return cut_sweep.by_cut('transfer', title, problem, cells, extractor)
