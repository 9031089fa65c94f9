"""DP-SGD: each sample's gradient is clipped, and the sum is noised.

Abadi et al., "Deep learning with differential privacy" (2016,
https://arxiv.org/abs/1607.00133). It can act in two places of split learning:

- `server_update` protects what the label party's weights reveal, and sends the
  cut gradient unchanged. The paper whose attacks we reproduce does this.
- `message` protects the cut gradient itself.

`accounting` computes the epsilon of each.
"""

from collections.abc import Callable
import math
import numbers
from typing import Any

import jax
import jax.numpy as jnp
import optax

PyTree = Any
# (params, smashed, labels) -> mean loss of a batch
MeanLossFn = Callable[[PyTree, jax.Array, jax.Array], jax.Array]
_TINY = 1e-30


def server_update(
  key: jax.Array,
  loss_fn: MeanLossFn,
  params: PyTree,
  smashed: jax.Array,
  labels: jax.Array,
  *,
  clip_norm: jax.typing.ArrayLike,
  noise_multiplier: jax.typing.ArrayLike,
  microbatch: int | None = None,
) -> PyTree:
  """Return the label party's own gradient, clipped per sample and noised.

  The model must not mix the samples of a batch. With batch normalisation there
  is no gradient of a single sample, so use group normalisation. If `loss_fn`
  uses dropout, it drops the same units for all samples.

  Args:
    key: random key for the noise.
    loss_fn: `(params, smashed, labels) -> loss`, the mean loss of a batch, a
      scalar.
    params: parameters of the label party's part.
    smashed: output of the cut layer, `[B, ...]`; of several parties a tuple.
    labels: classes `[B]`, or soft labels `[B, C]`.
    clip_norm: largest L2 norm of a sample's gradient, taken over all
      parameters, positive. Infinity clips nothing; it is allowed only with a
      `noise_multiplier` of 0.
    noise_multiplier: standard deviation of the noise on every coordinate of the
      summed gradient, in units of `clip_norm`, at least 0. With 0 and an
      infinite `clip_norm` the result is that of `jax.grad`.
    microbatch: number of samples whose gradients are in memory at once, at
      least 1; all of them if None. It need not divide the batch.

  Returns:
    The noised sum of gradients divided by `B`, in the structure and types of
    `params`.

  Raises:
    ValueError: at trace time, if `clip_norm`, `noise_multiplier` or
      `microbatch` is out of range.

  Example:
    The samples' gradients are 3 and 1; the first is clipped to 2.

    >>> loss_fn = lambda w, smashed, labels: jnp.mean(smashed[:, 0] * w)
    >>> smashed, labels = jnp.array([[3.0], [1.0]]), jnp.array([0, 1])
    >>> grad = server_update(
    ...   jax.random.key(0), loss_fn, jnp.array(1.0), smashed, labels,
    ...   clip_norm=2.0, noise_multiplier=0.0,
    ... )
    >>> print(f'{grad:.3f}')
    1.500
  """
  _check(clip_norm, noise_multiplier)
  if microbatch is not None and microbatch < 1:
    raise ValueError(f'microbatch must be at least 1, got {microbatch}.')
  raw = jax.grad(loss_fn)(params, smashed, labels)
  if not jax.tree.leaves(params):
    return raw

  batch = len(labels)
  total = _clipped_sum(
    loss_fn, params, smashed, labels, clip_norm, min(microbatch or batch, batch)
  )
  noise = optax.tree.random_like(key, total, jax.random.normal)
  deviation = _deviation(clip_norm, noise_multiplier)
  is_off = _is_off(clip_norm, noise_multiplier)
  noised = lambda r, t, n: ((t + deviation * n) / batch).astype(r.dtype)
  return jax.tree.map(
    lambda r, t, n: jnp.where(is_off, r, noised(r, t, n)), raw, total, noise
  )


