"""Architectures: each a plain tuple of layers that can be cut anywhere."""

from splitjax.models.conv_net import conv_net as conv_net
from splitjax.models.mlp import mlp as mlp

__all__ = ['conv_net', 'mlp']
