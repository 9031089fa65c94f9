"""Label extension: a scalar label becomes a vector, and its gradient a mixture.

Like random label extension (RLE) and model-based adaptive label extension (MLE)
of Qiu et al., "Defending label inference attacks in split learning under
regression setting" (https://arxiv.org/abs/2308.09448), against the attack of
Xie et al. (https://arxiv.org/abs/2301.07284). Only the abstract was at hand. It
says that both extend labels so that gradients do not tell the original one, and
that in MLE the original label is kept in the extended one and dominates the
training. All else is ours: that the entries are normal and drawn once, that the
label is the first entry in both, and where the entries of the second come from.
Figures are therefore not those of the paper's defenses.

The top model has `1 + K` outputs `z W + b`, so that a cut gradient is a mixture
of `1 + K` directions, of which the label is in one. Who knows the labels of
more than `K` samples can solve for that one by linear regression.
"""

import numbers

import jax
import jax.numpy as jnp

from splitjax.training import split


def extend(
  key: jax.Array,
  labels: jax.Array,
  *,
  num_extra: int,
  scale: jax.typing.ArrayLike = 1.0,
) -> jax.Array:
  """Adds normal random entries to each label, as RLE; once, before training.

  Args:
    key: the random key.
    labels: real numbers, `[N]`.
    num_extra: `K`, how many entries; at 0 there is nothing to hide behind.
    scale: their standard deviation, in units of the labels.

  Returns:
    Extended labels `[N, 1 + K]`, in the type of `labels`, the label first.

  Raises:
    ValueError: at trace time, if an argument is not as above.
  """
  if labels.ndim != 1 or not jnp.issubdtype(labels.dtype, jnp.floating):
    raise ValueError(
      f'labels must be floating of shape [N], got {labels.dtype} of '
      f'{labels.shape}.'
    )
  if num_extra < 0:
    raise ValueError(f'num_extra must be at least 0, got {num_extra}.')
  _check_scale(scale)
  extra = scale * jax.random.normal(key, (len(labels), num_extra))
  return jnp.concatenate([labels[:, None], extra.astype(labels.dtype)], axis=1)


def adaptive_loss(
  loss_fn: split.LossFn,
  outputs: jax.Array,
  smashed: jax.Array,
  labels: jax.Array,
  *,
  scale: jax.typing.ArrayLike,
) -> jax.Array:
  """The loss on extended labels that adapt to the model, as MLE.

  An entry is its random number times the error that the model makes now on the
  original label. So the entries are as large as that error, times `scale`, and
  fade as it does: below `1 / sqrt(K)` the original label dominates.

  Args:
    loss_fn: `(outputs, labels) -> losses [B]`, of several outputs.
    outputs: of the top model, `[B, 1 + K]`.
    smashed: not used.
    labels: from `extend` with scale 1, `[B, 1 + K]`.
    scale: of the extra entries, in units of the error; at 0 they are 0.

  Returns:
    Losses `[B]`.

  Raises:
    ValueError: at trace time, if the scale is negative.
  """
  del smashed
  _check_scale(scale)
  original = labels[:, :1]
  error = jax.lax.stop_gradient(jnp.abs(outputs[:, :1] - original))
  extra = scale * labels[:, 1:] * error
  return loss_fn(outputs, jnp.concatenate([original, extra], axis=1))


def answers(outputs: jax.Array) -> jax.Array:
  """The output for the original label, `[N, 1 + K] -> [N, 1]`."""
  return outputs[:, :1]


def _check_scale(scale):
  if isinstance(scale, numbers.Real) and not scale >= 0:
    raise ValueError(f'scale must be at least 0, got {scale}.')