def message(
  key: jax.Array,
  cut_grads: jax.Array,
  labels: jax.Array | None,
  *,
  clip_norm: jax.typing.ArrayLike,
  noise_multiplier: jax.typing.ArrayLike,
) -> jax.Array:
  """Clip the cut gradient of each sample, and add noise to it.

  Args:
    key: random key for the noise.
    cut_grads: d(mean loss)/d(smashed), `[B, ...]`. Each row is `1 / B` times
      the gradient of the sample's own loss.
    labels: not used.
    clip_norm: largest L2 norm of the gradient of a sample's own loss, positive;
      so it does not depend on the batch size. Infinity clips nothing; it is
      allowed only with a `noise_multiplier` of 0, and the gradients are then
      unchanged.
    noise_multiplier: standard deviation of the noise on every coordinate of the
      gradient of a sample's own loss, in units of `clip_norm`, at least 0.

  Returns:
    Cut gradients `[B, ...]` in the type of `cut_grads`; each row is again
    `1 / B` times the (clipped and noised) gradient of the sample's own loss.

  Raises:
    ValueError: at trace time, if `clip_norm` or `noise_multiplier` is out of
      range.

  Example:
    With two samples, rows of norm 3 and 1 are own gradients of norm 6 and 2.

    >>> cut_grads = jnp.array([[0.0, 3.0], [1.0, 0.0]])
    >>> off = dict(clip_norm=4.0, noise_multiplier=0.0)
    >>> message(jax.random.key(0), cut_grads, None, **off).tolist()
    [[0.0, 2.0], [1.0, 0.0]]
  """
  del labels
  _check(clip_norm, noise_multiplier)
  batch = cut_grads.shape[0]
  rows = cut_grads.astype(jnp.float32).reshape(batch, -1)
  # Squares of small or large gradients would leave float32.
  scale = jnp.maximum(jnp.max(jnp.abs(rows), axis=1, keepdims=True), _TINY)
  norms = jnp.linalg.norm(rows / scale, axis=1, keepdims=True)
  bound = clip_norm / batch / jnp.maximum(norms, 1)
  clipped = rows / scale * jnp.minimum(bound, scale)
  noise = jax.random.normal(key, rows.shape)
  deviation = _deviation(clip_norm, noise_multiplier)
  noised = clipped + deviation / batch * noise
  is_off = _is_off(clip_norm, noise_multiplier)
  return jnp.where(
    is_off, cut_grads, noised.reshape(cut_grads.shape).astype(cut_grads.dtype)
  )


def _clipped_sum(
  loss_fn: MeanLossFn,
  params: PyTree,
  smashed: jax.Array,
  labels: jax.Array,
  clip_norm: jax.typing.ArrayLike,
  microbatch: int,
) -> PyTree:
  """Return the sum of the clipped gradients of all samples, in float32."""
  batch = len(labels)

  def row_loss(params: PyTree, row: jax.Array) -> jax.Array:
    at = jnp.minimum(row, batch - 1)
    one = jax.tree.map(lambda x: x[at][None], (smashed, labels))
    loss = loss_fn(params, *one)
    return jnp.where(row < batch, loss, 0)  # The last microbatch is padded.

  def add(total: PyTree, rows: jax.Array) -> tuple[PyTree, None]:
    grads = jax.vmap(jax.grad(row_loss), (None, 0))(params, rows)
    grads = optax.tree.cast(grads, jnp.float32)
    # A product rounded to fewer bits would exceed the bound.
    with jax.default_matmul_precision('highest'):
      clipped, _ = optax.per_example_global_norm_clip(grads, clip_norm)
    return jax.tree.map(jnp.add, total, clipped), None

  zeros = optax.tree.zeros_like(params, dtype=jnp.float32)
  if microbatch == batch:
    return add(zeros, jnp.arange(batch))[0]
  num_steps = math.ceil(batch / microbatch)
  rows = jnp.arange(num_steps * microbatch).reshape(num_steps, microbatch)
  return jax.lax.scan(add, zeros, rows)[0]


def _deviation(
  clip_norm: jax.typing.ArrayLike, noise_multiplier: jax.typing.ArrayLike
) -> jax.Array:
  """Return the noise's standard deviation; 0 times an infinite norm is 0."""
  silent = jnp.asarray(noise_multiplier) <= 0
  # pyrefly: ignore[bad-return]
  return noise_multiplier * jnp.where(silent, 0, clip_norm)


def _is_off(
  clip_norm: jax.typing.ArrayLike, noise_multiplier: jax.typing.ArrayLike
) -> jax.Array:
  """Return whether nothing is clipped and no noise is added."""
  return (jnp.asarray(noise_multiplier) <= 0) & jnp.isposinf(clip_norm)


def _check(
  clip_norm: jax.typing.ArrayLike, noise_multiplier: jax.typing.ArrayLike
) -> None:
  """Raise ValueError for strengths that are not traced and out of range."""
  is_static = lambda x: isinstance(x, numbers.Real)
  # pyrefly: ignore[unsupported-operation]
  if is_static(clip_norm) and not clip_norm > 0:
    raise ValueError(f'clip_norm must be positive, got {clip_norm}.')
  if is_static(noise_multiplier):
    # pyrefly: ignore[unsupported-operation]
    if not 0 <= noise_multiplier < math.inf:
      raise ValueError(
        'noise_multiplier must be finite and at least 0, got '
        f'{noise_multiplier}.'
      )
    # pyrefly: ignore[bad-argument-type]
    is_unbounded = is_static(clip_norm) and math.isinf(clip_norm)
    # pyrefly: ignore[unsupported-operation]
    if noise_multiplier > 0 and is_unbounded:
      raise ValueError(
        f'clip_norm must be finite with noise, got {clip_norm} and '
        f'{noise_multiplier=}.'
      )
