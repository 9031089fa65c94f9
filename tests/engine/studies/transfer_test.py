"""Tests of the transfer attack's binary, and of the networks it takes."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import common
from experiments import pretrain
from experiments import transfer
from splitjax import data
from splitjax import models
from splitjax.engine import extractors
from splitjax.engine import problems
from splitjax.engine import summary
from splitjax.reports import page
from splitjax.results import report
from splitjax.training import split

SMALL = dict(
  epochs=2,
  num_seeds=2,
  num_aux_draws=2,
  batch_size=100,
  cuts=(3, 7),
  attacks=('distance', 'transfer', 'transfer_similarity'),
)


def _plan(**changes):
  plan = extractors.Plan('conv_net', {'num_classes': 3}, 8, (8, 8, 1))
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


@pytest.fixture(scope='module')
def config(folder):
  return transfer.Config(**SMALL, recorded_epoch=2, extractor=str(folder))


@pytest.fixture(scope='module')
def measured(config, run_job, tmp_path_factory):
  problem, job = transfer.check(config)
  return problem, job, run_job(job, tmp_path_factory.mktemp('transfer'))


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


def test_every_cut_and_every_place_is_measured(config):
  _, job = transfer.check(config)
  figures = [x for x in job.cells if x.attack in config.attacks]
  assert {cell.setting.cut for cell in figures} == {'any', '3', '7'}
  assert {cell.setting.recorded_epoch for cell in figures} == {2}
  for setting in job.settings:
    # Gradients help the attacker's own network: one figure for each cut.
    for place in ('smashed', 'extracted'):
      cell = report.Cell(setting, 'inference', place, 'transfer')
      assert cell in figures
  # Without gradients it depends on no cut, and is no leak.
  extracted = [x for x in figures if x.intermediate == 'extracted']
  assert {(x.setting.cut, x.attack) for x in extracted} == {
    ('any', 'distance'),
    ('any', 'transfer_similarity'),
    ('3', 'transfer'),
    ('7', 'transfer'),
  }
  assert not any(
    x.attack == 'transfer' and x.intermediate in ('raw_inputs', 'cut_grads')
    for x in figures
  )


@pytest.mark.slow
def test_transfer_reads_what_gradients_gave_away(measured):
  """From gradients nearly all, from the nearest known sample much less."""
  _, job, results = measured
  figures = report.by_cell(results.rows(), 'accuracy')
  accuracy = lambda attack: figures[
    report.Cell(job.settings[1], 'inference', 'smashed', attack)
  ]['mean']
  assert accuracy('transfer') > 0.8
  assert accuracy('transfer') > accuracy('transfer_similarity') + 0.1


@pytest.mark.slow
def test_tables_name_the_pass_and_the_cut(measured):
  problem, job, results = measured
  shown = summary.summarise_sweeps(
    problem,
    results.rows(),
    job.whole,
    [transfer.sweep_of(problem)],
    'title',
  )
  text = page.to_text(shown)
  assert 'cut gradients, pass 2; cut 7' in text
  assert "features of the attacker's network; cut 3" in text


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'recorded_epoch': 3}, '--recorded_epoch=3: expected an epoch, 1 to 2'),
    ({'extractor': 'nowhere'}, '--extractor=nowhere: expected client, or a'),
  ],
)
def test_bad_flags_are_named(changes, message):
  with pytest.raises(common.FlagError, match=message):
    transfer.check(transfer.Config(**{**SMALL, **changes}))


def test_extractor_of_other_inputs_is_refused(folder):
  config = transfer.Config(
    dataset='breast_cancer', extractor=str(folder), **SMALL
  )
  with pytest.raises(
    common.FlagError, match='expected one for inputs of shape'
  ):
    transfer.check(config)


def test_pretrained_network_is_a_client_that_was_trained():
  config = problems.Config(dataset='breast_cancer', epochs=5)
  with common.Progress(1) as progress:
    plan, variables = pretrain.train(config, progress)
  assert json.loads(json.dumps(dataclasses.asdict(plan))) == {
    **dataclasses.asdict(plan),
    'input_shape': [30],
    'mean': [],
    'deviation': [],
  }
  percent = float(plan.source.rpartition(' ')[2].rstrip('%'))
  assert 85 < percent <= 100
  dataset = data.load_breast_cancer(seed=0)
  found = extractors.pretrained(plan, variables).extract(dataset)
  # A line along the mean difference of the classes tells them apart.
  features, labels = found['training'], dataset.train_labels
  gap = features[labels == 1].mean(0) - features[labels == 0].mean(0)
  scores = (found['inference'] - features.mean(0)) @ gap
  assert np.mean((scores > 0) == dataset.test_labels) > 0.85


@pytest.mark.parametrize(
  ('path', 'model', 'message'),
  [
    ('x.safetensors', 'mlp', '--model=mlp: expected resnet18 or vgg16'),
    ('x.safetensors', 'vgg16', '--weights=x.safetensors: expected a file'),
  ],
)
def test_bad_weights_are_named(path, model, message, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(common.FlagError, match=message):
    pretrain.convert(path, model)
