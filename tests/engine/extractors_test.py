"""Networks that an attacker owns, on disk and at work."""

import dataclasses
import json
import pathlib
import shutil

import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax import data
from splitjax import models
from splitjax.engine import extractors
from splitjax.errors import ConfigError
from splitjax.training import split


def _plan(**changes):
  plan = extractors.ExtractorPlan('conv_net', {'num_classes': 3}, 8, (8, 8, 1))
  return dataclasses.replace(plan, **changes)


def _draw(plan, seed=0):
  model = plan.split_model()
  params, state = model.init(
    jax.random.key(seed), jnp.zeros((1, *plan.input_shape))
  )
  return params[0], state[0]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """An extractor on disk that was drawn, not trained."""
  path = tmp_path_factory.mktemp('extractor') / 'drawn'
  extractors.save(path, _plan(), _draw(_plan()))
  return path


def test_extractor_is_read_as_it_was_written(folder):
  dataset = data.load_digits(seed=0)
  plan = _plan()
  found = extractors.load(folder, dataset).extract(dataset)
  params, state = _draw(plan)
  for phase, inputs in (
    ('training', dataset.train_inputs),
    ('inference', dataset.test_inputs),
  ):
    expected, _ = plan.split_model().apply_part(0, params, state, inputs)
    np.testing.assert_allclose(
      found[phase], np.asarray(expected).reshape(len(inputs), -1), atol=1e-5
    )


def test_other_colours_and_sizes_are_taken():
  """What is made of images is averaged over positions, grey is repeated."""
  plan = _plan(
    num_layers=2,
    input_shape=(8, 8, 3),
    mean=(0.5, 0.4, 0.3),
    deviation=(0.2, 0.3, 0.4),
  )
  variables = _draw(plan)
  grey = np.random.default_rng(0).uniform(size=(2, 10, 12, 1))
  grey = grey.astype(np.float32)
  found = extractors.pretrained(plan, variables).apply_fn(variables, grey)
  colour = (np.repeat(grey, 3, axis=3) - plan.mean) / plan.deviation
  images, _ = plan.split_model().apply_part(
    0, *variables, colour.astype(np.float32)
  )
  np.testing.assert_allclose(found, np.mean(images, axis=(1, 2)), atol=1e-5)


def test_clients_variables_give_smashed_data_and_gradients_of_params_alone():
  model = split.SplitModel(
    models.simple_net(3)[:3] + models.mlp(3, hidden_sizes=(4,)), (2, 4)
  )
  inputs = jnp.ones((2, 8, 8, 1))
  params, state = model.init(jax.random.key(0), inputs)
  variables = tuple(
    tuple(x for part in one[:2] for x in part) for one in (params, state)
  )
  apply_fn = extractors.client_fn(model, 1)
  smashed, _ = model.apply_part(0, params[0], state[0], inputs)
  smashed, _ = model.apply_part(1, params[1], state[1], smashed)
  np.testing.assert_allclose(apply_fn(variables, inputs), smashed)
  total = lambda variables: jnp.sum(apply_fn(variables, inputs) ** 2)
  grads, state_grads = jax.grad(total)(variables)
  assert any(np.any(x) for x in jax.tree.leaves(grads))
  assert jax.tree.leaves(state_grads)
  assert not any(np.any(x) for x in jax.tree.leaves(state_grads))


def test_missing_extractor_is_named():
  dataset = data.load_digits(seed=0)
  with pytest.raises(ConfigError, match='^extractor=nowhere: expected client'):
    extractors.load(pathlib.Path('nowhere'), dataset)


def test_extractor_of_other_inputs_is_refused(folder):
  dataset = data.load_breast_cancer(seed=0)
  with pytest.raises(ConfigError, match='expected one for inputs of shape'):
    extractors.load(folder, dataset)


def test_folder_is_written_whole_or_not_at_all(tmp_path):
  path = tmp_path / 'new'
  with pytest.raises(TypeError, match='not JSON serializable'):
    extractors.save(path, _plan(options={'dtype': object()}), _draw(_plan()))
  assert list(tmp_path.iterdir()) == []


def _change_plan(**changes):
  def change(folder):
    path = folder / 'extractor.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))

  return change


