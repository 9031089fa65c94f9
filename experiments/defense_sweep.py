r"""What defenses are worth: attack success against utility, by strength.

  python -m experiments.defense_sweep

trains small networks on handwritten digits under each defense at each strength
of the paper, all strengths and seeds of a defense in one program, and attacks
what crosses the cut, in under three minutes on two CPU cores. A defense of two
classes is tried on the pair of classes that --pair names. Where a defense draws
anew in every pass, the attacker also averages each sample's gradients over
several passes. It writes what `label_inference` writes, with the defense and
its strength in results.csv. --defenses=label_dp:epsilon=0.1|1|10,max_norm takes
other defenses and strengths. Expect gradients to be read nearly completely
under compression and DP-SGD, and label differential privacy and Marvell to hide
labels only as far as they cost utility or are not averaged out.
"""

from collections.abc import Sequence
import dataclasses

from absl import flags
import jax

from experiments import common
from experiments import options
from splitjax.defenses import catalog as defense_catalog
from splitjax.defenses import plan as defense_plan
from splitjax.engine import measuring
from splitjax.engine import pipeline
from splitjax.engine import problems
from splitjax.engine import targets
from splitjax.engine.families import Family
from splitjax.reports import frontiers
from splitjax.results import report

flags.DEFINE_list(
  'defenses',
  'dp_sgd,label_dp,compression,marvell',
  'Each as --defense takes it; its strength may be several, as '
  'label_dp:epsilon=0.1|1|10, by default those of the paper. Names: '
  f'{", ".join(defense_catalog.DEFENSES)}.',
)
flags.DEFINE_list(
  'pair',
  [],
  'Where the data have more classes, the two that defenses of two classes are '
  'tried on, by name or number; by default the first two. --num_train and '
  '--num_test are cut to their share.',
)
flags.DEFINE_list(
  'averaged_passes',
  '5,20',
  'Over how many passes the attacker averages the gradients of each sample, '
  'where they are drawn anew; at most --epochs. Empty for none.',
)


@dataclasses.dataclass(frozen=True)
class Config(problems.Config):
  """What the results depend on."""

  epochs: int = 20
  batch_size: int = 64
  attacks: tuple[str, ...] = ('distance', 'clustering')
  num_seeds: int = 4
  defenses: tuple[str, ...] = ()
  pair: tuple[str, ...] = ()
  averaged_passes: tuple[int, ...] = ()


def check(config: Config) -> list[Family]:
  """Looks up a configuration: the families of all that is trained.

  Args:
    config: to be checked.

  Returns:
    For each data set the undefended family, and one for each defense.

  Raises:
    common.FlagError: naming the flag, its value and what was expected.
  """
  if config.defense != 'none':
    raise common.FlagError(
      'defense', config.defense, 'no such flag in a sweep: see --defenses'
    )
  if len(config.cuts) > 1:
    cuts = ','.join(str(cut) for cut in config.cuts)
    raise common.FlagError('cuts', cuts, 'one cut')
  for num_passes in config.averaged_passes:
    common.check_range(
      'averaged_passes', num_passes, 2, config.epochs, 'at most the epochs'
    )
  swept = [defense_plan.parse_sweep('defenses', x) for x in config.defenses]
  names = [specs[0][0].name for specs in swept]
  if not swept or len(set(config.defenses)) < len(swept):
    text = ','.join(config.defenses)
    raise common.FlagError('defenses', text, 'one or more, each once')
  base = problems.check(config)
  of_two = [defense_catalog.DEFENSES[name].two_classes for name in names]
  if base.dataset.num_classes == 2 or not any(of_two):
    if config.pair:
      pair = ','.join(config.pair)
      raise common.FlagError(
        'pair', pair, 'data of more classes, and a defense of two'
      )
    return _families(base, swept)
  pair = config.pair or config.classes or base.dataset.class_names
  if config.pair and len(config.pair) != 2:
    raise common.FlagError('pair', ','.join(config.pair), 'two classes')
  # As many samples of a class as of the whole set.
  share = 2 / base.dataset.num_classes
  sizes = {
    name: max(round(share * getattr(config, name)), 2)
    for name in ('num_train', 'num_test')
    if getattr(config, name) is not None
  }
  binary = problems.check(
    dataclasses.replace(config, classes=tuple(pair[:2]), **sizes)
  )
  others = [x for x, two in zip(swept, of_two, strict=True) if not two]
  return [
    *(_families(base, others) if others else []),
    *_families(
      binary, [x for x, two in zip(swept, of_two, strict=True) if two]
    ),
  ]


