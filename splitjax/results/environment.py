"""What results depend on beside the configuration."""

from collections.abc import Mapping
import importlib.metadata
import platform
from typing import Any

import jax

from splitjax import options

_PACKAGES = (
  'dp-accounting',
  'flax',
  'jax',
  'jaxlib',
  'numpy',
  'optax',
  'pandas',
  'pillow',
  'scikit-learn',
  'scipy',
  'splitjax',
  'tensorflow-datasets',
)


def environment() -> dict[str, Any]:
  """Return versions, devices and precision, as JSON values."""
  found = {name: importlib.metadata.version(name) for name in _PACKAGES}
  return {
    'versions': {'python': platform.python_version(), **found},
    'devices': [device.device_kind for device in jax.devices()],
    'x64': jax.config.read('jax_enable_x64'),
  }


def identity_of(config: Any) -> Mapping[str, Any]:
  """Return what makes two runs the same, as JSON values.

  Args:
    config: a configuration, see `splitjax.options`.

  Returns:
    Its fields under 'flags', and the environment.
  """
  return {'flags': options.values_of(config), **environment()}
