r"""Trains a split model, records what crosses the cut, and reads the labels.

  python -m experiments.label_inference

trains five small networks on handwritten digits and attacks them, in about half
a minute on two CPU cores. It prints a table of attack accuracy by what the
attacker read, beside what is no leakage (the same attack on the raw inputs and
on an untrained client). To --out_dir it writes results.csv, results.jsonl (with
the figure of every trial), config.json, leakage.png and report.html. Expect
close to 100% from the cut gradients of the first pass, and from smashed data
nearly the accuracy of the model itself.
"""

from absl import flags

from experiments import common
from experiments import options
from splitjax.engine import jobs
from splitjax.engine import measuring
from splitjax.engine import problems
from splitjax.engine import summary
from splitjax.results import report


def settings_of(problem: problems.Problem) -> list[report.Setting]:
  """One setting for each cut: in the U-shaped split the attacker sees two."""
  whole = problem.setting
  cuts = problem.model.cuts
  if len(cuts) == 1:
    return [whole]
  return [whole._replace(cut=f'{whole.cut}@{cut}') for cut in cuts]


def cells_of(problem: problems.Problem) -> list[report.Cell]:
  """All that is measured, in the order of the results."""
  config = problem.config
  settings = settings_of(problem)
  if len(settings) == 1:
    return measuring.cells_of(
      settings[0],
      [*problem.read, 'raw_inputs'],
      config.attacks,
      references=problem.references,
    )
  cells = measuring.cells_of(
    problem.setting,
    ['raw_inputs'],
    config.attacks,
    references=problem.references,
  )
  for setting in settings:
    cells += measuring.cells_of(setting, problem.read, config.attacks)
  return cells


def job_of(problem: problems.Problem) -> jobs.Job:
  """What is trained and measured."""
  return jobs.Job(
    problem, problem.setting, settings_of(problem), cells_of(problem)
  )


def main() -> None:
  problem = problems.check(options.config_of_flags())
  jobs.execute(
    'label_inference',
    job_of(problem),
    lambda rows: summary.summarise(problem, rows),
  )


if __name__ == '__main__':
  flags.adopt_module_key_flags(common)
  flags.adopt_module_key_flags(options)
  common.launch(main)
