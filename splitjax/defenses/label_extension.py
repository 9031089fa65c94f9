"""Label extension: a real target becomes a vector with random extra entries.

Similar to random label extension (RLE) and model-based adaptive label extension
(MLE) of Qiu et al., "Defending label inference attacks in split learning under
regression setting" (https://arxiv.org/abs/2308.09448), against the attack of
Xie et al. (https://arxiv.org/abs/2301.07284). We had only the abstract. It says
that both extend labels so that gradients do not reveal the original label, and
that in MLE the extended label contains the original one, which dominates the
training. The rest is our choice: the extra entries are normal and drawn once,
the original label is the first entry in both, and `adaptive_loss` scales the
extra entries by the model's error. Results are therefore not those of the
paper's defenses.

The top model has `1 + K` outputs `z W + b`, so a cut gradient is a mixture of
`1 + K` directions, only one of which carries the label. An attacker who knows
the labels of more than `K` samples can find that direction by linear
regression.
"""

import numbers

import jax
import jax.numpy as jnp

from splitjax import losses


def extend(
  key: jax.Array,
  labels: jax.Array,
  *,
  num_extra: int,
  scale: jax.typing.ArrayLike = 1.0,
) -> jax.Array:
  """Append normal random entries to each label, as in RLE.

  To be called once, before training, and the result stored.

  Args:
    key: random key for the extra entries.
    labels: real targets, `[N]`.
    num_extra: number `K` of extra entries; at 0 nothing is hidden.
    scale: standard deviation of the extra entries, in units of the labels.

  Returns:
    Extended labels `[N, 1 + K]`, in the type of `labels`. The first column
    holds the labels themselves.

  Raises:
    ValueError: at trace time, if `labels` are not real numbers of shape `[N]`,
      or `num_extra` or `scale` is negative.

  Example:
    >>> labels = jnp.array([1.5, -2.0])
    >>> extended = extend(jax.random.key(0), labels, num_extra=3)
    >>> extended.shape, extended[:, 0].tolist()
    ((2, 4), [1.5, -2.0])
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
  loss_fn: losses.LossFn,
  outputs: jax.Array,
  smashed: jax.Array | None,
  labels: jax.Array,
  *,
  scale: jax.typing.ArrayLike,
) -> jax.Array:
  """Return the loss on extended labels that adapt to the model, as in MLE.

  Each extra entry is its random number times `scale` times the model's current
  absolute error on the original label. So the extra entries shrink as the model
  learns. With a scale below `1 / sqrt(K)` the original label dominates.

  Args:
    loss_fn: `(outputs, labels) -> losses [B]`, for several outputs.
    outputs: outputs of the top model, `[B, 1 + K]`.
    smashed: not used.
    labels: extended labels from `extend` with scale 1, `[B, 1 + K]`.
    scale: size of the extra entries relative to the error. At 0 they are 0.

  Returns:
    Losses `[B]`.

  Raises:
    ValueError: at trace time, if `scale` is negative.

  Example:
    The model's error on the first sample is 2, so its extra entry becomes
    `0.5 * 3 * 2 = 3`. The second sample has no error and no extra entry.

    >>> outputs, labels = jnp.zeros((2, 2)), jnp.array([[2.0, 3.0], [0.0, 3.0]])
    >>> adaptive_loss(
    ...   losses.squared_error, outputs, None, labels, scale=0.5
    ... ).tolist()
    [13.0, 0.0]
  """
  del smashed
  _check_scale(scale)
  original = labels[:, :1]
  error = jax.lax.stop_gradient(jnp.abs(outputs[:, :1] - original))
  extra = scale * labels[:, 1:] * error
  return loss_fn(outputs, jnp.concatenate([original, extra], axis=1))


def answers(outputs: jax.Array) -> jax.Array:
  """Keep only the output for the original label.

  Args:
    outputs: outputs of the top model, `[N, 1 + K]`.

  Returns:
    Predicted targets, `[N, 1]`.

  Example:
    >>> answers(jnp.array([[1.0, 7.0], [2.0, 8.0]])).tolist()
    [[1.0], [2.0]]
  """
  return outputs[:, :1]


def _check_scale(scale: jax.typing.ArrayLike) -> None:
  """Raise ValueError if a scale that is not traced is negative."""
  if isinstance(scale, numbers.Real) and not scale >= 0:
    raise ValueError(f'scale must be at least 0, got {scale}.')
