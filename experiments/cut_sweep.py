r"""How what leaks depends on where the network is cut.

  python -m experiments.cut_sweep

trains five small networks on handwritten digits once, records what crosses
every cut (where it is cut does not change the training, unless a defense acts
there: such are refused), and attacks it at each, in under a minute on two CPU
cores. --cuts=4,18,50 takes some cuts only. It writes what `label_inference`
writes. Expect cut gradients to be read nearly completely at every depth of a
small network; smashed data approach the no-leak lines towards the input.
"""

from absl import flags

from experiments import catalog
from experiments import common
from experiments import options
from splitjax.engine import jobs
from splitjax.engine import measuring
from splitjax.engine import problems
from splitjax.engine import summary
from splitjax.reports import page
from splitjax.reports import plots
from splitjax.results import report


def check(config: problems.Config) -> problems.Problem:
  """Looks up a configuration, with all cuts if it names none.

  Args:
    config: to be checked.

  Returns:
    The problem.

  Raises:
    common.FlagError: naming the flag, its value and what was expected.
  """
  common.check_name('model', config.model, catalog.MODELS)
  cuts = config.cuts or catalog.MODELS[config.model].cuts
  problem = problems.check(config, cuts=cuts or 'all')
  plan = problem.plan
  if len(problem.model.cuts) > 1:
    # One training serves all cuts.
    if plan.protect(plan.strengths()).at_a_cut:
      expected = 'a defense of labels alone, or --cuts with one: it acts there'
      raise common.FlagError('defense', config.defense, expected)
    if config.malicious_client:
      expected = 'one of --cuts: which part cheats depends on it'
      raise common.FlagError('malicious_client', True, expected)
  return problem


def whole_of(problem: problems.Problem) -> report.Setting:
  """The setting of what depends on no cut."""
  return problem.setting._replace(cut='any')


def sweep_of(problem: problems.Problem) -> page.Sweep:
  """One setting for each cut."""
  labels = [str(cut) for cut in problem.model.cuts]
  whole = whole_of(problem)
  return page.Sweep('cut', [whole._replace(cut=x) for x in labels], labels)


def cells_of(problem: problems.Problem) -> list[report.Cell]:
  """All that is measured, in the order of the results."""
  config = problem.config
  cells = measuring.cells_of(
    whole_of(problem),
    ['raw_inputs'],
    config.attacks,
    references=problem.references,
  )
  for setting in sweep_of(problem).settings:
    cells += measuring.cells_of(setting, problem.read, config.attacks)
  return cells


def job_of(problem: problems.Problem) -> jobs.Job:
  """What is trained and measured."""
  settings = sweep_of(problem).settings
  return jobs.Job(problem, whole_of(problem), settings, cells_of(problem))


def main() -> None:
  problem = check(options.config_of_flags())
  sweeps = [sweep_of(problem)]
  jobs.execute(
    'cut_sweep',
    job_of(problem),
    lambda rows: summary.summarise_sweeps(
      problem, rows, whole_of(problem), sweeps, 'labels read, by the cut'
    ),
    lambda what, path: plots.sweep(what, sweeps, path),
  )


if __name__ == '__main__':
  flags.adopt_module_key_flags(common)
  flags.adopt_module_key_flags(options)
  common.launch(main)
