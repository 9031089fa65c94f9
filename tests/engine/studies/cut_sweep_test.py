"""One training is attacked at every cut."""

import dataclasses

import numpy as np
import pytest

from splitjax import engine
from splitjax.engine.studies import cut_sweep
from splitjax.engine.studies import label_inference
from splitjax.errors import ConfigError
from splitjax.results import Cell
from splitjax.results import by_cell

SMALL = dict(
  # Whole batches: no program for an incomplete one.
  num_train=1200,
  epochs=3,
  num_seeds=2,
  num_aux_draws=2,
  batch_size=100,
  attacks=('distance',),
)


def _figures(results, measure='accuracy'):
  found = by_cell(results.rows(), measure)
  return {cell: row['values'] for cell, row in found.items()}


@pytest.fixture(scope='module')
def by_cut(run_study):
  config = engine.Config(cuts=(3, 7), project_to=48, **SMALL)
  study = cut_sweep.study(config)
  return study, run_study(study)


def test_sweep_takes_every_cut_by_default():
  study = cut_sweep.study(engine.Config())
  assert study.problem.model.cuts == tuple(range(1, 10))
  (training,) = study.trainings
  assert len(training.readings) == 10  # One of what depends on no cut.


def test_large_networks_have_cuts_of_their_own_that_are_swept():
  config = engine.Config(model='simple_net', image_size=32)
  assert cut_sweep.study(config).problem.model.cuts[:3] == (4, 10, 14)


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'defense': 'marvell'}, '^defense=marvell:power=1: expected'),
    ({'defense': 'dp_message:epsilon=1'}, 'expected a defense of labels alone'),
    ({'defense': 'dp_sgd:epsilon=1'}, 'expected a defense of labels alone'),
    ({'malicious_client': True}, '^malicious_client=True: expected one of'),
  ],
)
def test_what_depends_on_the_cut_is_refused_where_one_training_serves_all(
  changes, message
):
  config = engine.Config(**changes, classes=('0', '1'))
  with pytest.raises(ConfigError, match=message):
    cut_sweep.study(config)
  one = dataclasses.replace(config, cuts=(3,))
  assert cut_sweep.study(one).problem.model.cuts == (3,)


def test_defense_of_labels_alone_is_taken_at_every_cut():
  study = cut_sweep.study(engine.Config(defense='label_dp:epsilon=1'))
  assert len(study.problem.model.cuts) == 9


def test_each_cut_of_a_sweep_is_that_of_a_model_cut_there(by_cut, run_study):
  """Through the same projection, too: both are 64 wide, and read at 48."""
  study, results = by_cut
  alone = label_inference.study(
    engine.Config(cuts=(3,), project_to=48, **SMALL)
  )
  figures = _figures(run_study(alone))
  setting = cut_sweep.whole_of(study.problem)._replace(cut='3')
  for phase, name in (('training', 'cut_grads'), ('inference', 'smashed')):
    one = figures[Cell(alone.problem.setting, phase, name, 'distance')]
    other = _figures(results)[Cell(setting, phase, name, 'distance')]
    # Rounding may move a sample or two of 1,190 across a border.
    np.testing.assert_allclose(one, other, atol=3e-3)


def test_what_depends_on_no_cut_is_measured_once(by_cut):
  _, results = by_cut
  cuts = lambda name: {
    cell.setting.cut for cell in _figures(results) if cell.intermediate == name
  }
  assert cuts('raw_inputs') == cuts('none') == {'any'}
  assert cuts('cut_grads') == cuts('untrained_smashed') == {'3', '7'}


def test_table_and_plot_show_every_cut(by_cut, tmp_path):
  study, results = by_cut
  summary = study.summarise_fn(study, results.rows())
  assert summary.title == 'digits: labels read, by the cut'
  titles = [line.title for line in summary.lines]
  assert 'cut gradients, first pass; cut 3' in titles
  assert 'smashed data; cut 7' in titles
  study.draw_fn(study, summary, tmp_path / 'leakage.png')
  assert (tmp_path / 'leakage.png').read_bytes().startswith(b'\x89PNG')
  assert (tmp_path / 'leakage.svg').read_text().startswith('<?xml')
