from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from splitjax import models
from splitjax import training
from splitjax.models.second_top import SecondTop

_NUM_CLASSES = 3


def _model(norm=False):
  bottom = (*models.mlp(_NUM_CLASSES, hidden_sizes=(8,))[:3],)
  middle = (nn.BatchNorm(),) if norm else ()
  top = (nn.Dense(6), *middle, nn.relu, nn.Dense(_NUM_CLASSES))
  return training.SplitModel((*bottom, *top), cuts=(3,)).with_top(
    lambda layers: (SecondTop(layers, _NUM_CLASSES),)
  )


def _inputs():
  return jnp.asarray(np.random.default_rng(0).normal(size=(10, 5)), 'float32')


def test_outputs_are_two_tops_and_distances():
  model, inputs = _model(), _inputs()
  params, state = model.init(jax.random.key(0), inputs)
  (smashed,), outputs = model.infer(params, state, inputs)
  assert outputs.shape == (10, 3 * _NUM_CLASSES)
  first, second, distances = np.split(np.asarray(outputs), 3, axis=1)
  assert np.abs(first - second).max() > 0.1
  centres = params[1][0]['centres']
  expected = [
    [np.sum((x - c) ** 2) for c in np.asarray(centres)]
    for x in np.asarray(smashed)
  ]
  np.testing.assert_allclose(distances, expected, rtol=1e-4)
  held = params[1][0]
  for found, copy in ((first, 'first'), (second, 'second')):
    before, after = held[f'{copy}_0'], held[f'{copy}_2']
    hidden = np.maximum(smashed @ before['kernel'] + before['bias'][None], 0)
    expected = hidden @ after['kernel'] + after['bias'][None]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_first_top_sends_no_gradient():
  model, inputs = _model(), _inputs()
  params, state = model.init(jax.random.key(0), inputs)
  smashed, _ = model.apply_part(0, params[0], state[0], inputs)

  def part(x, which):
    outputs, _ = model.apply_part(1, params[1], state[1], x)
    return jnp.sum(jnp.split(outputs, 3, axis=1)[which] ** 2)

  grads = [jax.grad(part)(smashed, which) for which in range(3)]
  np.testing.assert_array_equal(grads[0], 0)
  assert all(np.abs(one).max() > 0 for one in grads[1:])


def test_copies_keep_statistics_of_their_own():
  model, inputs = _model(norm=True), _inputs()
  params, state = model.init(jax.random.key(0), inputs)
  smashed, _ = model.apply_part(0, params[0], state[0], inputs)
  _, after = model.apply_part(1, params[1], state[1], smashed, train=True)
  means = [
    after[0]['batch_stats'][name]['mean'] for name in ('first_1', 'second_1')
  ]
  assert np.abs(means[0] - means[1]).max() > 1e-3
  _, same = model.apply_part(1, params[1], state[1], smashed)
  jax.tree.map(np.testing.assert_array_equal, same, state[1])
