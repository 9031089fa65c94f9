"""One hyperparameter is varied at a time."""

from unittest import mock

from absl.testing import parameterized
from matplotlib import figure
import numpy as np
import pytest

from splitjax import engine
from splitjax.engine.studies import ablation
from splitjax.engine.studies import label_inference
from splitjax.errors import ConfigError
from splitjax.reports import page
from splitjax.results import Cell
from splitjax.results import by_cell

SMALL = dict(
  # Whole batches, of 100 and of 400: no program for an incomplete one.
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
def varied(run_study):
  config = ablation.Config(
    vary_batch_size=(100, 400),
    vary_recorded_epoch=(1, 3),
    vary_num_aux=(1, 4),
    vary_learning_rate=(0.05, 0.2),
    cuts=(3,),
    **SMALL,
  )
  study = ablation.study(config)
  return study, run_study(study)


def test_ablation_changes_one_thing_at_a_time(varied):
  study, results = varied
  figures = _figures(results)
  base = study.problem.setting
  read = lambda setting, *place: figures[Cell(setting, *place)]
  place = ('training', 'cut_grads', 'distance')
  for name, value in (
    ('batch_size', 400),
    ('recorded_epoch', 3),
    ('num_aux', 4),
    ('learning_rate', 0.2),
  ):
    changed = base._replace(**{name: value})
    assert read(changed, *place) != read(base, *place)
  model = ('training', 'none', 'model')
  assert read(base._replace(num_aux=4), *model) == read(base, *model)
  assert read(base._replace(learning_rate=0.2), *model) != read(base, *model)


@pytest.mark.slow
def test_ablation_is_that_of_runs_one_by_one(varied, run_study):
  """The vmapped learning rate and the batch size are what they say."""
  _, results = varied
  figures = _figures(results)
  place = ('inference', 'smashed', 'distance')
  for change in ({'learning_rate': 0.2}, {'batch_size': 400}):
    config = engine.Config(cuts=(3,), **{**SMALL, **change})
    alone = label_inference.study(config)
    one = _figures(run_study(alone))
    cell = Cell(alone.problem.setting, *place)
    np.testing.assert_allclose(one[cell], figures[cell], atol=6e-3)


def test_ablation_does_not_measure_again_what_a_factor_does_not_change(varied):
  study, results = varied
  other = study.problem.setting._replace(recorded_epoch=3)
  read = {cell.intermediate for cell in _figures(results) if cell[0] == other}
  assert read == {'none', 'cut_grads'}


def test_tables_and_plots_show_every_value(varied, tmp_path):
  study, results = varied
  shown = study.summarise_fn(study, results.rows())
  text = page.to_text(shown)
  for words in ('batch size 400', 'num aux 4'):
    assert f'cut gradients, first pass; {words}' in text
  assert 'cut gradients, pass 3; recorded epoch 3' in text
  assert 'smashed data; recorded epoch' not in text
  drawn = []

  class Figure(figure.Figure):
    def savefig(self, *args, **kwargs):
      drawn.append(self)
      return super().savefig(*args, **kwargs)

  with mock.patch.object(figure, 'Figure', Figure):
    study.draw_fn(study, shown, tmp_path / 'leakage.png')
  assert (tmp_path / 'leakage.png').read_bytes().startswith(b'\x89PNG')
  canvas = drawn[0]
  assert all(one is canvas for one in drawn)  # As PNG and as SVG.
  panels = [axes for axes in canvas.axes if axes.axison]
  assert len(panels) > 4  # The factors, a row each.
  for axes in panels:
    _, labels = axes.get_legend_handles_labels()
    assert {'distance', 'no leak: raw inputs', 'chance'} <= set(labels)
  (legend,) = canvas.legends
  names = [text.get_text() for text in legend.get_texts()]
  assert names[0] == 'distance' and len(set(names)) == len(names)


def test_recorded_epochs_are_those_of_one_training(varied):
  study, _ = varied
  first, *others = study.trainings
  assert first.recorded_epochs == (1, 3)
  assert [point.learning_rate for point in first.points] == [0.05, 0.2]
  assert [one.problem.config.batch_size for one in others] == [400]


class CheckTest(parameterized.TestCase):
  @parameterized.parameters(
    (dict(vary_batch_size=(0,)), 'vary_batch_size=0: expected at most'),
    (dict(vary_recorded_epoch=(61,)), 'vary_recorded_epoch=61: expected one'),
    (dict(vary_num_aux=(500,)), 'vary_num_aux=500: expected fewer than'),
    (dict(vary_learning_rate=(-1.0,)), 'vary_learning_rate=-1.0: expected a'),
    (dict(vary_num_aux=(2, 2)), 'vary_num_aux=2,2: expected each value once'),
    (dict(cuts=(3, 7)), 'cuts=3,7: expected one cut'),
    (
      dict(vary_recorded_epoch=(1, 2), intermediates=('smashed',)),
      'vary_recorded_epoch=1,2: expected none where --intermediates',
    ),
  )
  def test_bad_value_is_named(self, change, message):
    with self.assertRaisesRegex(ConfigError, message):
      ablation.study(ablation.Config(**change))
