"""Convolutions that are fast inside a compiled loop on a CPU too.

`layer` has the layer of the models, and chooses how it is computed: with one of
XLA's libraries (`by_library`), with one matrix product for each position of the
outputs (`by_output`), or in tiles of outputs (`by_tiles`).
"""

from splitjax.models.conv.layer import Conv as Conv
from splitjax.models.conv.layer import conv as conv

__all__ = ['Conv', 'conv']
