import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax.attacks import missing_on_views
from splitjax.attacks import strongest_on_views
from splitjax.attacks.groupings import CANDIDATES
from splitjax.records.viewing import Own
from splitjax.records.viewing import Passes
from splitjax.records.viewing import View
from splitjax.training.countering import Counter


def _view(*, inputs=True, counters=(Counter.MISSING,), num=120):
  """Of each gradient one of two entries of its class was sent."""
  rng = np.random.default_rng(0)
  truth = np.arange(num) % 3
  entry = 2 * truth + rng.integers(0, 2, num)
  entry[:3] = 2 * truth[:3]
  gradients = np.eye(6)[entry].astype('f')
  own = 3 * np.eye(3)[truth] + 0.5 * rng.normal(size=(num, 3))
  rows = np.arange(3)
  view = View(
    vectors=gradients,
    aux_vectors=gradients[rows],
    aux_labels=truth[rows],
    sample_ids=np.arange(num),
    aux_ids=rows,
    num_classes=3,
    own=Own(
      passes=Passes(
        vectors=gradients[None],
        steps=np.zeros((1, num), int),
        inputs=own.astype('f') if inputs else None,
        counters=counters,
      ),
      aux_rows=rows,
    ),
  )
  return truth, jax.tree.map(jnp.asarray, view)


def test_strongest_joins_patterns_by_own_inputs():
  truth, view = _view()
  found = strongest_on_views.strongest(jax.random.key(0), view)
  np.testing.assert_array_equal(found.labels, truth)
  assert CANDIDATES[found.chosen] == 'inputs'


def test_gradients_that_are_not_finite_are_named_by_nobody():
  truth, view = _view()
  passes = view.own.passes
  broken = passes.replace(vectors=passes.vectors.at[0, 5, 0].set(jnp.nan))
  view = view.replace(own=view.own.replace(passes=broken))
  found = strongest_on_views.strongest(jax.random.key(0), view)
  assert found.labels[5] == -1
  others = np.arange(len(truth)) != 5
  np.testing.assert_array_equal(found.labels[others], truth[others])


@pytest.mark.parametrize('lacking', [{'inputs': False}, {'counters': ()}])
def test_gradients_are_read_alone_where_nothing_more_is_known(lacking):
  _, view = _view(**lacking)
  shared = strongest_on_views.share(jax.random.key(0), view)
  assert shared.patterns is None
  found = strongest_on_views.strongest(jax.random.key(0), view)
  assert missing_on_views.read(view, shared.gradients, None, found) is found
  assert CANDIDATES[found.chosen] != 'inputs'
