"""Architectures by name."""

import json

from flax import linen as nn
import numpy as np
import pytest

from splitjax import data
from splitjax.data.dataset import Dataset
from splitjax.errors import ConfigError
from splitjax.models import catalog


def _dataset(shape, *, num_classes=3, **kwargs):
  inputs, labels = np.zeros((4, *shape), np.float32), np.zeros(4, np.int32)
  names = tuple(str(index) for index in range(num_classes))
  return Dataset('some', inputs, labels, inputs, labels, names, **kwargs)


IMAGES = _dataset((32, 32, 3))
NUMBERS = _dataset((5,))
TABLE = _dataset((5,), category_sizes=(4, 9))
TEXT = _dataset((12,), vocabulary_size=50)


def test_kinds_of_data_are_told_apart():
  found = [catalog.kind_of(x) for x in (IMAGES, NUMBERS, TABLE, TEXT)]
  assert found == ['image', 'numbers', 'table', 'text']


@pytest.mark.parametrize('name', catalog.MODELS)
def test_every_architecture_is_cut_inside_by_default(name):
  one = catalog.MODELS[name]
  datasets = {
    'image': IMAGES, 'numbers': NUMBERS, 'table': TABLE, 'text': TEXT
  }  # fmt: skip
  for kind in one.kinds:
    options = catalog.options_of(
      name, datasets[kind], norm=None, dtype='float32'
    )
    layers = catalog.make_layers(name, options)
    cut = catalog.main_cut(name, len(layers))
    assert 0 < cut < len(layers)
    assert all(0 < x < len(layers) for x in one.cuts)
    hash(layers)


def test_options_survive_json():
  options = catalog.options_of(
    'mlp', NUMBERS, norm=None, dtype='bfloat16', hidden_sizes=(4, 5)
  )
  again = json.loads(json.dumps(options))
  assert catalog.make_layers('mlp', again) == catalog.make_layers(
    'mlp', options
  )


def test_outputs_are_classes_or_the_one_target_and_what_a_defense_adds():
  sizes = lambda dataset, **kwargs: catalog.options_of(
    'mlp', dataset, norm=None, dtype='float32', **kwargs
  )['num_classes']
  assert sizes(NUMBERS) == 3
  assert sizes(data.load_diabetes(seed=0)) == 1
  assert sizes(data.load_diabetes(seed=0), extra_outputs=4) == 5


@pytest.mark.parametrize(
  ('name', 'dataset', 'change', 'message'),
  [
    ('resnet', IMAGES, {}, 'model=resnet: expected one of mlp'),
    ('conv_net', TEXT, {}, 'model=conv_net: expected a model for text: text_c'),
    ('mlp', TABLE, {}, 'model=mlp: expected a model for table: wide_deep'),
    ('mlp', IMAGES, dict(norm='group'), 'norm=group: expected no such flag'),
    ('resnet18', IMAGES, dict(norm='x'), 'norm=x: expected one of batch, gro'),
    ('mlp', IMAGES, dict(dtype='x'), 'dtype=x: expected one of float32, bflo'),
    (
      'conv_net',
      IMAGES,
      dict(hidden_sizes=(3,)),
      'hidden_sizes=3: expected no such flag with --model=conv_net',
    ),
    (
      'mlp',
      IMAGES,
      dict(hidden_sizes=(3, 0)),
      'hidden_sizes=0: expected widths, 1 to 4096',
    ),
  ],
)
def test_what_does_not_fit_is_named(name, dataset, change, message):
  options = {'norm': None, 'dtype': 'float32', **change}
  with pytest.raises(ConfigError, match=f'^{message}'):
    catalog.options_of(name, dataset, **options)


def test_layers_of_your_own_are_cut_before_the_last():
  assert catalog.main_cut([nn.Dense(3)] * 4, 4) == 3


@pytest.mark.parametrize(
  ('cuts', 'message'),
  [
    ((0,), 'cuts=0: expected a layer inside x, 1 to 4'),
    ((5,), 'cuts=5: expected a layer inside x, 1 to 4'),
    ((2, 2), 'cuts=2,2: expected cuts in ascending order'),
  ],
)
def test_cuts_are_inside_and_in_order(cuts, message):
  with pytest.raises(ConfigError, match=message):
    catalog.check_cuts(cuts, 5, 'x')
