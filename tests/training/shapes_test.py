"""How many runs go side by side."""

from flax import linen as nn
import jax
import numpy as np
import pytest

from splitjax.training import shapes
from splitjax.training.split import SplitModel

SMALL = SplitModel((nn.Dense(8), nn.Dense(3)), cuts=(1,))
# 5 million numbers a step of 128: more than a CPU should compute side by side.
LARGE = SplitModel((nn.Dense(40_000), nn.Dense(3)), cuts=(1,))
BATCH = np.ones((128, 5), np.float32)


@pytest.mark.parametrize(('backend', 'large'), [('cpu', 1), ('gpu', 34)])
def test_large_networks_go_one_by_one_on_a_cpu(monkeypatch, backend, large):
  monkeypatch.setattr(jax, 'default_backend', lambda: backend)
  assert shapes.runs_at_once(LARGE, BATCH) == large
  # Three float32 arrays of 11 numbers a sample, in 2 GiB.
  assert shapes.runs_at_once(SMALL, BATCH) == (2 << 30) // (12 * 128 * 11)
