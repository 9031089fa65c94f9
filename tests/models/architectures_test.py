from absl.testing import parameterized
import jax
import jax.numpy as jnp

from splitjax import models
from splitjax.models import layering
from splitjax.training import split

CATEGORIES = (3, 5)

# Layers, the shape of an input, and weights and biases counted by hand.
COUNTED = {
  'mlp': (models.mlp(10), (8, 8, 1), (64 * 64 + 64) * 5 + 64 * 10 + 10),
  'mlp_of_a_table': (
    models.mlp(2, hidden_sizes=(16, 4)),
    (30,),
    (30 * 16 + 16) + (16 * 4 + 4) + 2 * (4 * 4 + 4) + (4 * 2 + 2),
  ),
  'conv_net': (
    models.conv_net(10),
    (8, 8, 1),
    (9 * 16 + 16)
    + (9 * 16 * 32 + 32)
    + (4 * 4 * 32 * 64 + 64)
    + 2 * (64 * 64 + 64)
    + (64 * 10 + 10),
  ),
  'wide_deep': (
    models.wide_deep(
      2, category_sizes=CATEGORIES, embedding_size=4, hidden_sizes=(6, 5)
    ),
    (4 + 2,),
    # Wide: numbers and a bias, categories.
    (4 * 2 + 2)
    + 8 * 2
    # Deep: embeddings, perceptron, head.
    + 8 * 4
    + ((4 + 2 * 4) * 6 + 6)
    + (6 * 5 + 5)
    + 2 * (5 * 5 + 5)
    + (5 * 2 + 2),
  ),
  'dlrm': (
    models.dlrm(
      2,
      category_sizes=CATEGORIES,
      embedding_size=4,
      bottom_sizes=(6,),
      top_sizes=(5,),
    ),
    (4 + 2,),
    8 * 4
    + (4 * 6 + 6)
    + (6 * 4 + 4)
    # Three vectors make three pairs.
    + ((4 + 3) * 5 + 5)
    + (5 * 2 + 2),
  ),
  'simple_net': (models.simple_net(10), (32, 32, 1), 5_628_810),
  'resnet18': (
    models.resnet18(10),
    (32, 32, 3),
    11_176_512 + 2 * (2048 * 2048 + 2048) + 2048 * 10 + 10,
  ),
  'vgg16': (models.vgg16(1000), (224, 224, 3), 138_365_992),
  'text_cnn': (
    models.text_cnn(2, vocabulary_size=7),
    (9,),
    7 * 300 + 360_300 + 2 * (300 * 300 + 300) + (300 * 2 + 2),
  ),
}


def _example(name, shape, batch=1):
  dtype = jnp.int32 if name == 'text_cnn' else jnp.float32
  return jax.ShapeDtypeStruct((batch, *shape), dtype)


def _trace(layers, example):
  """Each layer's output, parameters and state; nothing is computed."""

  def walk(x):
    found = []
    for layer in layers:
      x, params, state = layering.init(layer, jax.random.key(0), x)
      found.append((x, params, state))
    return found

  return jax.eval_shape(walk, example)


def _count(tree):
  return sum(leaf.size for leaf in jax.tree.leaves(tree))


def _widths(layers, shape):
  outputs = [x for x, _, _ in _trace(layers, _example('', shape))]
  return {cut: x.size for cut, x in enumerate(outputs, start=1)}


class ShapesTest(parameterized.TestCase):
  @parameterized.parameters(*COUNTED)
  def test_has_as_many_parameters_as_counted(self, name):
    layers, shape, num_params = COUNTED[name]
    found = _trace(layers, _example(name, shape))
    assert sum(_count(params) for _, params, _ in found) == num_params

  def test_backbones_have_as_many_parameters_as_published(self):
    # torchvision's ResNet18 has 11,689,512, of which 513,000 in its head.
    found = _trace(models.resnet18(10), _example('', (224, 224, 3)))
    assert sum(_count(params) for _, params, _ in found[:-3]) == 11_176_512
    # SimpleNet's "5.48 M" are its kernels.
    found = _trace(models.simple_net(10), _example('', (32, 32, 3)))
    kernels = [p['kernel'].size for _, p, _ in found[:-3] if 'kernel' in p]
    assert len(kernels) == 13
    assert sum(kernels) == 5_482_176
    # Kim's convolutions of 300-wide words, without the words.
    layers = models.text_cnn(2, vocabulary_size=7)
    found = _trace(layers, _example('text_cnn', (9,)))
    assert _count(found[1][1]) == 360_300

  def test_dlrm_for_criteo_has_the_published_perceptrons(self):
    layers = models.dlrm(
      1,
      category_sizes=(10,) * 26,
      embedding_size=16,
      bottom_sizes=(512, 256, 64),
      top_sizes=(512, 256),
    )
    found = _trace(layers, _example('dlrm', (13 + 26,)))
    assert _count(found[0][1]) == 26 * 10 * 16
    assert sum(_count(params) for _, params, _ in found[1:]) == 475_985

  @parameterized.parameters('simple_net', 'resnet18', 'vgg16')
  def test_group_norm_has_as_many_parameters_and_no_state(self, name):
    batch, group = (
      _trace(getattr(models, name)(10, norm=norm), _example('', (32, 32, 3)))
      for norm in ('batch', 'group')
    )
    for (x, params, _), (other, other_params, state) in zip(
      batch, group, strict=True
    ):
      assert x.shape == other.shape
      assert _count(params) == _count(other_params)
      assert not jax.tree.leaves(state)
    assert any(jax.tree.leaves(state) for _, _, state in batch)

  def test_cuts_are_as_wide_as_in_the_paper(self):
    widths = _widths(models.simple_net(10), (32, 32, 1))
    assert len(widths) == 55
    expected = {4: 131072, 18: 32768, 33: 4096, 46: 256, 50: 256, 54: 256}
    assert {cut: widths[cut] for cut in expected} == expected
    widths = _widths(models.resnet18(10), (32, 32, 3))
    assert len(widths) == 17
    expected = {4: 4096, 6: 4096, 8: 2048, 10: 1024, 12: 512, 14: 2048}
    assert {cut: widths[cut] for cut in expected} == expected
    widths = _widths(models.vgg16(10), (32, 32, 3))
    assert len(widths) == 53
    assert widths[46] == 7 * 7 * 512

  @parameterized.parameters(*COUNTED)
  def test_can_be_cut_everywhere(self, name):
    layers, shape, _ = COUNTED[name]
    cuts = tuple(range(1, len(layers)))
    model = split.SplitModel(layers, cuts)

    def step(inputs, labels):
      key = jax.random.key(0)
      params, state = model.init(key, inputs)
      return params, split.split_grads(
        key, params, state, inputs, labels, model=model
      )

    labels = jax.ShapeDtypeStruct((2,), jnp.int32)
    params, result = jax.eval_shape(step, _example(name, shape, 2), labels)
    shapes = lambda tree: jax.tree.map(lambda x: x.shape, tree)
    assert shapes(result.grads) == shapes(params)
    assert len(result.exchanges) == len(cuts)
    for exchange in result.exchanges:
      assert exchange.smashed.shape == exchange.cut_grads.shape
      assert len(exchange.smashed) == 2
