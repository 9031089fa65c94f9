import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax import models
from splitjax.models import embeddings
from splitjax.models import layering
from splitjax.models.dlrm import Interaction


@pytest.mark.parametrize('num_vectors', [1, 2, 5])
def test_interaction_equals_loops_over_pairs(num_vectors):
  x = np.random.default_rng(0).normal(size=(3, num_vectors * 4))
  x = x.astype(np.float32)
  vectors = x.reshape(3, num_vectors, 4)
  expected = [list(row) for row in vectors[:, 0]]
  for row, out in zip(vectors, expected, strict=True):
    for i in range(num_vectors):
      for j in range(i):
        out.append(row[i] @ row[j])
  actual = jax.jit(Interaction(4).apply)({}, x)
  np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_categories_look_up_rows_of_their_own():
  layer = embeddings.CategoryEmbeddings((2, 3), 4)
  inputs = jnp.array([[0.5, 0, 0], [1.5, 1, 2]])
  (numbers, vectors), params, _ = layering.init(
    layer, jax.random.key(0), inputs
  )
  table = np.asarray(params['Embed_0']['embedding'])
  assert table.shape == (5, 4)
  np.testing.assert_array_equal(numbers, [[0.5], [1.5]])
  np.testing.assert_array_equal(vectors, [table[[0, 2]], table[[1, 4]]])


def test_numbers_interact_as_the_first_vector():
  layers = models.dlrm(
    2,
    category_sizes=(3,),
    embedding_size=2,
    bottom_sizes=(),
    top_sizes=(),
  )
  inputs = np.array([[1.0, -2.0, 0], [0.5, 3.0, 2]], np.float32)
  x, params = inputs, []
  for layer in layers[:4]:
    x, layer_params, _ = layering.init(layer, jax.random.key(0), x)
    params.append(jax.tree.leaves(layer_params))
  (table,), (bias, kernel), *_ = jax.tree.map(np.asarray, params)
  bottom = np.maximum(inputs[:, :2] @ kernel + bias, 0)
  vectors = table[inputs[:, 2].astype(int)]
  products = np.sum(bottom * vectors, axis=1, keepdims=True)
  expected = np.concatenate([bottom, products], axis=1)
  np.testing.assert_allclose(x, expected, rtol=1e-5, atol=1e-6)


def test_a_table_without_numbers_is_refused():
  layers = models.dlrm(2, category_sizes=(3, 5))
  with pytest.raises(ValueError, match='must have a column of numbers'):
    layering.init(layers[0], jax.random.key(0), jnp.zeros((1, 2)))
