"""Bounds on attacks against what attacks read."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax import metrics
from splitjax.attacks import one_class
from splitjax.defenses import guarantees
from splitjax.defenses import marvell

_BOUNDS = {
  'power': (marvell.noise, marvell.bound),
  'error': (marvell.dynamic_noise, marvell.dynamic_bound),
}


@pytest.mark.parametrize('strength', _BOUNDS)
@pytest.mark.parametrize('batch_size', [8, 32, 128])
@pytest.mark.slow
def test_no_attack_on_rare_positives_is_above_the_bound(batch_size, strength):
  rng = np.random.default_rng(0)
  labels = jnp.asarray(rng.random(2048) < 0.02, jnp.int32)
  means = np.where(labels, -5.0, 1.0)[:, None] * np.ones(4)
  grads = jnp.asarray(means + 0.3 * rng.normal(size=means.shape), jnp.float32)
  of_batches = lambda x: x.reshape(-1, batch_size, *x.shape[1:])
  steps = jnp.arange(2048) // batch_size
  noise_fn, bound_fn = _BOUNDS[strength]

  @jax.jit
  def run(value):
    keys = jax.random.split(jax.random.key(0), 2048 // batch_size)
    rows = of_batches(grads), of_batches(labels)
    sent = jax.vmap(lambda k, x, y: noise_fn(k, x, y, **{strength: value}))(
      keys, *rows
    ).reshape(grads.shape)
    noted = jax.vmap(lambda x, y: bound_fn(x, y, **{strength: value}))(*rows)
    odds = one_class.log_odds(sent[None], steps[None]).log_odds
    return noted, (odds, -sent @ jnp.ones(4))

  values = (0.1, 1.0, 10.0) if strength == 'power' else (0.1, 0.25, 0.4)
  for value in values:
    noted, scores = run(value)
    noted = jax.tree.map(lambda x: np.asarray(x)[None], noted)
    found = guarantees.marvell_guarantee(None, {}, None, noted)
    aucs = [float(metrics.auc(x, labels)) for x in scores]
    # An AUC of some 40 positives has a standard error of up to 0.05.
    assert max(aucs) < found['auc_bound'][0] + 0.05
    if batch_size == 8:
      # The mean over batches is no bound: most are sent without noise.
      assert found['one_class_share'][0] > 0.7
      assert max(aucs) > 0.9
      if value in (10.0, 0.4):
        assert max(aucs) > found['batch_auc_bound'][0] + 0.2


def test_each_promise_says_what_it_is_of():
  noted = {name: np.ones((1, 2)) for name in ('sum_kl', 'auc_bound')}
  noted |= {name: np.ones((1, 2)) for name in ('negatives', 'positives')}
  found = guarantees.marvell_guarantee(None, {}, None, noted)
  assert set(found) - {'sum_kl'} <= set(guarantees.PROMISES)
