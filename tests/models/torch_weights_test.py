"""Converted weights, against the networks written out in NumPy."""

import jax
import numpy as np
import pytest
from safetensors import numpy as safetensors_numpy

from splitjax import models
from splitjax.engine import extractors
from splitjax.engine import pretraining
from splitjax.errors import ConfigError
from splitjax.training import split

_RNG = np.random.default_rng(0)


def _norm_weights(name, width):
  draw = lambda low, high: _RNG.uniform(low, high, width).astype(np.float32)
  return {
    f'{name}.weight': draw(0.5, 1.5),
    f'{name}.bias': draw(-0.5, 0.5),
    f'{name}.running_mean': draw(-0.5, 0.5),
    f'{name}.running_var': draw(0.5, 1.5),
    f'{name}.num_batches_tracked': np.array(7),
  }


def _conv_weights(name, outputs, inputs, size):
  shape = (outputs, inputs, size, size)
  scale = np.sqrt(2 / (inputs * size**2))
  return {f'{name}.weight': (scale * _RNG.normal(size=shape)).astype('f4')}


def _resnet_weights():
  found = _conv_weights('conv1', 64, 3, 7) | _norm_weights('bn1', 64)
  inputs = 64
  for stage, width in enumerate((64, 128, 256, 512), 1):
    for block in range(2):
      name = f'layer{stage}.{block}'
      found |= _conv_weights(f'{name}.conv1', width, inputs, 3)
      found |= _norm_weights(f'{name}.bn1', width)
      found |= _conv_weights(f'{name}.conv2', width, width, 3)
      found |= _norm_weights(f'{name}.bn2', width)
      if inputs != width:
        found |= _conv_weights(f'{name}.downsample.0', width, inputs, 1)
        found |= _norm_weights(f'{name}.downsample.1', width)
      inputs = width
  return found | {'fc.weight': np.zeros((1000, 512)), 'fc.bias': np.zeros(1000)}


def _vgg_weights(normalized):
  found, index, inputs = {}, 0, 3
  for width, size in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
    for _ in range(size):
      found |= _conv_weights(f'features.{index}', width, inputs, 3)
      bias = _RNG.uniform(-0.1, 0.1, width)
      found[f'features.{index}.bias'] = bias.astype(np.float32)
      if normalized:
        found |= _norm_weights(f'features.{index + 1}', width)
      index += 3 if normalized else 2
      inputs = width
    index += 1
  return found


def _conv(x, weights, stride=1, padding=None):
  """A sum over the window, in PyTorch's layout; x is [B, C, H, W]."""
  size = weights.shape[2]
  pad = size // 2 if padding is None else padding
  x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
  rows, columns = ((n - size) // stride + 1 for n in x.shape[2:])
  total = 0
  for i in range(size):
    for j in range(size):
      part = x[:, :, i::stride, j::stride][:, :, :rows, :columns]
      total += np.einsum('bchw,oc->bohw', part, weights[:, :, i, j])
  return total


def _normed(x, weights, name):
  of = lambda key: weights[f'{name}.{key}'][None, :, None, None]
  x = (x - of('running_mean')) / np.sqrt(of('running_var') + 1e-5)
  return x * of('weight') + of('bias')


def _max_pool(x, size, stride, padding=0):
  pads = ((0, 0), (0, 0), (padding, padding), (padding, padding))
  x = np.pad(x, pads, constant_values=-np.inf)
  windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), (2, 3))
  return windows[:, :, ::stride, ::stride].max(axis=(4, 5))


def _resnet(x, weights):
  x = _normed(_conv(x, weights['conv1.weight'], 2), weights, 'bn1')
  x = _max_pool(np.maximum(x, 0), 3, 2, 1)
  for stage in range(1, 5):
    for block in range(2):
      name = f'layer{stage}.{block}'
      stride = 2 if stage > 1 and block == 0 else 1
      out = _conv(x, weights[f'{name}.conv1.weight'], stride)
      out = np.maximum(_normed(out, weights, f'{name}.bn1'), 0)
      out = _conv(out, weights[f'{name}.conv2.weight'])
      out = _normed(out, weights, f'{name}.bn2')
      if stride == 2:
        x = _conv(x, weights[f'{name}.downsample.0.weight'], 2, 0)
        x = _normed(x, weights, f'{name}.downsample.1')
      x = np.maximum(x + out, 0)
  return x


