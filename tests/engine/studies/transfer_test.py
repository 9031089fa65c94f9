"""The transfer attack at every cut."""

import jax
import jax.numpy as jnp
import pytest

from splitjax.engine import extractors
from splitjax.engine.studies import cut_sweep
from splitjax.engine.studies import transfer
from splitjax.errors import ConfigError
from splitjax.reports import page
from splitjax.results import Cell
from splitjax.results import by_cell

SMALL = dict(
  epochs=2,
  num_seeds=2,
  num_aux_draws=2,
  batch_size=100,
  cuts=(3, 7),
  attacks=('distance', 'transfer', 'transfer_similarity'),
)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """An extractor on disk that was drawn, not trained."""
  path = tmp_path_factory.mktemp('extractor') / 'drawn'
  plan = extractors.ExtractorPlan('conv_net', {'num_classes': 3}, 8, (8, 8, 1))
  model = plan.split_model()
  params, state = model.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))
  extractors.save(path, plan, (params[0], state[0]))
  return path


@pytest.fixture(scope='module')
def config(folder):
  return transfer.Config(**SMALL, recorded_epoch=2, extractor=str(folder))


@pytest.fixture(scope='module')
def measured(config, run_study):
  study = transfer.study(config)
  return study, run_study(study)


def test_every_cut_and_every_place_is_measured(config):
  study = transfer.study(config)
  figures = [x for x in study.cells if x.attack in config.attacks]
  assert {cell.setting.cut for cell in figures} == {'any', '3', '7'}
  assert {cell.setting.recorded_epoch for cell in figures} == {2}
  for setting in cut_sweep.sweep_of(study.problem).settings:
    # Gradients help the attacker's own network: one figure for each cut.
    for place in ('smashed', 'extracted'):
      cell = Cell(setting, 'inference', place, 'transfer')
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
  study, results = measured
  figures = by_cell(results.rows(), 'accuracy')
  setting = cut_sweep.sweep_of(study.problem).settings[1]
  accuracy = lambda attack: figures[
    Cell(setting, 'inference', 'smashed', attack)
  ]['mean']
  assert accuracy('transfer') > 0.8
  assert accuracy('transfer') > accuracy('transfer_similarity') + 0.1


@pytest.mark.slow
def test_tables_name_the_pass_and_the_cut(measured):
  study, results = measured
  shown = study.summarise_fn(study, results.rows())
  text = page.to_text(shown)
  assert 'cut gradients, pass 2; cut 7' in text
  assert "features of the attacker's network; cut 3" in text


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'recorded_epoch': 3}, 'recorded_epoch=3: expected an epoch, 1 to 2'),
    ({'extractor': 'nowhere'}, 'extractor=nowhere: expected client, or a'),
  ],
)
def test_bad_flags_are_named(changes, message):
  with pytest.raises(ConfigError, match=message):
    transfer.study(transfer.Config(**{**SMALL, **changes}))