def _write(content, pattern='extractor.json'):
  def change(folder):
    paths = [path for path in folder.rglob(pattern) if path.is_file()]
    assert paths
    for path in paths:
      path.write_bytes(content(path.read_bytes()))

  return change


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    (_change_plan(model='nope'), "KeyError\\('nope'\\)"),
    (_change_plan(model=['x']), 'KeyError'),
    (_change_plan(num_layers=99), 'between 1 and'),
    (_change_plan(num_layers='3'), 'positive whole sizes'),
    (_change_plan(input_shape=[8, -8, 1]), 'positive whole sizes'),
    (_change_plan(input_shape=[]), 'positive whole sizes'),
    (_change_plan(more=1), "unexpected keyword argument 'more'"),
    (_change_plan(options={'num_classes': 0}), 'a model for inputs'),
    (_change_plan(options=7), 'options by name'),
    (_change_plan(mean=[1, 2], deviation=[1, 2]), 'of every channel'),
    (_change_plan(mean=[0], deviation=[0]), 'a finite mean and deviation'),
    (_write(lambda x: x[:40]), 'extractor.json in JSON'),
    (_write(lambda x: b'\xff\xfe'), 'extractor.json in JSON'),
    (_write(lambda x: b'[1]'), "'list' object has no attribute"),
    (_write(lambda x: x[:50], '[!e]*'), 'expected whole variables'),
    (lambda x: shutil.rmtree(x / 'variables'), 'expected whole variables'),
  ],
)
def test_damaged_folder_is_refused_in_one_line(
  folder, tmp_path, change, message
):
  copy = tmp_path / 'copy'
  shutil.copytree(folder, copy)
  change(copy)
  with pytest.raises(ConfigError, match=message) as caught:
    extractors.load(copy, data.load_digits(seed=0))
  assert str(caught.value).startswith(f'extractor={copy}: expected ')
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    (lambda x: x * np.nan, 'finite numbers in 0/0/bias'),
    (lambda x: np.concatenate([x, x]), r'shape \(16,\) in 0/0/bias, not'),
    (lambda x: x[:1], 'whole variables'),
  ],
)
def test_variables_of_another_network_are_refused(tmp_path, change, message):
  path = tmp_path / 'other'
  variables = jax.tree.map(change, _draw(_plan()))
  extractors.save(path, _plan(), variables)
  with pytest.raises(ConfigError, match=message):
    extractors.load(path, data.load_digits(seed=0))


# What is still being read when a misfit is found ends in a closed event loop.
@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')
def test_misfits_are_named():
  wanted = extractors.variables_of(_plan(), np.float32)
  params, state = _draw(_plan())
  assert extractors.find_misfit((params, state), wanted) == ''
  fewer = (params[1:], state)
  assert extractors.find_misfit(fewer, wanted).startswith('variables with')
  more = ((*params, {'x': np.ones(2)}), state)
  assert extractors.find_misfit(more, wanted) == 'variables without 0/8/x'
  one = jax.ShapeDtypeStruct((2,), np.float32)
  statistics = {'var': np.float32([1, -1])}
  found = extractors.find_misfit(({}, statistics), ({}, {'var': one}))
  assert found == 'variances in 1/var, none below 0'


_VALUES = st.recursive(
  st.none()
  | st.booleans()
  | st.integers(-3, 1 << 40)
  | st.floats()
  | st.text(max_size=4),
  lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=4), x),
  max_leaves=4,
)
_FIELDS = [field.name for field in dataclasses.fields(extractors.ExtractorPlan)]


def _fuzz_plans(folder, tmp_path_factory, num_examples):
  """Reads plans of which bytes or fields were changed."""
  good = (folder / 'extractor.json').read_bytes()
  path = tmp_path_factory.mktemp('plan')

  @hypothesis.given(
    changes=st.dictionaries(
      st.sampled_from([*_FIELDS, 'more']), _VALUES, max_size=2
    ),
    at=st.lists(st.tuples(st.integers(0, 999), st.integers(0, 255))),
  )
  @hypothesis.settings(max_examples=num_examples, deadline=None)
  def is_a_plan_or_one_line(changes, at):
    content = bytearray(json.dumps(json.loads(good) | changes).encode())
    for place, value in at:
      content[place % len(content)] = value
    (path / 'extractor.json').write_bytes(content)
    try:
      plan = extractors.read_plan(path)
    except ConfigError as error:
      assert error.field == 'extractor' and '\n' not in str(error)
    else:
      assert all(size > 0 for size in plan.input_shape)

  is_a_plan_or_one_line()


@pytest.mark.slow
def test_changed_plan_is_a_plan_or_one_line(folder, tmp_path_factory):
  _fuzz_plans(folder, tmp_path_factory, 200)


@pytest.mark.slow
def test_many_changed_plans_are_plans_or_one_line(folder, tmp_path_factory):
  _fuzz_plans(folder, tmp_path_factory, 3000)
