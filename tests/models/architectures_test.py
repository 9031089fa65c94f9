from absl.testing import parameterized
import jax
import jax.numpy as jnp

from splitjax import models
from splitjax import split


class ArchitecturesTest(parameterized.TestCase):
  @parameterized.named_parameters(
    # Weights and biases, counted by hand.
    (
      'mlp',
      models.mlp(10),
      (8, 8, 1),
      (64 * 64 + 64) * 5 + 64 * 10 + 10,
    ),
    (
      'mlp_of_a_table',
      models.mlp(2, hidden_sizes=(16, 4)),
      (30,),
      (30 * 16 + 16) + (16 * 4 + 4) + 2 * (4 * 4 + 4) + (4 * 2 + 2),
    ),
    (
      'conv_net',
      models.conv_net(10),
      (8, 8, 1),
      (9 * 16 + 16)
      + (9 * 16 * 32 + 32)
      + (4 * 4 * 32 * 64 + 64)
      + 2 * (64 * 64 + 64)
      + (64 * 10 + 10),
    ),
  )
  def test_can_be_cut_anywhere(self, layers, shape, num_params):
    inputs = jnp.ones((3, *shape))
    for cut in range(1, len(layers)):
      model = split.SplitModel(layers, (cut,))
      params, state = jax.eval_shape(model.init, jax.random.key(0), inputs)
      count = sum(leaf.size for leaf in jax.tree.leaves(params))
      assert count == num_params
      logits, _ = jax.eval_shape(model.apply, params, state, inputs)
      assert logits.shape == (3, model.layers[-1].features)
