"""A search for a defense, on networks that are hardly trained."""

import dataclasses
import functools

import numpy as np
import pytest

from splitjax import engine
from splitjax.engine import problems
from splitjax.engine.studies import findings
from splitjax.engine.studies import recommend
from splitjax.errors import ConfigError

SMALL = recommend.Config(
  attacks=('strongest',),
  num_train=100,
  num_test=50,
  epochs=1,
  num_seeds=2,
  num_aux_draws=2,
  places=('one_pass',),
  max_loss=50.0,
  defenses=('gradient_averaging:weight=1', 'compression:ratio=0.1'),
)


def test_held_out_samples_are_of_the_training_set_and_of_every_class():
  problem = problems.check(SMALL)
  part = recommend._hold_out(problem).dataset
  whole = problem.dataset
  assert len(part.train_labels) + len(part.test_labels) == 100
  found = np.concatenate([part.train_inputs, part.test_inputs])
  order = lambda x: np.lexsort(x.reshape(len(x), -1).T)
  np.testing.assert_array_equal(
    found[order(found)], whole.train_inputs[order(whole.train_inputs)]
  )
  assert len(np.unique(part.test_labels)) == 10


@pytest.mark.parametrize(
  ('field', 'value'),
  [
    ('max_loss', 0.0),
    ('max_leakage', 100.0),
    ('places', ('nowhere',)),
    ('attacks', ('distance',)),
    ('defense', 'max_norm'),
    ('defenses', ('isotropic:ratio=0',)),
  ],
)
def test_mistake_is_named_before_anything_is_trained(field, value):
  config = dataclasses.replace(SMALL, **{field: value})
  with pytest.raises(ConfigError) as raised:
    recommend.study(config, lambda *_: pytest.fail('something was trained'))
  assert raised.value.field == field


@pytest.mark.slow
def test_finalists_are_measured_on_fresh_networks(tmp_path):
  steps = {}

  def run(study, name):
    steps[name] = study
    return engine.run(study, out_dir=tmp_path / name)

  study = recommend.study(SMALL, run)
  assert list(steps) == ['search-1', 'search-2', 'search-3']
  seeds = {one.config.seed for one in (*steps.values(), study)}
  assert len(seeds) == 4
  # Models of the search are judged by samples that they could train on.
  assert len(steps['search-1'].problem.dataset.test_labels) < 50
  result = engine.run(study, out_dir=tmp_path, report=True)
  # The mean alone goes to all; a tenth dropped hides nothing.
  first = study.trainings[1].problem.plan.text
  assert 'gradient_averaging:weight=1' in first
  assert 'Not asked, so not hidden' in result.summary()
  assert (tmp_path / 'leakage.png').exists()
  # What is chosen among has intervals that hold together.
  read = functools.partial(findings.worths, study, result.rows(), SMALL.places)
  for one, judged in zip(read(), read(together=True), strict=True):
    assert judged.loss.mean == one.loss.mean
    assert judged.loss.low <= one.loss.low < one.loss.high < judged.loss.high
