from absl.testing import parameterized
from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from splitjax import models
from splitjax import training
from splitjax.training import inference
from splitjax.training import split

LAYERS = models.mlp(3, hidden_sizes=(8,))
KWARGS = dict(
  model=split.SplitModel(LAYERS, (3,)), optimizers=[optax.sgd(0.1)] * 2
)


def _data(num_samples=22, seed=0):
  rng = np.random.default_rng(seed)
  inputs = jnp.asarray(rng.normal(size=(num_samples, 5)), jnp.float32)
  labels = jnp.asarray(rng.integers(0, 3, num_samples))
  return inputs, labels


class EvaluateTest(parameterized.TestCase):
  def test_batch_statistics_and_dropout_are_in_evaluation_mode(self):
    layers = (
      nn.Dense(4, use_bias=False),
      nn.BatchNorm(use_scale=False, use_bias=False),
      nn.Dropout(0.5),
      nn.Dense(3),
    )
    kwargs = dict(
      model=split.SplitModel(layers, (3,)), optimizers=[optax.sgd(0.1)] * 2
    )
    inputs, labels = _data()
    state = training.init(jax.random.key(0), inputs, **kwargs)
    state, _ = training.train_epoch(
      jax.random.key(1), state, inputs, labels, batch_size=11, **kwargs
    )
    result = inference.evaluate(
      state, inputs, model=kwargs['model'], record_fn=lambda smashed: smashed[0]
    )
    stats = state.state[0][1]['batch_stats']
    hidden = inputs @ state.params[0][0]['kernel']
    expected = (hidden - stats['mean'][None]) / np.sqrt(stats['var'] + 1e-5)[
      None
    ]
    np.testing.assert_allclose(result.recorded, expected, rtol=1e-4, atol=1e-5)

  @parameterized.parameters(1, 7, 22, 1000)
  def test_equals_one_pass_whatever_the_batch(self, batch_size):
    inputs, _ = _data()
    model = split.SplitModel(LAYERS, (2, 4))
    optimizers = [optax.sgd(0.1)] * 3
    state = training.init(
      jax.random.key(0), inputs, model=model, optimizers=optimizers
    )
    result = inference.evaluate(
      state,
      inputs,
      model=model,
      batch_size=batch_size,
      record_fn=lambda smashed: smashed,
    )
    first, _ = model.apply_part(0, state.params[0], state.state[0], inputs)
    second, _ = model.apply_part(1, state.params[1], state.state[1], first)
    logits, _ = model.apply(state.params, state.state, inputs)
    np.testing.assert_allclose(result.recorded[0], first, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(result.recorded[1], second, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(result.logits, logits, rtol=1e-4, atol=1e-5)
