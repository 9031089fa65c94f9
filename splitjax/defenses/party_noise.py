r"""Noise for parties whose gradients tell more than those of others.

Similar to ANS of "Attackers Are Not the Same!" (TIFS 2025, public code): the
label party measures how well each party could group its gradients by class, and
adds Laplace noise for those that read more than the party that reads least. A
party of accuracy $a$ beside a least one of $a_{\min}$ gets noise if $a -
a_{\min}$ is more than .05 or $a > 2 a_{\min}$, of the scale $\|g\| / \epsilon$
with $\epsilon = b\, a_{\min} / a$ and the budget $b$, .05 there.

Our choices: accuracy is that of the nearest class mean, by the cosine, where no
sample counts for its own mean, in every batch; $\|g\|$ is the length of each
sample's gradient. So results are not those of the paper. The epsilon is no
differential privacy: the scale follows the gradient that it hides, and who gets
noise depends on the labels.

What the party that reads least reads is left as it is. Under a plain sum all
receive the same gradient, and none gets noise.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

_MARGIN = 0.05  # By more than this, or
_FACTOR = 2.0  # this many times, a party reads too much.


def noise(
  key: jax.Array,
  cut_grads: Sequence[jax.Array],
  labels: jax.Array,
  *,
  num_classes: int,
  budget: jax.typing.ArrayLike,
) -> tuple[jax.Array, ...]:
  """Add noise to the gradients of parties that tell too much.

  Args:
    key: random key of the noise.
    cut_grads: gradients of each party, `[B, ...]` each.
    labels: classes `[B]`, or soft labels `[B, C]`, of which the likeliest class
      counts.
    num_classes: number of classes, `C`.
    budget: inverse of the least scale of the noise, in lengths of a gradient;
      infinite for no noise.

  Returns:
    Gradients of each party, in their shapes and types.
  """
  if labels.ndim == 2:
    labels = jnp.argmax(labels, axis=1)
  vectors = [x.reshape(len(x), -1) for x in cut_grads]
  read = jnp.stack(
    [class_accuracy(x, labels, num_classes=num_classes) for x in vectors]
  )
  scales = noise_scales(read, budget)
  found = []
  for party, (grads, rows) in enumerate(zip(cut_grads, vectors, strict=True)):
    _, lengths = _units(rows)
    drawn = jax.random.laplace(jax.random.fold_in(key, party), rows.shape)
    noised = rows.astype(jnp.float32) + scales[party] * lengths * drawn
    noised = jnp.where(scales[party] > 0, noised.astype(rows.dtype), rows)
    found.append(noised.reshape(grads.shape))
  return tuple(found)


def noise_scales(read: jax.Array, budget: jax.typing.ArrayLike) -> jax.Array:
  """Return how much noise each party gets, in lengths of its gradients.

  Args:
    read: accuracy of each party, `[P]` in `[0, 1]`.
    budget: see `noise`.

  Returns:
    Scales of Laplace noise `[P]`; 0 for those that read little more than the
    one that reads least.

  Example:
    >>> noise_scales(jnp.array([0.5, 0.52, 1.0]), 0.05).tolist()
    [0.0, 0.0, 40.0]
  """
  least = jnp.min(read)
  too_much = (read - least > _MARGIN) | (read > _FACTOR * least)
  # One that reads nothing at all leaves no epsilon.
  ratio = read / jnp.maximum(least, 1e-3)
  return jnp.where(too_much, ratio / budget, 0)


def class_accuracy(
  vectors: jax.Array, labels: jax.Array, *, num_classes: int
) -> jax.Array:
  """Return how many samples lie nearest to their class's mean direction.

  Args:
    vectors: one for each sample, `[B, D]`.
    labels: classes, `[B]`.
    num_classes: number of classes, `C`.

  Returns:
    The share of samples whose vector has its largest cosine with the mean of
    its own class, which is taken without it; a scalar. A sample that is alone
    in its class is not found.
  """
  units, _ = _units(vectors)
  members = jax.nn.one_hot(labels, num_classes)  # [B, C]
  sums = members.T @ units  # [C, D]
  # The norm of a sum s without its member u is |s|^2 - 2 s u + |u|^2.
  cross = units @ sums.T  # [B, C]
  own = jnp.sum(units**2, axis=1, keepdims=True)
  dots = cross - members * own
  squares = jnp.sum(sums**2, axis=1)[None] - members * (2 * cross - own)
  norms = jnp.sqrt(jnp.maximum(squares, 0))
  cosines = jnp.where(norms > 1e-3, dots / jnp.maximum(norms, 1e-3), -2)
  right = jnp.argmax(cosines, axis=1) == labels
  alone = jnp.sum(members, axis=0)[labels] < 2
  return jnp.mean(right & ~alone)


def _units(vectors: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Return rows scaled to length 1, and their lengths `[B, 1]`, in float32."""
  vectors = vectors.astype(jnp.float32)
  # The squares of small gradients would underflow.
  peaks = jnp.max(jnp.abs(vectors), axis=1, keepdims=True)
  scaled = vectors / jnp.where(peaks > 0, peaks, 1)
  lengths = jnp.linalg.norm(scaled, axis=1, keepdims=True)
  return scaled / jnp.where(lengths > 0, lengths, 1), peaks * lengths
