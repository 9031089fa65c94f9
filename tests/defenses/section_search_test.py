"""The search for where a predicate changes, against known thresholds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax.defenses import section_search

_search = jax.jit(
  jax.vmap(
    lambda threshold: section_search.search(
      lambda x: x < threshold, jnp.array(-1.0), jnp.array(3.0)
    )
  )
)


def test_the_predicate_changes_between_the_ends():
  thresholds = np.linspace(-0.99, 2.99, 37, dtype=np.float32)
  low, high = _search(thresholds)
  assert (low < thresholds).all() and (thresholds <= high).all()
  np.testing.assert_allclose(high - low, 0, atol=1e-6)


@pytest.mark.parametrize(('threshold', 'end'), [(-2.0, -1.0), (9.0, 3.0)])
def test_a_predicate_that_does_not_change_leads_to_an_end(threshold, end):
  low, high = _search(jnp.array([threshold]))
  np.testing.assert_allclose([low[0], high[0]], [end, end], atol=1e-6)
