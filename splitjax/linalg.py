"""Decompositions of small matrices that may run side by side under `jax.vmap`.

Of a batch of matrices, jaxlib 0.10 schedules each one on the threads that run
the program, and waits for them: where two batches are decomposed at once, on
two cores, both wait for ever. A single matrix is decomposed where it is, so a
batch goes one by one here. jaxlib 0.11 does that itself.
"""

import jax
import jax.numpy as jnp


@jax.custom_batching.sequential_vmap
def orthonormal(matrix: jax.Array) -> jax.Array:
  """Return an orthonormal basis of a matrix's columns, by QR.

  Args:
    matrix: columns, `[D, k]` with `k <= D`.

  Returns:
    The basis, `[D, k]`.

  Example:
    >>> jnp.abs(orthonormal(jnp.array([[3.0], [0.0]]))).tolist()
    [[1.0], [0.0]]
  """
  return jnp.linalg.qr(matrix)[0]


@jax.custom_batching.sequential_vmap
def eigh(matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Return eigenvalues and eigenvectors of a symmetric matrix.

  Args:
    matrix: the matrix, `[k, k]`.

  Returns:
    Values by size, the smallest first, `[k]`, and vectors as columns, `[k, k]`.

  Example:
    >>> eigh(jnp.diag(jnp.array([4.0, 1.0])))[0].tolist()
    [1.0, 4.0]
  """
  values, vectors = jnp.linalg.eigh(matrix)
  return values, vectors


@jax.custom_batching.sequential_vmap
def svd(matrix: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Return the singular value decomposition of a matrix.

  Args:
    matrix: the matrix, `[M, N]`; `R` is the smaller of the two.

  Returns:
    Left vectors `[M, R]`, values `[R]` and right vectors `[R, N]`.

  Example:
    >>> svd(jnp.diag(jnp.array([1.0, 4.0])))[1].tolist()
    [4.0, 1.0]
  """
  left, values, right = jnp.linalg.svd(matrix, full_matrices=False)
  return left, values, right


@jax.custom_batching.sequential_vmap
def singular_values(matrix: jax.Array) -> jax.Array:
  """Return the singular values of a matrix, without their vectors.

  Args:
    matrix: the matrix, `[M, N]`; `R` is the smaller of the two.

  Returns:
    Values `[R]`, falling.

  Example:
    >>> singular_values(jnp.diag(jnp.array([1.0, 4.0]))).tolist()
    [4.0, 1.0]
  """
  return jnp.linalg.svd(matrix, compute_uv=False)


@jax.custom_batching.sequential_vmap
def inverse(matrix: jax.Array) -> jax.Array:
  """Return the inverse of a matrix.

  Args:
    matrix: the matrix, `[k, k]`.

  Returns:
    The inverse, `[k, k]`.

  Example:
    >>> inverse(jnp.diag(jnp.array([2.0, 4.0]))).tolist()
    [[0.5, 0.0], [0.0, 0.25]]
  """
  return jnp.linalg.inv(matrix)
