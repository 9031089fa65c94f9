import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax import models
from splitjax.training import split

NUM_CLASSES = 3


def _model(num_numbers, sizes):
  layers = models.wide_deep(
    NUM_CLASSES, category_sizes=sizes, embedding_size=2, hidden_sizes=(4,)
  )
  rng = np.random.default_rng(0)
  inputs = rng.normal(size=(5, num_numbers + len(sizes))).astype(np.float32)
  inputs[:, num_numbers:] = rng.integers(0, sizes, (5, len(sizes)))
  model = split.SplitModel(layers, (1,))
  params, state = jax.tree.map(
    lambda x: jnp.asarray(rng.normal(size=x.shape), x.dtype),
    jax.eval_shape(model.init, jax.random.key(0), inputs),
  )
  return model, params, state, inputs


def _linear(params, inputs, sizes):
  """The wide part: weights of numbers and one-hot categories, and a bias."""
  num_numbers = inputs.shape[1] - len(sizes)
  ids = inputs[:, num_numbers:].astype(int)
  features = [inputs[:, :num_numbers]] + [
    np.eye(size)[ids[:, i]] for i, size in enumerate(sizes)
  ]
  wide = params[0][0]
  weights = [np.asarray(wide['Dense_0']['kernel'])]
  if sizes:
    weights.append(
      np.asarray(wide['CategoryEmbeddings_1']['Embed_0']['embedding'])
    )
  return np.concatenate(features, axis=1) @ np.concatenate(weights) + (
    np.asarray(wide['Dense_0']['bias'])
  )


@pytest.mark.parametrize('sizes', [(3, 5), (2,), ()], ids=str)
def test_without_the_deep_part_logits_are_linear(sizes):
  model, params, state, inputs = _model(4, sizes)
  client, server = params
  *hidden, last = server
  silent = (*hidden, jax.tree.map(jnp.zeros_like, last))
  logits, _ = jax.jit(model.apply)((client, silent), state, inputs)
  expected = _linear(params, inputs, sizes)
  np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)
  # And with it they are not.
  whole, _ = jax.jit(model.apply)(params, state, inputs)
  assert not np.allclose(whole, expected)


def test_a_table_without_numbers_is_enough():
  model, _, _, inputs = _model(0, (3, 5))
  params, state = jax.jit(model.init)(jax.random.key(0), inputs)
  logits, _ = jax.jit(model.apply)(params, state, inputs)
  assert logits.shape == (5, NUM_CLASSES)
  assert np.all(np.isfinite(logits))


def test_every_cut_tells_softmax_minus_onehot():
  model, params, state, inputs = _model(4, (3, 5))
  labels = jnp.array([0, 1, 2, 1, 0])
  everywhere = split.SplitModel(
    model.layers, tuple(range(1, len(model.layers)))
  )
  each = lambda parts: tuple((layer,) for part in parts for layer in part)

  @jax.jit
  def run(params, state):
    result = split.split_grads(
      jax.random.key(0),
      each(params),
      each(state),
      inputs,
      labels,
      model=everywhere,
    )
    logits, _ = model.apply(params, state, inputs)
    residual = jax.nn.softmax(logits) - jax.nn.one_hot(labels, NUM_CLASSES)
    return result.exchanges, residual / len(labels)

  exchanges, expected = run(params, state)
  assert len(exchanges) == 5
  for exchange in exchanges:
    np.testing.assert_allclose(
      exchange.cut_grads[:, -NUM_CLASSES:], expected, rtol=1e-4, atol=1e-6
    )
