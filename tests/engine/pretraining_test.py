"""Networks for an attacker to own: trained, or converted."""

import dataclasses
import json
import pathlib

from flax import linen as nn
import numpy as np
import pytest

from splitjax import data
from splitjax import engine
from splitjax.engine import extractors
from splitjax.engine import pretraining
from splitjax.errors import ConfigError


def test_pretrained_network_is_a_client_that_was_trained():
  config = engine.Config(dataset='breast_cancer', epochs=5)
  plan, variables = pretraining.train(pretraining.problem_of(config))
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
    ('x.safetensors', 'mlp', 'model=mlp: expected resnet18 or vgg16'),
    ('x.safetensors', 'vgg16', 'weights=x.safetensors: expected a file'),
  ],
)
def test_bad_weights_are_named(path, model, message, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(ConfigError, match=message):
    pretraining.convert(pathlib.Path(path), model)


def test_layers_of_your_own_cannot_be_pretrained():
  config = engine.Config(model=[nn.Dense(4), nn.Dense(10)])
  with pytest.raises(ConfigError, match='^model=own: expected a name: layers'):
    pretraining.problem_of(config)


def test_file_that_is_no_state_dict_is_named(tmp_path):
  path = tmp_path / 'weights.safetensors'
  path.write_bytes(b'nothing')
  with pytest.raises(ConfigError, match='expected a state dict of vgg16: '):
    pretraining.convert(path, 'vgg16')


def test_source_of_real_targets_is_told_in_r2():
  config = engine.Config(dataset='diabetes', hidden_sizes=(8,), epochs=1)
  plan, _ = pretraining.train(pretraining.problem_of(config))
  assert plan.source.startswith('diabetes, test r2 ')
  assert plan.options == {'num_classes': 1, 'hidden_sizes': (8,)}
