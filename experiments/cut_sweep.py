r"""How what leaks depends on where the network is cut.

  python -m experiments.cut_sweep

trains five small networks on handwritten digits once, records what crosses
every cut (undefended, the cut does not change the training), and attacks it at
each, in under a minute on two CPU cores. --cuts=4,18,50 takes some
cuts only. It writes what `label_inference` writes. Expect cut gradients to be
read nearly completely at every depth of a small network; smashed data approach
the no-leak lines towards the input.
"""

import pathlib

from absl import flags

from experiments import catalog
from experiments import common
from experiments import measuring
from experiments import options
from experiments import problems
from experiments import summary
from splitjax import page
from splitjax import plots
from splitjax import report


def check(config: problems.Config) -> problems.Problem:
  """Looks up a configuration, with all cuts if it names none."""
  common.check_name('model', config.model, catalog.MODELS)
  cuts = config.cuts or catalog.MODELS[config.model].cuts
  return problems.check(config, cuts=cuts or 'all')


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


def run(
  problem: problems.Problem,
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
    records_dir: where to save what crossed the cuts, if anywhere.
  """
  measuring.train_and_run(
    problem,
    whole_of(problem),
    sweep_of(problem).settings,
    cells_of(problem),
    results,
    progress,
    records_dir=records_dir,
  )


def main() -> None:
  problem = check(options.config_of_flags())
  cells = cells_of(problem)
  out_dir, results = common.open_results('cut_sweep', problem.config, cells)
  records_dir = out_dir / 'records' if common.SAVE_RECORDS.value else None
  if records_dir is not None or not results.complete:
    with common.Progress(problem.num_epochs + len(cells)) as progress:
      run(problem, results, progress, records_dir=records_dir)
  sweeps = [sweep_of(problem)]
  common.show(
    summary.summarise_sweeps(
      problem,
      results.rows(),
      whole_of(problem),
      sweeps,
      'labels read, by the cut',
    ),
    out_dir,
    lambda what, path: plots.sweep(what, sweeps, path),
  )


if __name__ == '__main__':
  flags.adopt_module_key_flags(common)
  flags.adopt_module_key_flags(options)
  common.launch(main)
