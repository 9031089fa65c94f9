import ast
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import splitjax
from splitjax import linalg

_BATCH = jax.random.normal(jax.random.key(0), (3, 6, 4))
_SQUARE = jnp.einsum('bij,bik->bjk', _BATCH, _BATCH)


@pytest.mark.parametrize('wrap', [jax.vmap, lambda f: jax.jit(jax.vmap(f))])
def test_a_batch_gives_what_each_matrix_gives(wrap):
  for fn, batch in (
    (linalg.orthonormal, _BATCH),
    (linalg.eigh, _SQUARE),
    (linalg.svd, _BATCH),
    (linalg.inverse, _SQUARE),
  ):
    alone = [fn(x) for x in batch]
    together = wrap(fn)(batch)
    for index, one in enumerate(alone):
      jax.tree.map(
        lambda x, y, i=index: np.testing.assert_allclose(
          x, y[i], rtol=1e-3, atol=1e-5
        ),
        one,
        together,
      )


def test_a_batch_of_batches_gives_one_matrix_after_the_other():
  both = jnp.stack([_SQUARE, 2 * _SQUARE])
  found = jax.vmap(jax.vmap(linalg.inverse))(both)
  eyes = jnp.broadcast_to(jnp.eye(4), both.shape)
  np.testing.assert_allclose(found @ both, eyes, atol=1e-2)


def test_no_decomposition_in_the_package_is_batched():
  # What a batch of them does on few cores is what linalg.py says.
  package = pathlib.Path(splitjax.__file__).parent
  names = {'qr', 'eigh', 'svd', 'inv', 'solve', 'cholesky', 'lstsq', 'pinv'}
  found = []
  for path in package.rglob('*.py'):
    if path == pathlib.Path(linalg.__file__):
      continue
    for node in ast.walk(ast.parse(path.read_text())):
      if (
        isinstance(node, ast.Attribute)
        and node.attr in names
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == 'linalg'
        and ast.unparse(node.value).startswith(('jnp.', 'jax.'))
      ):
        found.append(f'{path.name}:{node.lineno}')
  assert not found


_SIDE_BY_SIDE = """
import jax, jax.numpy as jnp
from splitjax import linalg
def walk(x):
  columns = jnp.swapaxes(x, 1, 2)
  step = lambda _, q: jax.vmap(linalg.orthonormal)(columns @ (x @ q))
  return jax.lax.fori_loop(0, 200, step, columns[..., :8])
xs = [jax.random.normal(jax.random.key(i), (4, 200, 100)) for i in range(8)]
jax.block_until_ready(jax.jit(lambda xs: [walk(x) for x in xs])(xs))
"""


def test_decompositions_side_by_side_do_not_wait_for_each_other():
  subprocess.run([sys.executable, '-c', _SIDE_BY_SIDE], check=True, timeout=120)