def _vgg(x, weights, normalized):
  index = 0
  for size in (2, 2, 3, 3, 3):
    for _ in range(size):
      bias = weights[f'features.{index}.bias'][None, :, None, None]
      x = _conv(x, weights[f'features.{index}.weight']) + bias
      if normalized:
        x = _normed(x, weights, f'features.{index + 1}')
      x = np.maximum(x, 0)
      index += 3 if normalized else 2
    x = _max_pool(x, 2, 2)
    index += 1
  return x


def _check(layers, num_layers, variables, expected_fn):
  images = _RNG.normal(size=(2, 40, 40, 3)).astype(np.float32)
  model = split.SplitModel(layers, (num_layers,))
  shapes = jax.eval_shape(model.init, jax.random.key(0), images)
  for found, drawn in zip(variables, shapes, strict=True):
    expected = jax.tree.map(lambda x: x.shape, drawn[0])
    assert jax.tree.map(lambda x: x.shape, found) == expected
  found = jax.jit(lambda x: model.apply_part(0, *variables, x)[0])(images)
  expected = expected_fn(images.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
  assert expected.std() > 0.01
  np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.slow  # Compiles for long.
def test_resnet18_computes_what_torchvisions_does():
  weights = _resnet_weights()
  _check(
    models.resnet18(10),
    12,
    models.resnet18_trunk(weights),
    lambda x: _resnet(x, weights),
  )


@pytest.mark.slow  # Compiles for long.
@pytest.mark.parametrize('normalized', [False, True])
def test_vgg16_computes_what_torchvisions_does(normalized):
  weights = _vgg_weights(normalized)
  _check(
    models.vgg16(10),
    44,
    models.vgg16_trunk(weights),
    lambda x: _vgg(x, weights, normalized),
  )


def test_missing_weight_is_named():
  weights = _resnet_weights()
  del weights['layer3.0.downsample.0.weight']
  with pytest.raises(ValueError, match=r'layer3\.0\.downsample\.0\.weight'):
    models.resnet18_trunk(weights)
  with pytest.raises(ValueError, match='weights must hold features'):
    models.vgg16_trunk({})


def test_file_is_converted_and_read_back(tmp_path):
  weights = _resnet_weights()
  path = tmp_path / 'resnet18.safetensors'
  safetensors_numpy.save_file(weights, path)
  plan, variables = pretraining.convert(path, 'resnet18')
  assert plan.mean == (0.485, 0.456, 0.406)
  for found, expected in zip(
    jax.tree.leaves(variables),
    jax.tree.leaves(models.resnet18_trunk(weights)),
    strict=True,
  ):
    np.testing.assert_array_equal(found, expected)
  assert extractors.pretrained(plan, variables) is not None


def test_file_of_another_network_is_refused(tmp_path):
  path = tmp_path / 'other.safetensors'
  safetensors_numpy.save_file({'fc.weight': np.zeros((2, 2))}, path)
  with pytest.raises(ConfigError, match='expected a state dict of vgg16'):
    pretraining.convert(path, 'vgg16')
  path.write_bytes(b'no such format')
  with pytest.raises(ConfigError, match='expected a state dict of vgg16'):
    pretraining.convert(path, 'vgg16')


@pytest.mark.parametrize(
  ('name', 'change', 'message'),
  [
    ('conv1.weight', lambda x: x[:, :1], r'shape \(7, 7, 3, 64\) in 0/0/ker'),
    ('conv1.weight', lambda x: x[0, 0], 'expected a state dict of resnet18'),
    ('bn1.bias', lambda x: x * np.nan, 'finite numbers in 0/1/bias'),
  ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path, name, change, message):
  weights = _resnet_weights()
  weights[name] = np.ascontiguousarray(change(weights[name]))
  path = tmp_path / 'changed.safetensors'
  safetensors_numpy.save_file(weights, path)
  with pytest.raises(ConfigError, match=message) as caught:
    pretraining.convert(path, 'resnet18')
  assert str(caught.value).startswith('weights=')


def test_folder_in_place_of_weights_is_refused(tmp_path):
  with pytest.raises(ConfigError, match='^weights=.*expected a regular file'):
    pretraining.convert(tmp_path, 'resnet18')
