"""What attackers get: never what they are to find."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from splitjax import engine
from splitjax.attacks.catalog import ATTACKS
from splitjax.engine import observing
from splitjax.engine import problems
from splitjax.engine import recipes
from splitjax.engine import targets
from splitjax.engine import trials
from splitjax.engine.progress import SILENT
from splitjax.engine.sources import Source
from splitjax.engine.study import cells_of
from splitjax.engine.study import point_of
from splitjax.records.intermediates import Name
from splitjax.records.viewing import rows_of

SMALL = dict(
  epochs=2, batch_size=16, num_seeds=2, num_aux_draws=2, attacks=('all',)
)
DIGITS = dict(
  dataset='digits',
  classes=('0', '1'),
  num_train=60,
  num_test=20,
  hidden_sizes=(8, 2),
)
CONFIGS = {
  # The two logits cross: every attack on classes applies.
  'logits': dict(DIGITS, cuts=(5,)),
  'mixup': dict(DIGITS, defense='mixup:alpha=0.5'),
  'label_dp': dict(DIGITS, defense='label_dp:epsilon=1:per_use=1'),
  'merged': dict(
    DIGITS, defense='lcd_like:num_labels=1', attacks=('strongest',)
  ),
  'missing': dict(
    DIGITS, defense='compression:ratio=0.9', attacks=('strongest',)
  ),
  'two_cuts': dict(
    DIGITS, cuts=(3, 5), attacks=('strongest', 'exploit', 'online')
  ),
  'augment': dict(
    DIGITS, model='conv_net', hidden_sizes=(), augment=True, project_to=50
  ),
  'real': dict(dataset='diabetes', num_train=60, num_test=20),
}


@functools.cache
def _problem_and_source(name):
  problem = problems.check(engine.Config(**(SMALL | CONFIGS[name])))
  recipe = recipes.recipe_of(problem, recorded_epochs=(1, 2))
  [runs] = observing.observe(
    problem, recipe, [point_of(problem)], jax.random.key(0), SILENT
  )
  auxiliary = targets.draw_auxiliary(problem, problem.config.num_aux)
  source = Source(runs, auxiliary, problem.plan, problem.model)
  return problem, source


def _with_other_truth(problem, source):
  """Permute all labels but those that some draw knows."""
  dataset = problem.dataset
  rng = np.random.default_rng(0)
  known = np.concatenate([one.ids.ravel() for one in source.auxiliary])
  hidden = ~np.isin(dataset.train_ids, known)
  labels = dataset.train_labels.copy()
  labels[hidden] = rng.permutation(labels[hidden])
  return dataclasses.replace(
    dataset,
    train_labels=labels,
    test_labels=rng.permutation(dataset.test_labels),
  )


def _targets(problem, source, dataset, cut=0):
  """What is attacked, by phase and by what it is."""
  read = [*problem.read, Name.RAW_INPUTS]
  places = dict.fromkeys(
    cell[1:3] for cell in cells_of(problem.setting, read, problem.attacks)
  )
  return {
    place: targets.make_target(
      dataset, source._replace(cut=cut), *place, granted=problem.granted
    )
    for place in places
  }


@pytest.mark.parametrize('name', CONFIGS)
def test_truth_of_scored_samples_changes_no_view(name):
  """Not a bit of what any attack may be granted."""
  problem, source = _problem_and_source(name)
  other = _with_other_truth(problem, source)
  for cut in range(len(problem.model.cuts)):
    found = _targets(problem, source, problem.dataset, cut)
    changed = _targets(problem, source, other, cut)
    assert len(found) == 7  # Gradients; three others in both phases.
    for place, target in found.items():
      assert (target.truth != changed[place].truth).any()
      np.testing.assert_array_equal(target.scored, changed[place].scored)
      same = jax.tree.map(
        lambda x, y: np.asarray(x).tobytes() == np.asarray(y).tobytes(),
        target.view.replace(own=_arrays(target.view.own)),
        changed[place].view.replace(own=_arrays(changed[place].view.own)),
      )
      assert all(jax.tree.leaves(same))


def _arrays(own):
  """What is known, without functions, which are no data."""
  if own is None or own.extractor is None:
    return own
  return own.replace(extractor=own.extractor.replace(apply_fn=None))


@pytest.mark.parametrize(
  'attack', [name for name, one in ATTACKS.items() if 'real' in one.targets]
)
def test_truth_of_scored_samples_changes_no_prediction_of_targets(attack):
  """As `honesty_test` for classes."""
  problem, source = _problem_and_source('real')
  entry = ATTACKS[attack]
  other = _with_other_truth(problem, source)
  place = ('training', 'cut_grads')
  predicted = [
    trials.predict(
      entry.fn,
      jax.random.key(1),
      targets.grant(
        _targets(problem, source, dataset)[place].view, entry.granted
      ),
    ).labels
    for dataset in (problem.dataset, other)
  ]
  np.testing.assert_array_equal(*predicted)


@pytest.mark.parametrize('name', ['mixup', 'two_cuts', 'augment'])
def test_passes_and_features_are_in_one_order(name):
  """Vectors of gradients are those of the recorded pass, row by row."""
  problem, source = _problem_and_source(name)
  for cut in range(len(problem.model.cuts)):
    found = _targets(problem, source, problem.dataset, cut)
    gradients = found['training', 'cut_grads'].view
    np.testing.assert_array_equal(
      gradients.own.passes.vectors[:, 0], gradients.vectors
    )
    assert gradients.own.features is None
    for seed, aux in enumerate(source.auxiliary):
      ids = gradients.sample_ids[seed]
      rows = gradients.own.aux_rows[seed]
      np.testing.assert_array_equal(ids[rows], aux.ids)
    smashed = found['training', 'smashed'].view
    np.testing.assert_array_equal(smashed.own.features, smashed.vectors)
    assert smashed.own.passes.vectors.shape[1] == 2  # Both recorded passes.
    assert not smashed.own.new_samples
    tested = found['inference', 'smashed'].view
    np.testing.assert_array_equal(tested.own.features, smashed.vectors)
    assert tested.own.new_samples
    # The gradient of a sample, wherever it is asked for.
    order = np.argsort(gradients.sample_ids, axis=1)
    where = np.argsort(np.argsort(smashed.sample_ids, axis=1), axis=1)
    for seed in range(2):
      np.testing.assert_array_equal(
        smashed.own.passes.vectors[seed, 0],
        gradients.vectors[seed][order[seed]][where[seed]],
      )


def test_raw_inputs_come_with_no_passes():
  """They are what is known without split learning."""
  problem, source = _problem_and_source('mixup')
  for place, target in _targets(problem, source, problem.dataset).items():
    own = target.view.own
    leaks = place[1] in ('cut_grads', 'smashed')
    assert (own.passes is not None) == leaks
    assert own.features is None or place[1] != 'cut_grads'


def test_inputs_are_granted_where_labels_were_merged():
  """In the order of the view, of training samples and of new ones."""
  problem, source = _problem_and_source('merged')
  dataset = problem.dataset
  inputs = np.concatenate([dataset.train_inputs, dataset.test_inputs])
  inputs = inputs.reshape(len(inputs), -1)
  found = _targets(problem, source, dataset)
  for (phase, _), target in found.items():
    passes = target.view.own.passes
    if passes is None:
      continue
    assert passes.num_merged == 1
    ids = target.view.sample_ids
    if phase == 'inference':
      np.testing.assert_array_equal(passes.new_inputs, inputs[ids])
    else:
      np.testing.assert_array_equal(passes.inputs, inputs[ids])
      assert passes.new_inputs is None
  assert ('inference', 'smashed') in found


def test_inputs_are_granted_where_entries_are_not_sent():
  problem, source = _problem_and_source('missing')
  dataset = problem.dataset
  view = _targets(problem, source, dataset)['training', 'cut_grads'].view
  inputs = dataset.train_inputs.reshape(len(dataset.train_inputs), -1)
  rows, _ = rows_of(view.sample_ids, dataset.train_ids)
  np.testing.assert_array_equal(view.own.passes.inputs, inputs[rows])
  mixed = _problem_and_source('mixup')
  others = _targets(*mixed, mixed[0].dataset)
  assert others['training', 'cut_grads'].view.own.passes.inputs is None
