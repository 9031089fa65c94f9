r"""How what leaks depends on batch size, epoch, known samples, learning rate.

  python -m experiments.ablation

varies one of them at a time around a small network on handwritten digits, in
about a minute and a half on two CPU cores: the batch size, the epoch whose
gradients are recorded, the number of samples whose labels the attacker knows,
and the learning rate. --vary_batch_size=16,64 takes other values,
--vary_batch_size= none. Seeds and learning rates train side by side in one
program, the recorded epochs are those of one training; each batch size is a
program of its own. It writes what `label_inference` writes. Expect the cut
gradients of the first epochs to be read nearly completely whatever is varied,
and those of later epochs less and less.
"""

from collections.abc import Sequence
import dataclasses

from absl import flags
import jax

from experiments import common
from experiments import options
from splitjax.engine import measuring
from splitjax.engine import pipeline
from splitjax.engine import problems
from splitjax.engine import summary
from splitjax.engine import targets
from splitjax.reports import page
from splitjax.reports import plots
from splitjax.results import report

_VARY = {
  'batch_size': ('8,32,128', int, 'Batch sizes.'),
  'recorded_epoch': ('1,2,5,10,30,60', int, 'Epochs to record, from 1.'),
  'num_aux': ('1,2,5', int, 'Known samples of each class.'),
  'learning_rate': ('0.01,0.05,0.1', float, 'Learning rates.'),
}
for _name, (_values, _, _text) in _VARY.items():
  flags.DEFINE_list(f'vary_{_name}', _values, f'{_text} None if empty.')


@dataclasses.dataclass(frozen=True)
class Config(problems.Config):
  """What the results depend on; the values that each factor takes."""

  vary_batch_size: tuple[int, ...] = ()
  vary_recorded_epoch: tuple[int, ...] = ()
  vary_num_aux: tuple[int, ...] = ()
  vary_learning_rate: tuple[float, ...] = ()


def check(config: Config) -> problems.Problem:
  """Looks up a configuration, and checks what is varied."""
  if len(config.cuts) > 1:
    cuts = ','.join(str(cut) for cut in config.cuts)
    raise common.FlagError('cuts', cuts, 'one cut (see cut_sweep for more)')
  if config.vary_recorded_epoch and 'cut_grads' not in config.intermediates:
    raise common.FlagError(
      'vary_recorded_epoch',
      ','.join(str(epoch) for epoch in config.vary_recorded_epoch),
      'none where --intermediates has no cut_grads',
    )
  problem = problems.check(config)
  num_samples = len(problem.dataset.train_labels)
  for name in _VARY:
    values = getattr(config, f'vary_{name}')
    if len(set(values)) < len(values):
      text = ','.join(f'{value:g}' for value in values)
      raise common.FlagError(f'vary_{name}', text, 'each value once')
  for size in config.vary_batch_size:
    common.check_range(
      'vary_batch_size', size, 1, num_samples, 'at most the training samples'
    )
  for epoch in config.vary_recorded_epoch:
    common.check_range(
      'vary_recorded_epoch', epoch, 1, config.epochs, 'one of the epochs'
    )
  for num_aux in config.vary_num_aux:
    problems.check_num_aux(num_aux, problem.dataset, 'vary_num_aux')
  for rate in config.vary_learning_rate:
    common.check_positive('vary_learning_rate', rate)
  return problem


def sweeps_of(problem: problems.Problem) -> list[page.Sweep]:
  """One sweep for each factor that is varied."""
  sweeps = []
  for name in _VARY:
    values = sorted(getattr(problem.config, f'vary_{name}'))
    if values:
      settings = [problem.setting._replace(**{name: x}) for x in values]
      labels = [f'{value:g}' for value in values]
      sweeps.append(page.Sweep(name.replace('_', ' '), settings, labels))
  return sweeps


