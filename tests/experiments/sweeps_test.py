"""Tests of the binaries that vary something: cut_sweep and ablation."""

import dataclasses
from unittest import mock

from absl.testing import parameterized
import numpy as np
import pytest

from experiments import ablation
from experiments import common
from experiments import cut_sweep
from experiments import label_inference
from experiments import options
from splitjax.engine import problems
from splitjax.engine import summary
from splitjax.reports import page
from splitjax.reports import plots
from splitjax.results import report

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
  found = report.by_cell(results.rows(), measure)
  return {cell: row['values'] for cell, row in found.items()}


@pytest.fixture(scope='module')
def by_cut(run_job, tmp_path_factory):
  problem = cut_sweep.check(
    problems.Config(cuts=(3, 7), project_to=48, **SMALL)
  )
  folder = tmp_path_factory.mktemp('cuts')
  return problem, run_job(cut_sweep.job_of(problem), folder)


@pytest.fixture(scope='module')
def varied(tmp_path_factory):
  config = ablation.Config(
    vary_batch_size=(100, 400),
    vary_recorded_epoch=(1, 3),
    vary_num_aux=(1, 4),
    vary_learning_rate=(0.05, 0.2),
    cuts=(3,),
    **SMALL,
  )
  problem = ablation.check(config)
  folder = tmp_path_factory.mktemp('ablation')
  results = report.Results(folder, {}, ablation.cells_of(problem))
  with common.Progress(1) as progress:
    ablation.run(problem, results, progress)
  assert results.complete
  return problem, results


def test_sweep_takes_every_cut_by_default():
  assert cut_sweep.check(problems.Config()).model.cuts == tuple(range(1, 10))


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'defense': 'marvell'}, '--defense=marvell: expected'),
    ({'defense': 'dp_message:epsilon=1'}, 'expected a defense of labels alone'),
    ({'defense': 'dp_sgd:epsilon=1'}, 'expected a defense of labels alone'),
    ({'malicious_client': True}, '--malicious_client=True: expected one of'),
  ],
)
def test_what_depends_on_the_cut_is_refused_where_one_training_serves_all(
  changes, message
):
  config = problems.Config(**changes, classes=('0', '1'))
  with pytest.raises(common.FlagError, match=message):
    cut_sweep.check(config)
  one = dataclasses.replace(config, cuts=(3,))
  assert cut_sweep.check(one).model.cuts == (3,)
  labels_alone = problems.Config(defense='label_dp:epsilon=1')
  assert len(cut_sweep.check(labels_alone).model.cuts) == 9


def test_each_cut_of_a_sweep_is_that_of_a_model_cut_there(
  by_cut, run_job, tmp_path
):
  """Through the same projection, too: both are 64 wide, and read at 48."""
  problem, results = by_cut
  alone = problems.check(problems.Config(cuts=(3,), project_to=48, **SMALL))
  figures = _figures(run_job(label_inference.job_of(alone), tmp_path))
  setting = cut_sweep.whole_of(problem)._replace(cut='3')
  for phase, name in (('training', 'cut_grads'), ('inference', 'smashed')):
    one = figures[report.Cell(alone.setting, phase, name, 'distance')]
    other = _figures(results)[report.Cell(setting, phase, name, 'distance')]
    # Rounding may move a sample or two of 1,190 across a border.
    np.testing.assert_allclose(one, other, atol=3e-3)


def test_ablation_changes_one_thing_at_a_time(varied):
  problem, results = varied
  figures = _figures(results)
  base = problem.setting
  read = lambda setting, *place: figures[report.Cell(setting, *place)]
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
def test_ablation_is_that_of_runs_one_by_one(varied, run_job, tmp_path):
  """The vmapped learning rate and the batch size are what they say."""
  _, results = varied
  figures = _figures(results)
  place = ('inference', 'smashed', 'distance')
  for index, change in enumerate(({'learning_rate': 0.2}, {'batch_size': 400})):
    alone = problems.check(problems.Config(cuts=(3,), **{**SMALL, **change}))
    job = label_inference.job_of(alone)
    one = _figures(run_job(job, tmp_path / str(index)))
    cell = report.Cell(alone.setting, *place)
    np.testing.assert_allclose(one[cell], figures[cell], atol=6e-3)


def test_ablation_does_not_measure_again_what_a_factor_does_not_change(varied):
  problem, results = varied
  other = problem.setting._replace(recorded_epoch=3)
  read = {cell.intermediate for cell in _figures(results) if cell[0] == other}
  assert read == {'none', 'cut_grads'}


def test_tables_and_plots_show_every_value(varied, tmp_path):
  problem, results = varied
  sweeps = ablation.sweeps_of(problem)
  assert [sweep.factor for sweep in sweeps] == [
    'batch size', 'recorded epoch', 'num aux', 'learning rate'
  ]  # fmt: skip
  shown = summary.summarise_sweeps(
    problem, results.rows(), problem.setting, sweeps, 'title'
  )
  text = page.to_text(shown)
  for words in ('batch size 400', 'num aux 4'):
    assert f'cut gradients, first pass; {words}' in text
  assert 'cut gradients, pass 3; recorded epoch 3' in text
  assert 'smashed data; recorded epoch' not in text
  drawn = []

  class Figure(plots.figure.Figure):
    def savefig(self, *args, **kwargs):
      drawn.append(self)
      return super().savefig(*args, **kwargs)

  with mock.patch.object(plots.figure, 'Figure', Figure):
    plots.sweep(shown, sweeps, tmp_path / 'leakage.png')
  assert (tmp_path / 'leakage.png').read_bytes().startswith(b'\x89PNG')
  (canvas,) = drawn
  panels = [axes for axes in canvas.axes if axes.axison]
  assert len(panels) > len(sweeps)
  for axes in panels:
    _, labels = axes.get_legend_handles_labels()
    assert {'distance', 'no leak: raw inputs', 'chance'} <= set(labels)
  (legend,) = canvas.legends
  names = [text.get_text() for text in legend.get_texts()]
  assert names[0] == 'distance' and len(set(names)) == len(names)


class CheckTest(parameterized.TestCase):
  @parameterized.parameters(
    (dict(vary_batch_size=(0,)), '--vary_batch_size=0: expected at most'),
    (dict(vary_recorded_epoch=(61,)), '--vary_recorded_epoch=61: expected one'),
    (dict(vary_num_aux=(500,)), '--vary_num_aux=500: expected fewer than'),
    (dict(vary_learning_rate=(-1.0,)), '--vary_learning_rate=-1.0: expected a'),
    (dict(vary_num_aux=(2, 2)), '--vary_num_aux=2,2: expected each value once'),
    (dict(cuts=(3, 7)), '--cuts=3,7: expected one cut'),
    (
      dict(vary_recorded_epoch=(1, 2), intermediates=('smashed',)),
      '--vary_recorded_epoch=1,2: expected none where --intermediates',
    ),
  )
  def test_bad_value_is_named(self, change, message):
    with self.assertRaisesRegex(common.FlagError, message):
      ablation.check(ablation.Config(**change))

  def test_numbers_of_a_flag_are_numbers(self):
    flag = options.flags.FLAGS['cuts']
    with (
      mock.patch.object(options.flags, 'FLAGS', {'cuts': flag}),
      mock.patch.object(type(flag), 'value', ['3', 'x']),
      self.assertRaisesRegex(common.FlagError, '--cuts=3,x: expected whole'),
    ):
      options.numbers_of_flag('cuts', int)
