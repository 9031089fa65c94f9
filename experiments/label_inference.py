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

import dataclasses
import hashlib
import json
import pathlib

from absl import flags
import jax
import numpy as np

from experiments import catalog
from experiments import common
from experiments import pipeline
from experiments import problems
from experiments import summary
from experiments import targets
from splitjax import evaluation
from splitjax import metrics
from splitjax import report

# What is read, by phase; the last two are no leakage.
READ = {
  'training': ('cut_grads', 'smashed', 'untrained_smashed', 'raw_inputs'),
  'inference': ('smashed', 'untrained_smashed', 'raw_inputs'),
}
REFERENCES = ('model', 'majority', 'chance')


def cells_of(config: problems.Config) -> list[report.Cell]:
  """All that is measured, in the order of the results."""
  return [
    report.Cell(phase, intermediate, name)
    for phase, intermediates in READ.items()
    for intermediate, names in (
      ('none', REFERENCES),
      *((read, ('none', *config.attacks)) for read in intermediates),
    )
    for name in names
  ]


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
    records_dir: where to save what crossed the cut, if anywhere.
  """
  config, dataset = problem.config, problem.dataset

  key_train, key_attack = jax.random.split(jax.random.key(config.seed))
  progress.start(
    f'training {config.num_seeds} models for {config.epochs} epochs'
  )
  try:
    observed = pipeline.observe(
      dataset,
      problem.model,
      optimizer_fn=catalog.OPTIMIZERS[config.optimizer],
      learning_rate=config.learning_rate,
      num_epochs=config.epochs,
      batch_size=config.batch_size,
      key=key_train,
      num_seeds=config.num_seeds,
      metadata={**problem.setting._asdict(), **common.identity(config)},
      epoch_fn=lambda epoch, loss: progress.advance(
        f'epoch {epoch + 1}, loss {loss:.3f}'
      ),
    )
  except FloatingPointError as error:
    raise common.FlagError(
      'learning_rate', config.learning_rate, f'one that converges: {error}'
    ) from error
  results.begin()
  if records_dir is not None:
    pipeline.save(observed, records_dir)
  auxiliary = targets.draw_auxiliary(
    dataset,
    seed=config.seed,
    num_seeds=config.num_seeds,
    num_per_class=config.num_aux,
    num_draws=config.num_aux_draws,
  )
  attacked = targets.make_targets(
    dataset, observed, auxiliary, center_smashed=config.center_smashed
  )
  for cell in cells_of(config):
    if cell not in results:
      if cell.attack in catalog.ATTACKS:
        progress.start(f'{cell.phase}: {cell.attack} on {cell.intermediate}')
      results.add(cell, measure(key_attack, problem, cell, observed, attacked))
    progress.advance()


def measure(
  key: jax.Array,
  problem: problems.Problem,
  cell: report.Cell,
  observed: list[pipeline.Observed],
  attacked: dict[tuple[str, str], targets.Target],
) -> list[report.Row]:
  """Measures one cell.

  Args:
    key: of the attacks' draws.
    problem: what is measured.
    cell: which attack, on what, when.
    observed: what crossed the cut, one for each seed.
    attacked: what the attacker may read, by phase and intermediate.

  Returns:
    The cell's rows.
  """
  num_classes = problem.dataset.num_classes
  seconds = None
  if cell.attack == 'none':
    vectors = attacked[cell.phase, cell.intermediate].view.vectors
    zero = ~np.any(vectors, axis=-1)  # [S, N]
    return report.cell_rows(
      problem.setting,
      cell,
      {'zero_share': zero.mean(axis=-1, keepdims=True)},
      num_scored=zero.shape[-1],
      seconds=seconds,
    )
  if cell.intermediate != 'none':
    target = attacked[cell.phase, cell.intermediate]
    # The same draws for a target whatever other attacks are asked for.
    place = list(attacked).index((cell.phase, cell.intermediate))
    predictions, seconds = evaluation.predict(
      catalog.ATTACKS[cell.attack],
      jax.random.fold_in(key, place),
      target.view,
    )
    confusion = metrics.confusion_matrices(
      predictions, target.truth, target.scored, num_classes=num_classes
    )
  elif cell.attack == 'model':
    confusion = targets.utility(problem.dataset, observed, cell.phase)
  else:
    target = attacked[cell.phase, 'smashed']
    truth = np.broadcast_to(target.truth, target.scored.shape)
    confusion = metrics.confusion_matrices(
      truth, truth, target.scored, num_classes=num_classes
    )
    if cell.attack == 'majority':
      confusion = metrics.majority_confusion(confusion)
  measure_fn = (
    metrics.measure_chance if cell.attack == 'chance' else metrics.measure_all
  )
  return report.cell_rows(
    problem.setting,
    cell,
    measure_fn(confusion),
    num_scored=confusion[0, 0].sum(),
    seconds=seconds,
  )


def config_of_flags() -> problems.Config:
  """The configuration that the command line asks for."""
  values = {
    field.name: flags.FLAGS[field.name].value
    for field in dataclasses.fields(problems.Config)
  }
  return problems.Config(**{**values, 'attacks': tuple(values['attacks'])})


def default_out_dir(config: problems.Config) -> pathlib.Path:
  """A folder that the same configuration finds again."""
  text = json.dumps(dataclasses.asdict(config), sort_keys=True)
  digest = hashlib.sha256(text.encode()).hexdigest()[:8]
  return pathlib.Path('results') / f'label_inference-{config.dataset}-{digest}'


def main() -> None:
  problem = problems.check(config_of_flags())
  config, cells = problem.config, cells_of(problem.config)
  out_dir = pathlib.Path(common.OUT_DIR.value or default_out_dir(config))
  results = common.open_results(
    out_dir,
    {
      **common.identity(config),
      'run': {
        'out_dir': str(out_dir),
        'overwrite': common.OVERWRITE.value,
        'save_records': common.SAVE_RECORDS.value,
      },
    },
    cells,
  )
  records_dir = out_dir / 'records' if common.SAVE_RECORDS.value else None
  if records_dir is not None or not results.complete:
    with common.Progress(config.epochs + len(cells)) as progress:
      run(problem, results, progress, records_dir=records_dir)
  common.show(summary.summarise(problem, results.rows(), READ), out_dir)


if __name__ == '__main__':
  flags.adopt_module_key_flags(common)
  common.launch(main)
