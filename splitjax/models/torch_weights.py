"""Public weights of torchvision as parameters of ours.

A state dict is a mapping of names to arrays, as a `.safetensors` file holds it.
Converted are the layers before the head, whose features do not depend on the
classes: the first 12 of `resnet18`, the first 44 of `vgg16`.
"""

from collections.abc import Mapping
import re
from typing import Any

import numpy as np

PyTree = Any
Variables = tuple[PyTree, PyTree]

# Of the images that torchvision's networks were trained on, by channel.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)

_EPSILON = 1e-5  # That our normalisation adds to the variance.


def resnet18_trunk(weights: Mapping[str, np.ndarray]) -> Variables:
  """Parameters and state of the first 12 layers of `models.resnet18`.

  Args:
    weights: of torchvision's `resnet18`; those of its head are not used.

  Returns:
    Two tuples over layers: parameters and state.

  Raises:
    ValueError: naming a weight that is missing.
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
  """Parameters and state of the first 44 layers of `models.vgg16`.

  Args:
    weights: of torchvision's `vgg16_bn`, or of `vgg16`: without normalisation,
      ours is then made to change nothing. Those of the head are not used.

  Returns:
    Two tuples over layers: parameters and state.

  Raises:
    ValueError: naming a weight that is missing.
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
      # The first that is missing is named by its place in torchvision's list.
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


def _unzip(layers):
  params, state = zip(*layers, strict=True)
  return params, state


def _of(weights, name):
  if name not in weights:
    raise ValueError(f'weights must hold {name}, got none of that name.')
  return np.asarray(weights[name], dtype=np.float32)


def _kernel(weights, name):
  """A convolution's kernel: [out, in, H, W] there, [H, W, in, out] here."""
  return _of(weights, f'{name}.weight').transpose(2, 3, 1, 0)


def _norm(weights, name):
  """A normalisation's parameters and running averages."""
  of = lambda field: _of(weights, f'{name}.{field}')
  params = {'scale': of('weight'), 'bias': of('bias')}
  return params, {'mean': of('running_mean'), 'var': of('running_var')}


def _identity_norm(width):
  zeros, ones = np.zeros(width, np.float32), np.ones(width, np.float32)
  params = {'scale': ones, 'bias': zeros}
  return params, {'mean': zeros, 'var': ones - np.float32(_EPSILON)}