def cells_of(problem: problems.Problem) -> list[report.Cell]:
  """All that is measured, in the order of the results.

  Not measured again is what a factor does not change: smashed data by the epoch
  whose gradients are recorded, raw inputs and untrained clients by the batch
  size or the learning rate.
  """
  config, base = problem.config, problem.setting
  every = [*problem.read, 'raw_inputs']
  read = {base: every}
  for sweep in sweeps_of(problem):
    for setting in sweep.settings:
      read.setdefault(setting, config.intermediates)
      if setting.num_aux != base.num_aux:
        read[setting] = every
      elif setting.recorded_epoch != base.recorded_epoch:
        read[setting] = [x for x in config.intermediates if x == 'cut_grads']
  return [
    cell
    for setting, where in read.items()
    for cell in measuring.cells_of(
      setting, where, config.attacks, references=problem.references
    )
  ]


def batch_sizes_of(config: Config) -> list[int]:
  """The configuration's own batch size, and the others: one program each."""
  return list(dict.fromkeys([config.batch_size, *config.vary_batch_size]))


def run(
  problem: problems.Problem,
  results: report.Results,
  progress: common.Progress,
) -> None:
  """Measures every cell that is not finished yet.

  Args:
    problem: what to measure; its configuration is a `Config`.
    results: where finished cells are kept.
    progress: told of every epoch and cell.
  """
  config, base = problem.config, problem.setting
  key_train, key_attack = jax.random.split(jax.random.key(config.seed))
  auxiliary = {
    num_aux: targets.draw_auxiliary(problem, num_aux)
    for num_aux in {config.num_aux, *config.vary_num_aux}
  }
  sources = {}

  def add(observed, settings: Sequence[report.Setting]):
    for setting in settings:
      sources[setting] = targets.Source(
        observed,
        auxiliary[setting.num_aux],
        problem.plan,
        problem.model,
        epoch=setting.recorded_epoch,
      )

  for size in batch_sizes_of(config):
    if size != base.batch_size:
      # The untrained clients are those of the first program.
      recipe = problem.recipe(batch_size=size, baseline=False)
      [observed] = pipeline.observe(problem, recipe, key_train, progress)
      add(observed, [base._replace(batch_size=size)])
      continue
    epochs = sorted({base.recorded_epoch, *config.vary_recorded_epoch})
    rates = sorted({base.learning_rate, *config.vary_learning_rate})
    by_rate = pipeline.observe(
      problem,
      problem.recipe(recorded_epochs=tuple(epochs)),
      key_train,
      progress,
      learning_rates=rates,
    )
    for rate, observed in zip(rates, by_rate, strict=True):
      add(observed, [base._replace(learning_rate=rate)])
    observed = by_rate[rates.index(base.learning_rate)]
    add(observed, [base._replace(recorded_epoch=x) for x in epochs])
    add(observed, [base._replace(num_aux=x) for x in auxiliary])
  results.begin()
  cells = cells_of(problem)
  measuring.run(key_attack, problem, cells, sources, results, progress)


def config_of_flags() -> Config:
  """The configuration that the command line asks for."""
  varied = {
    f'vary_{name}': options.numbers_of_flag(f'vary_{name}', type_fn)
    for name, (_, type_fn, _) in _VARY.items()
  }
  base = options.config_of_flags()
  return Config(**dataclasses.asdict(base), **varied)


def main() -> None:
  if common.SAVE_RECORDS.value:
    raise common.FlagError('save_records', True, 'no such flag in an ablation')
  problem = check(config_of_flags())
  config, cells = problem.config, cells_of(problem)
  out_dir, results = common.open_results('ablation', config, cells)
  if not results.complete:
    num_epochs = problem.num_epochs * len(batch_sizes_of(config))
    with common.Progress(num_epochs + len(cells)) as progress:
      run(problem, results, progress)
  sweeps = sweeps_of(problem)
  common.show(
    summary.summarise_sweeps(
      problem,
      results.rows(),
      problem.setting,
      sweeps,
      'labels read, by what is varied',
    ),
    out_dir,
    lambda what, path: plots.sweep(what, sweeps, path),
  )


if __name__ == '__main__':
  flags.adopt_module_key_flags(common)
  flags.adopt_module_key_flags(options)
  # The paper's mode takes most of the time to compile, for each shape.
  flags.FLAGS.set_default('attacks', 'distance,clustering')
  common.launch(main)
