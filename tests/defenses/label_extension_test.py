import functools

from absl.testing import parameterized
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax import losses
from splitjax.defenses import label_extension
from splitjax.training import split
from splitjax.training.protection import Protection


class ExtendTest(parameterized.TestCase):
  @parameterized.product(dtype=['float32', 'bfloat16'], num_extra=[0, 1, 5])
  def test_label_stays_first(self, dtype, num_extra):
    labels = jnp.asarray(np.linspace(-2, 2, 40), dtype)
    found = jax.jit(
      functools.partial(label_extension.extend, num_extra=num_extra)
    )(jax.random.key(0), labels)
    assert found.shape == (40, 1 + num_extra) and found.dtype == labels.dtype
    np.testing.assert_array_equal(found[:, 0], labels)

  def test_entries_are_normal_and_tell_nothing_of_the_label(self):
    labels = jnp.linspace(-2, 2, 4000)
    extend = lambda key, scale: label_extension.extend(
      key, labels, num_extra=3, scale=scale
    )
    keys = jax.random.split(jax.random.key(0), 2)
    found = np.asarray(jax.vmap(extend)(keys, jnp.array([0.5, 3.0])))
    np.testing.assert_allclose(
      found[..., 1:].std(1), [[0.5] * 3, [3] * 3], rtol=0.05
    )
    for one in found:
      assert np.abs(np.corrcoef(one.T) - np.eye(4)).max() < 0.06
    np.testing.assert_array_equal(extend(keys[0], 0.0)[:, 1:], 0)

  def test_bad_arguments_are_named(self):
    key, labels = jax.random.key(0), jnp.ones(3)
    with pytest.raises(ValueError, match='labels must be floating of shape'):
      label_extension.extend(key, jnp.ones(3, int), num_extra=1)
    with pytest.raises(ValueError, match='labels must be floating of shape'):
      label_extension.extend(key, jnp.ones((3, 1)), num_extra=1)
    with pytest.raises(ValueError, match='num_extra must be at least 0'):
      label_extension.extend(key, labels, num_extra=-1)
    with pytest.raises(ValueError, match='scale must be at least 0'):
      label_extension.extend(key, labels, num_extra=1, scale=-1.0)


class AdaptiveLossTest(parameterized.TestCase):
  @parameterized.parameters(0.0, 0.5, 2.0)
  def test_gradient_is_that_of_the_formula(self, scale):
    rng = np.random.default_rng(0)
    outputs, labels = np.float32(rng.normal(size=(2, 6, 4)))
    loss_fn = lambda outputs: label_extension.adaptive_loss(
      losses.squared_error, outputs, None, labels, scale=scale
    )
    values, grads = (
      loss_fn(outputs),
      jax.grad(lambda x: loss_fn(x).sum())(outputs),
    )
    for b in range(6):
      error = outputs[b, 0] - labels[b, 0]
      extra = outputs[b, 1:] - scale * labels[b, 1:] * abs(error)
      expected = 2 * np.append(error, extra)
      np.testing.assert_allclose(grads[b], expected, rtol=1e-4, atol=1e-6)
      total = error**2 + np.sum(extra**2)
      np.testing.assert_allclose(values[b], total, rtol=1e-4)

  def test_negative_scale_is_refused(self):
    with pytest.raises(ValueError, match='scale must be at least 0'):
      label_extension.adaptive_loss(
        losses.squared_error, jnp.ones((2, 2)), None, jnp.ones((2, 2)), scale=-1
      )


def _cut_grads(labels, protection):
  """Of a top with five outputs, from one input layer."""
  model = split.SplitModel((nn.Dense(8), nn.Dense(5)), (1,))
  inputs = jax.random.normal(jax.random.key(5), (40, 3))
  params, state = model.init(jax.random.key(1), inputs)
  result = split.split_grads(
    jax.random.key(2),
    params,
    state,
    inputs,
    labels,
    model=model,
    loss_fn=losses.squared_error,
    protection=protection,
  )
  exchange = result.exchanges[0]
  kernel = params[1][0]['kernel']
  return exchange, kernel


def test_gradients_mix_as_many_directions_as_a_label_has_entries():
  labels = jax.random.normal(jax.random.key(3), (40,))
  extended = label_extension.extend(jax.random.key(4), labels, num_extra=4)
  exchange, kernel = _cut_grads(extended, Protection())
  found = np.linalg.svd(exchange.cut_grads, compute_uv=False)
  assert found[4] > 1e-3 * found[0] and found[5] < 1e-5 * found[0]
  # Who knew the top would read the label still: the module says so.
  errors = exchange.cut_grads @ np.linalg.pinv(kernel).T * 40 / 2
  np.testing.assert_allclose(
    exchange.smashed @ kernel - errors, extended, atol=1e-3
  )


def test_answers_are_those_for_the_label():
  outputs = jnp.arange(6.0).reshape(2, 3)
  np.testing.assert_array_equal(label_extension.answers(outputs), [[0], [3]])
