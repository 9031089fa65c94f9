"""DP-SGD: each sample's gradient is clipped, and the sum is noised.

Abadi et al., "Deep learning with differential privacy" (2016,
https://arxiv.org/abs/1607.00133). It has two places in split learning:
`server_update` protects what the label party's weights tell, as the reference
of the attacks does, and leaves the cut gradient raw; `message` protects the cut
gradient itself. `accounting` has the epsilon of each.
"""

from collections.abc import Callable
import math
import numbers
from typing import Any

import jax
import jax.numpy as jnp
import optax

PyTree = Any
_TINY = 1e-30


def server_update(
  key: jax.Array,
  loss_fn: Callable[[PyTree, jax.Array, jax.Array], jax.Array],
  params: PyTree,
  smashed: jax.Array,
  labels: jax.Array,
  *,
  clip_norm: jax.typing.ArrayLike,
  noise_multiplier: jax.typing.ArrayLike,
  microbatch: int | None = None,
) -> PyTree:
  """The label party's own gradient, clipped by the sample and noised.

  The model must not mix the samples of a batch: with batch normalisation there
  is no gradient of one sample, so use group normalisation. Dropout in `loss_fn`
  drops the same for all samples.

  Args:
    key: the random key.
    loss_fn: `(params, smashed, labels) -> ` the mean loss of a batch, a scalar.
    params: the label party's parameters.
    smashed: `[B, ...]`.
    labels: classes `[B]`, or soft labels `[B, C]`.
    clip_norm: the largest L2 norm of a sample's gradient, over all parameters;
      infinity clips nothing, and is for `noise_multiplier` 0 alone.
    noise_multiplier: the noise's standard deviation in units of `clip_norm`, on
      every coordinate of the sum over the batch. With 0 and an infinite
      `clip_norm` the result is that of `jax.grad`.
    microbatch: how many samples' gradients are in memory at once, at least 1;
      all of them if None. It need not divide the batch.

  Returns:
    The gradient: the noised sum divided by `B`, in the types of `params`.

  Raises:
    ValueError: at trace time, if an argument is not as above.
  """
  _check(clip_norm, noise_multiplier)
  if microbatch is not None and microbatch < 1:
    raise ValueError(f'microbatch must be at least 1, got {microbatch}.')
  raw = jax.grad(loss_fn)(params, smashed, labels)
  if not jax.tree.leaves(params):
    return raw

  batch = smashed.shape[0]
  total = _clipped_sum(
    loss_fn, params, smashed, labels, clip_norm, min(microbatch or batch, batch)
  )
  noise = optax.tree.random_like(key, total, jax.random.normal)
  deviation = _deviation(clip_norm, noise_multiplier)
  is_off = _is_off(clip_norm, noise_multiplier)
  return jax.tree.map(
    lambda r, t, n: jnp.where(
      is_off, r, ((t + deviation * n) / batch).astype(r.dtype)
    ),
    raw,
    total,
    noise,
  )


def message(
  key: jax.Array,
  cut_grads: jax.Array,
  labels: jax.Array,
  *,
  clip_norm: jax.typing.ArrayLike,
  noise_multiplier: jax.typing.ArrayLike,
) -> jax.Array:
  """Clips and noises the cut gradient of each sample.

  Args:
    key: the random key.
    cut_grads: d(mean loss)/d(smashed), `[B, ...]`: row by row `1 / B` of the
      gradient of the sample's own loss.
    labels: not used.
    clip_norm: the largest L2 norm of a sample's own gradient: that of its row
      times `B`, so that it does not depend on the batch size. Infinity clips
      nothing, and is for `noise_multiplier` 0 alone, which is off.
    noise_multiplier: the standard deviation of the noise on every coordinate of
      a sample's own gradient, in units of `clip_norm`.

  Returns:
    Cut gradients `[B, ...]`, again `1 / B` of each sample's.

  Raises:
    ValueError: at trace time, if a strength is not as above.
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


def _clipped_sum(loss_fn, params, smashed, labels, clip_norm, microbatch):
  """The sum of the clipped gradients of all samples, in float32."""
  batch = smashed.shape[0]

  def row_loss(params, row):
    at = jnp.minimum(row, batch - 1)
    loss = loss_fn(params, smashed[at][None], labels[at][None])
    return jnp.where(row < batch, loss, 0)  # The last microbatch is padded.

  def add(total, rows):
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


def _deviation(clip_norm, noise_multiplier):
  """The noise of one sample's gradient; zero noise times infinity is zero."""
  silent = jnp.asarray(noise_multiplier) <= 0
  return noise_multiplier * jnp.where(silent, 0, clip_norm)


def _is_off(clip_norm, noise_multiplier):
  """Whether neither clips nor noises."""
  return (jnp.asarray(noise_multiplier) <= 0) & jnp.isposinf(clip_norm)


def _check(clip_norm, noise_multiplier):
  """Refuses static strengths that have no meaning."""
  is_static = lambda x: isinstance(x, numbers.Real)
  if is_static(clip_norm) and not clip_norm > 0:
    raise ValueError(f'clip_norm must be positive, got {clip_norm}.')
  if is_static(noise_multiplier):
    if not 0 <= noise_multiplier < math.inf:
      raise ValueError(
        'noise_multiplier must be finite and at least 0, got '
        f'{noise_multiplier}.'
      )
    is_unbounded = is_static(clip_norm) and math.isinf(clip_norm)
    if noise_multiplier > 0 and is_unbounded:
      raise ValueError(
        f'clip_norm must be finite with noise, got {clip_norm} and '
        f'{noise_multiplier=}.'
      )
