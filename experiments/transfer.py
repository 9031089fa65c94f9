r"""The transfer attack at every depth of a network, in training and inference.

  python -m experiments.transfer

trains three small networks on handwritten digits, reads the labels of the
training set from the cut gradients, and trains a head with them on what the
trained client makes of its inputs. Then the head labels new inputs, whose
gradients never cross. It is shown at every cut beside the other attacks and the
no-leak baselines, in about two minutes on two CPU cores.

--extractor=FOLDER adds the features of a network that the attacker owns: one
that `python -m experiments.pretrain` trained on another data set, or converted
from public weights. --attacks=transfer_tuned,... trains the extractor along.
--recorded_epoch=N reads the gradients of a later pass. It writes what
`label_inference` writes. Expect the transfer attack to come close to the model
itself in inference, also where smashed data alone are read badly.
"""

import dataclasses
import pathlib

from absl import flags

from experiments import common
from experiments import cut_sweep
from experiments import options
from splitjax.attacks import catalog as attack_catalog
from splitjax.engine import extractors
from splitjax.engine import jobs
from splitjax.engine import measuring
from splitjax.engine import problems
from splitjax.engine import summary
from splitjax.reports import page
from splitjax.reports import plots

flags.DEFINE_string(
  'extractor',
  'client',
  'The attacker always has its client. Beside it, a folder that '
  'experiments.pretrain wrote: a network of other data.',
)
flags.DEFINE_integer(
  'recorded_epoch',
  1,
  'The pass whose cut gradients the attacker reads, from 1.',
  lower_bound=1,
)


@dataclasses.dataclass(frozen=True)
class Config(problems.Config):
  """What the results depend on."""

  attacks: tuple[str, ...] = (
    'distance',
    'clustering',
    'transfer_similarity',
    'transfer',
    'transfer_hidden',
  )
  num_aux_draws: int = 5
  num_seeds: int = 3
  extractor: str = 'client'
  recorded_epoch: int = 1


def check(config: Config) -> tuple[problems.Problem, jobs.Job]:
  """Looks up a configuration, before any long work starts.

  Args:
    config: to be checked; all cuts if it names none.

  Returns:
    The problem, and what is trained and measured.

  Raises:
    common.FlagError: naming the flag, its value and what was expected.
  """
  common.check_range(
    'recorded_epoch', config.recorded_epoch, 1, config.epochs, 'an epoch'
  )
  problem = cut_sweep.check(config)
  extractor = None
  if config.extractor != 'client':
    folder = pathlib.Path(config.extractor)
    extractor = extractors.load(folder, problem.dataset)
  return problem, _job_of(problem, extractor)


def sweep_of(problem: problems.Problem) -> page.Sweep:
  """One setting for each cut."""
  sweep = cut_sweep.sweep_of(problem)
  epoch = problem.config.recorded_epoch
  settings = [x._replace(recorded_epoch=epoch) for x in sweep.settings]
  return sweep._replace(settings=settings)


def _job_of(problem, extractor):
  """What an extractor of the attacker's own makes depends on no cut."""
  names = problem.config.attacks
  helped = [
    name
    for name in names
    if 'cut_grads' in attack_catalog.ATTACKS[name].granted
  ]
  extracted = [] if extractor is None else ['extracted']
  whole = cut_sweep.whole_of(problem)._replace(
    recorded_epoch=problem.config.recorded_epoch
  )
  cells = measuring.cells_of(
    whole,
    ['raw_inputs', *extracted],
    [name for name in names if name not in helped],
    references=problem.references,
  )
  settings = sweep_of(problem).settings
  for setting in settings:
    cells += measuring.cells_of(setting, problem.read, names)
    cells += measuring.cells_of(setting, extracted, helped)
  return jobs.Job(problem, whole, settings, cells, extractor)


def main() -> None:
  config = Config(
    **dataclasses.asdict(options.config_of_flags()),
    extractor=flags.FLAGS.extractor,
    recorded_epoch=flags.FLAGS.recorded_epoch,
  )
  problem, job = check(config)
  sweeps = [sweep_of(problem)]

  def summarise(rows):
    return summary.summarise_sweeps(
      problem, rows, job.whole, sweeps, 'transfer of labels, by the cut'
    )

  jobs.execute(
    'transfer',
    job,
    summarise,
    lambda what, path: plots.sweep(what, sweeps, path),
  )


if __name__ == '__main__':
  flags.adopt_module_key_flags(common)
  flags.adopt_module_key_flags(options)
  for _field in ('num_aux_draws', 'num_seeds'):
    flags.FLAGS.set_default(_field, getattr(Config, _field))
  flags.FLAGS.set_default('attacks', list(Config.attacks))
  common.launch(main)