def _families(problem, swept):
  """The undefended family of a data set, and those of its defenses."""
  if problem.dataset.num_classes == 2:
    # What defenses of two classes were made against.
    config = problem.config
    names = dict.fromkeys([*config.attacks, 'norm', 'direction'])
    problem = dataclasses.replace(
      problem, config=dataclasses.replace(config, attacks=tuple(names))
    )
  families = [Family(problem, (problem.plan,))]
  for strengths in swept:
    plans = [
      problems.make_plan(
        specs, problem.config, problem.dataset, problem.model, 'defenses'
      )
      for specs in strengths
    ]
    for plan in plans:
      if plan.off:
        common.warn(
          f'{plan.name} at {plan.strength:g} defends nothing: left out, as the '
          'undefended network is there'
        )
    plans = [plan for plan in plans if not plan.off]
    if plans:
      defended = dataclasses.replace(problem, plan=plans[0])
      families.append(Family(defended, tuple(plans)))
  return families


def cells_of(families: Sequence[Family]) -> list[report.Cell]:
  """All that is measured, in the order of the results."""
  return [cell for family in families for cell in family.cells()]


def run(
  families: Sequence[Family],
  results: report.Results,
  progress: common.Progress,
) -> None:
  """Measures every cell that is not finished yet, family by family.

  Args:
    families: what to train and to measure.
    results: where finished cells are kept.
    progress: told of every epoch and cell.
  """
  results.begin()
  for family in families:
    problem, cells = family.problem, family.cells()
    if all(cell in results for cell in cells):
      continue  # An earlier run finished it.
    key = jax.random.key(problem.config.seed)
    key_train, key_attack = jax.random.split(key)
    recipe = problem.recipe(
      baseline=not problem.plan.specs,
      recorded_epochs=tuple(range(1, max(family.passes, default=1) + 1)),
    )
    observed = pipeline.observe(
      problem, recipe, key_train, progress, plans=family.plans
    )
    auxiliary = targets.draw_auxiliary(problem)
    sources = {}
    for setting, plan, one in zip(
      family.settings, family.plans, observed, strict=True
    ):
      source = targets.Source(one, auxiliary, plan, problem.model)
      for num_passes in (1, *family.passes):
        sources[setting._replace(num_passes=num_passes)] = source._replace(
          num_passes=num_passes
        )
    measuring.run(key_attack, problem, cells, sources, results, progress)


def config_of_flags() -> Config:
  """The configuration that the command line asks for."""
  return Config(
    **dataclasses.asdict(options.config_of_flags()),
    defenses=tuple(flags.FLAGS.defenses),
    pair=tuple(flags.FLAGS.pair),
    averaged_passes=options.numbers_of_flag('averaged_passes', int),
  )


def main() -> None:
  if common.SAVE_RECORDS.value:
    raise common.FlagError('save_records', True, 'no such flag in a sweep')
  config = config_of_flags()
  families = check(config)
  cells = cells_of(families)
  out_dir, results = common.open_results('defense_sweep', config, cells)
  if not results.complete:
    epochs = sum(family.problem.num_epochs for family in families)
    with common.Progress(epochs + len(cells)) as progress:
      run(families, results, progress)
  common.show(
    frontiers.summarise(families, results.rows()),
    out_dir,
    lambda what, path: frontiers.plot(families, what, path),
  )


if __name__ == '__main__':
  flags.adopt_module_key_flags(common)
  flags.adopt_module_key_flags(options)
  for _field in ('epochs', 'batch_size', 'num_seeds'):
    flags.FLAGS.set_default(_field, getattr(Config(), _field))
  flags.FLAGS.set_default('attacks', list(Config().attacks))
  common.launch(main)
