from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax import losses
from splitjax import models
from splitjax import training
from splitjax.data import sets
from splitjax.data.feature_split import split_features
from splitjax.engine import bottoms
from splitjax.engine.studies import parties
from splitjax.errors import ConfigError

SMALL = {'num_train': 60, 'num_test': 20, 'hidden_sizes': (5,)}


def _config(*texts, **fields):
  return parties.Config(**SMALL | fields, party_models=texts)


def _held(config):
  dataset = sets.load(config, config.seed)
  features = split_features(dataset, config.parties, config.feature_split)
  return features.datasets(dataset)


def _run(layers, params, x):
  for layer, p in zip(layers, params, strict=True):
    x = (
      layer.apply({'params': p}, x)
      if isinstance(layer, nn.Module)
      else layer(x)
    )
  return x


@pytest.mark.parametrize(
  ('texts', 'fusion'),
  [(('mlp:6:4', 'conv_net'), 'concat'), (('mlp:6:5', 'mlp:5'), 'sum')],
)
def test_gradients_equal_those_of_the_joined_network(texts, fusion):
  config = _config(*texts, fusion=fusion, active_features=0.25)
  problem = parties.study(config).problem
  model, inputs = problem.model, jnp.asarray(problem.dataset.train_inputs[:6])
  labels = jnp.asarray(problem.dataset.train_labels[:6])
  params, state = jax.jit(model.init)(jax.random.key(0), inputs)

  def loss_fn(params):
    sent = [inputs[:, :, :3], inputs[:, :, 3:6], inputs[:, :, 6:]]
    own, top = params[-1][: len(model.own)], params[-1][len(model.own) :]
    parts = [*zip(model.bottoms, params[:-1], strict=True), (model.own, own)]
    sent = [_run(*part, x) for part, x in zip(parts, sent, strict=True)]
    joined = sum(sent) if fusion == 'sum' else jnp.concatenate(sent, axis=1)
    logits = _run(model.top, top, joined)
    return losses.cross_entropy(logits, labels).mean()

  @jax.jit
  def both_fn(params, state):
    step = training.split_grads(
      jax.random.key(1), params, state, inputs, labels, model=model
    )
    return step.exchanges, step.grads, jax.grad(loss_fn)(params)

  exchanges, grads, expected = both_fn(params, state)
  widths = [5, 5] if fusion == 'sum' else [4, 64]
  assert [x.cut_grads.shape for x in exchanges] == [(6, w) for w in widths]
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-6),
    grads,
    expected,
  )


def test_the_model_of_all_is_that_of_each():
  config = _config('mlp:5', 'mlp:5')
  both = bottoms.make(config, config.party_models, _held(config))
  model = parties.study(parties.Config(**SMALL)).problem.model
  assert both == model.bottoms


def test_norm_and_cuts_are_those_of_the_configuration():
  config = _config('mlp:5', 'resnet18', image_size=32, cuts=(2,), norm='group')
  first, second = bottoms.make(config, config.party_models, _held(config))
  assert (len(first), len(second)) == (2, 2)
  whole = models.resnet18(10, norm='group')
  assert list(map(str, second)) == list(map(str, whole[:2]))
  assert 'GroupNorm' in str(second)


@pytest.mark.parametrize(
  ('texts', 'message'),
  [
    (
      ('mlp',),
      'party_models=mlp: expected 2 models, one for each party, got 1',
    ),
    (('mlp',) * 3, 'party_models=mlp,mlp,mlp: expected 2 models'),
    (('mpl', 'mlp'), 'party_models=mpl: expected one of mlp, conv_net'),
    (('', 'mlp'), 'party_models=: expected one of mlp, conv_net'),
    (('conv_net:3', 'mlp'), 'party_models=conv_net:3: .* conv_net without wi'),
    (('mlp:', 'mlp'), 'party_models=mlp:: expected mlp, or whole widths'),
    (('mlp', 'mlp:8:x'), 'party_models=mlp:8:x: expected mlp, or whole widths'),
    (('mlp:0', 'mlp'), 'party_models=mlp:0: expected widths, 1 to 4096'),
    (('mlp:4097', 'mlp'), 'party_models=mlp:4097: expected widths, 1 to 4096'),
    (
      ('mlp', 'wide_deep'),
      'party_models=wide_deep: .* party 1 a model for ima',
    ),
    (
      ('mlp', 'simple_net'),
      'party_models=simple_net: expected a model for inp',
    ),
  ],
)
def test_models_that_cannot_be_used_are_named(texts, message):
  with pytest.raises(ConfigError, match=f'^{message}'):
    parties.study(_config(*texts))


def test_widths_that_cannot_be_added_and_cuts_outside_are_named():
  with pytest.raises(ConfigError, match='^fusion=sum: expected concat: only e'):
    parties.study(_config('mlp:5', 'mlp:6', fusion='sum'))
  with pytest.raises(ConfigError, match='^cuts=7: expected a layer inside mlp'):
    parties.study(
      _config('mlp:5:5:5', 'mlp:5', hidden_sizes=(5, 5, 5), cuts=(7,))
    )
