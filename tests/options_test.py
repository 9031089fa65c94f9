"""Fields of configurations as options, and as JSON values."""

import dataclasses
import functools
import json

from flax import linen as nn
import numpy as np
import pytest

from splitjax import data
from splitjax import engine
from splitjax import options
from splitjax.engine.studies import ablation
from splitjax.engine.studies import defense_sweep
from splitjax.engine.studies import regression
from splitjax.engine.studies import transfer
from splitjax.training.protection import Protection

CONFIGS = [
  engine.Config(),
  ablation.Config(),
  defense_sweep.Config(),
  regression.Config(),
  transfer.Config(),
]


@pytest.mark.parametrize('config', CONFIGS)
def test_every_field_is_an_option_with_help(config):
  found = options.options_of(config)
  assert [one.name for one in found] == [
    field.name for field in dataclasses.fields(config)
  ]
  for one in found:
    assert one.text and one.text[-1] in '.'
    assert one.default == getattr(config, one.name)
    values = one.default if one.several else (one.default,)
    assert all(isinstance(x, one.kind) or x is None for x in values)


def test_kinds_are_those_of_the_fields():
  kinds = {
    one.name: (one.kind, one.several)
    for one in options.options_of(ablation.Config())
  }
  expected = {
    'dataset': (str, False),
    'model': (str, False),
    'defense': (str, False),
    'header': (bool, False),
    'augment': (bool, False),
    'image_size': (int, False),
    'num_aux': (int, False),
    'learning_rate': (float, False),
    'attacks': (str, True),
    'cuts': (int, True),
    'vary_learning_rate': (float, True),
    'target': (str, False),
  }
  assert expected.items() <= kinds.items()


def test_bounds_are_kept_and_fields_without_help_left_out():
  @dataclasses.dataclass(frozen=True)
  class Config:
    one: int = options.option(3, 'One.', low=1, high=9)
    hidden: int = 2

  (one,) = options.options_of(Config(one=4))
  assert one == ('one', int, False, 4, 'One.', 1, 9)


@pytest.mark.parametrize('config', CONFIGS)
def test_values_are_json(config):
  values = options.values_of(config)
  assert json.loads(json.dumps(values, allow_nan=False)) == values
  assert list(values) == [x.name for x in dataclasses.fields(config)]


def _dataset(value=0.0):
  inputs = np.zeros((20, 3), np.float32)
  inputs[0, 0] = value
  return data.from_arrays(
    inputs,
    np.arange(20) % 2,
    test_inputs=inputs[:4],
    test_labels=[0, 1, 0, 1],
    standardize=False,
  )


def _first(key, grads, labels):
  return grads


def _second(key, grads, labels):
  return 2 * grads


@pytest.mark.parametrize(
  ('field', 'make_one', 'make_other'),
  [
    ('dataset', _dataset, lambda: _dataset(1.0)),
    (
      'model',
      lambda: [nn.Dense(3), nn.relu, nn.Dense(2)],
      lambda: [nn.Dense(4), nn.relu, nn.Dense(2)],
    ),
    (
      'model',
      lambda: [nn.Dense(3), nn.relu, nn.Dense(2)],
      lambda: [nn.Dense(3), nn.tanh, nn.Dense(2)],
    ),
    (
      'defense',
      lambda: Protection(cut_grads=_first),
      lambda: Protection(cut_grads=_second),
    ),
    (
      'defense',
      lambda: Protection(cut_grads=_first),
      lambda: Protection(smashed=_first),
    ),
  ],
)
def test_objects_stand_for_themselves_by_a_text(field, make_one, make_other):
  texts = [
    json.dumps(options.values_of(engine.Config(**{field: make()})))
    for make in (make_one, make_one, make_other)
  ]
  assert texts[0] == texts[1] != texts[2]
  assert ' at 0x' not in texts[0]


def test_functions_are_told_apart_by_code_and_never_by_address():
  make = lambda sign: lambda key, x, labels: sign * x
  one, other = (lambda x: x + 1), (lambda x: x - 1)
  values = [options._json_value(fn) for fn in (one, other)]
  assert values[0] != values[1]
  assert options._json_value(make(1)) == options._json_value(make(1))
  assert options._json_value(make(1)) != options._json_value(make(-1))
  bound = functools.partial(one, x=2)
  assert options._json_value(bound) == options._json_value(
    functools.partial(one, x=2)
  )
  assert options._json_value(bound) != options._json_value(
    functools.partial(one, x=3)
  )
  assert ' at 0x' not in repr(options._json_value([bound, object()]))
