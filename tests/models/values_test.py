import functools

from absl.testing import parameterized
from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from splitjax import losses
from splitjax import models
from splitjax.models import layering
from splitjax.models import layers
from splitjax.models import resnet
from splitjax.training import split

CATEGORIES = (3, 5)

# Small ones to compute with: layers, and the shape of an input.
SMALL = {
  'wide_deep': (
    lambda dtype=None: models.wide_deep(
      3,
      category_sizes=CATEGORIES,
      embedding_size=2,
      hidden_sizes=(4,),
      dtype=dtype,
    ),
    (2 + 2,),
  ),
  'dlrm': (
    lambda dtype=None: models.dlrm(
      3,
      category_sizes=CATEGORIES,
      embedding_size=2,
      bottom_sizes=(4,),
      top_sizes=(4,),
      dtype=dtype,
    ),
    (2 + 2,),
  ),
  'text_cnn': (
    lambda dtype=None: models.text_cnn(
      3,
      vocabulary_size=5,
      embedding_size=4,
      widths=(2, 3),
      channels=3,
      dtype=dtype,
    ),
    (5,),
  ),
  'residual': (
    lambda dtype=None: (
      layers.Conv(4, (1, 1), dtype=dtype),
      resnet.ResidualBlock(8, 2, 'batch', dtype),
      resnet.pool_to_2x2,
      layers.flatten,
      nn.Dense(3, dtype=dtype),
    ),
    (4, 4, 2),
  ),
  'mlp': (lambda dtype=None: models.mlp(3, dtype=dtype), (4,)),
  'conv_net': (lambda dtype=None: models.conv_net(3, dtype=dtype), (4, 4, 1)),
  'simple_net': (
    lambda dtype=None: models.simple_net(3, dtype=dtype),
    (32, 32, 1),
  ),
  'resnet18': (
    lambda dtype=None: models.resnet18(3, dtype=dtype),
    (32, 32, 3),
  ),
  'vgg16': (
    lambda dtype=None: models.vgg16(3, head_size=8, dtype=dtype),
    (32, 32, 3),
  ),
}


def _trace(network, inputs):
  """Each layer's parameters and state, of which nothing is computed."""

  def walk(x):
    found = []
    for layer in network:
      x, params, state = layering.init(layer, jax.random.key(0), x)
      found.append((params, state))
    return found

  return jax.eval_shape(walk, inputs)


def _draw(name, dtype=None, batch=4):
  """Layers, their parameters and state (lists), and inputs."""
  make_network, shape = SMALL[name]
  network = make_network(dtype)
  rng = np.random.default_rng(0)
  inputs = rng.normal(size=(batch, *shape))
  if name == 'text_cnn':
    inputs = rng.integers(0, 5, inputs.shape)
  if name in ('wide_deep', 'dlrm'):
    inputs[:, 2:] = rng.integers(0, CATEGORIES, (batch, 2))
  inputs = jnp.asarray(inputs, None if name == 'text_cnn' else jnp.float32)
  found = _trace(network, inputs)

  def draw(x):
    scale = np.sqrt(x.shape[-1] / x.size) if x.ndim > 1 else 1.0
    return jnp.asarray(scale * rng.normal(size=x.shape), x.dtype)

  params = jax.tree.map(draw, [params for params, _ in found])
  ones = lambda x: jnp.ones(x.shape, x.dtype)
  state = jax.tree.map(ones, [state for _, state in found])
  return network, params, state, inputs


class ValuesTest(parameterized.TestCase):
  @parameterized.parameters(*SMALL)
  def test_bfloat16_gives_finite_logits_of_float32_parameters(self, name):
    network, params, state, inputs = _draw(name, jnp.bfloat16, batch=2)
    model = split.SplitModel(network, (1,))
    assert {x.dtype for x in jax.tree.leaves(params)} == {jnp.dtype('float32')}
    cut = lambda flat: tuple(tuple(flat[a:b]) for a, b in model.bounds)
    logits, _ = jax.jit(model.apply)(cut(params), cut(state), inputs)
    assert logits.shape == (2, 3)
    assert logits.dtype == jnp.bfloat16
    assert np.all(np.isfinite(logits.astype(jnp.float32)))

  @parameterized.named_parameters(
    ('wide_deep', 'wide_deep', (2, (1, 3))),
    ('dlrm', 'dlrm', (1, 5, (3, 6))),
    ('text_cnn', 'text_cnn', (2, 5, (1, 4))),
    ('residual', 'residual', (1, (2, 4))),
  )
  def test_split_gradients_equal_those_of_the_joined_model(self, name, cuts):
    network, params, state, inputs = _draw(name)
    labels = jnp.array([0, 2, 1, 2])
    key = jax.random.key(3)

    def joined(params):
      x, new_state = inputs, []
      for index, layer in enumerate(network):
        x, layer_state = layering.apply(
          layer,
          params[index],
          state[index],
          x,
          train=True,
          key=jax.random.fold_in(jax.random.split(key, 5)[0], index),
        )
        new_state.append(layer_state)
      return losses.cross_entropy(x, labels).mean(), new_state

    def by_cut(params, cut):
      model = split.SplitModel(network, (cut,) if isinstance(cut, int) else cut)
      parts = lambda flat: tuple(tuple(flat[a:b]) for a, b in model.bounds)
      result = split.split_grads(
        key, parts(params), parts(state), inputs, labels, model=model
      )
      flat = lambda parts: [layer for part in parts for layer in part]
      return (result.loss, flat(result.state)), flat(result.grads)

    expected, *found = jax.jit(
      lambda params: [
        jax.value_and_grad(joined, has_aux=True)(params),
        *(by_cut(params, cut) for cut in cuts),
      ]
    )(params)
    for actual in found:
      jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6),
        actual,
        expected,
      )
