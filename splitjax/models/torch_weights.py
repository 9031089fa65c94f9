"""Public weights of torchvision as parameters of ours.

A state dict is a mapping of names to arrays, as a `.safetensors` file holds it.
Only the layers before the head are converted, since the head depends on the
classes: the first 12 layers of `resnet18`, the first 44 of `vgg16`.
"""

from collections.abc import Mapping
import re
from typing import Any

import numpy as np

PyTree = Any
Variables = tuple[PyTree, PyTree]

# Mean and deviation of the images that torchvision's networks were trained on,
# by channel, of values in [0, 1].
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)

_EPSILON = 1e-5  # What our normalisation adds to the variance.


def resnet18_trunk(weights: Mapping[str, np.ndarray]) -> Variables:
  """Convert weights for the first 12 layers of `models.resnet18`.

  Args:
    weights: state dict of torchvision's `resnet18`; its head is not used.

  Returns:
    The parameters and the state, each a tuple with one entry for each layer.

  Raises:
    ValueError: naming the first weight that is missing.
  """
  params, state = _norm(weights, 'bn1')
  layers = [({'kernel': _kernel(weights, 'conv1')}, {})]
  layers += [(params, {'batch_stats': state}), ({}, {}), ({}, {})]
  for stage in range(1, 5):
    for block in range(2):
      name = f'layer{stage}.{block}'
      pairs = [(f'{name}.conv{i}', f'{name}.bn{i}') for i in (1, 2)]
      if stage > 1 and block == 0:
        pairs.append((f'{name}.downsample.0', f'{name}.downsample.1'))
      params, state = {}, {}
      for index, (conv, norm) in enumerate(pairs):
        key = f'BatchNorm_{index}'
        params[f'Conv_{index}'] = {'kernel': _kernel(weights, conv)}
        params[key], state[key] = _norm(weights, norm)
      layers.append((params, {'batch_stats': state}))
  return _unzip(layers)


def vgg16_trunk(weights: Mapping[str, np.ndarray]) -> Variables:
  """Convert weights for the first 44 layers of `models.vgg16`.

  Args:
    weights: state dict of torchvision's `vgg16_bn`; or of its `vgg16`, which
      has no normalisation, so that ours is made to change nothing. The head is
      not used.

  Returns:
    The parameters and the state, each a tuple with one entry for each layer.

  Raises:
    ValueError: naming the first weight that is missing.
  """
  pattern = re.compile(r'features\.(\d+)\.weight')
  numbers = sorted(
    int(found[1]) for found in map(pattern.fullmatch, weights) if found
  )
  convs = [i for i in numbers if weights[f'features.{i}.weight'].ndim == 4]
  normalized = (
    f'features.{convs[0] + 1}.running_mean' in weights if convs else 0
  )
  layers = []
  for size in (2, 2, 3, 3, 3):
    for _ in range(size):
      # If a convolution is missing, the message has its place in the list of
      # torchvision's features.
      index = convs.pop(0) if convs else len(layers)
      name = f'features.{index}'
      kernel = _kernel(weights, name)
      bias = _of(weights, f'{name}.bias')
      if normalized:
        params, state = _norm(weights, f'features.{index + 1}')
      else:
        params, state = _identity_norm(len(bias))
      layers.append(({'kernel': kernel, 'bias': bias}, {}))
      layers += [(params, {'batch_stats': state}), ({}, {})]
    layers.append(({}, {}))
  return _unzip(layers)


def _unzip(layers: list[tuple[PyTree, PyTree]]) -> Variables:
  """Return the parameters of all layers, and their states."""
  params, state = zip(*layers, strict=True)
  return params, state


def _of(weights: Mapping[str, np.ndarray], name: str) -> np.ndarray:
  """Return a weight in float32, or raise if it is missing."""
  if name not in weights:
    raise ValueError(f'weights must hold {name}, got none of that name.')
  return np.asarray(weights[name], dtype=np.float32)


def _kernel(weights: Mapping[str, np.ndarray], name: str) -> np.ndarray:
  """Return a convolution's kernel, [out, in, H, W] as [H, W, in, out]."""
  return _of(weights, f'{name}.weight').transpose(2, 3, 1, 0)


def _norm(weights: Mapping[str, np.ndarray], name: str) -> Variables:
  """Return a normalisation's parameters and its running averages."""
  of = lambda field: _of(weights, f'{name}.{field}')
  params = {'scale': of('weight'), 'bias': of('bias')}
  return params, {'mean': of('running_mean'), 'var': of('running_var')}


def _identity_norm(width: int) -> Variables:
  """Return the variables of a normalisation that changes nothing."""
  zeros, ones = np.zeros(width, np.float32), np.ones(width, np.float32)
  params = {'scale': ones, 'bias': zeros}
  return params, {'mean': zeros, 'var': ones - np.float32(_EPSILON)}
