"""Architectures: each a plain tuple of layers that can be cut anywhere."""

from splitjax.models.conv_net import conv_net as conv_net
from splitjax.models.dlrm import dlrm as dlrm
from splitjax.models.mlp import mlp as mlp
from splitjax.models.resnet import resnet18 as resnet18
from splitjax.models.simple_net import simple_net as simple_net
from splitjax.models.text_cnn import text_cnn as text_cnn
from splitjax.models.torch_weights import (
  IMAGENET_DEVIATION as IMAGENET_DEVIATION,
)
from splitjax.models.torch_weights import IMAGENET_MEAN as IMAGENET_MEAN
from splitjax.models.torch_weights import resnet18_trunk as resnet18_trunk
from splitjax.models.torch_weights import vgg16_trunk as vgg16_trunk
from splitjax.models.vgg import vgg16 as vgg16
from splitjax.models.wide_deep import wide_deep as wide_deep

__all__ = [
  'IMAGENET_DEVIATION',
  'IMAGENET_MEAN',
  'conv_net',
  'dlrm',
  'mlp',
  'resnet18',
  'resnet18_trunk',
  'simple_net',
  'text_cnn',
  'vgg16',
  'vgg16_trunk',
  'wide_deep',
]
