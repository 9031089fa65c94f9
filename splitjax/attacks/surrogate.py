"""What gradient matching attacks share: a top model that the attacker makes up.

The surrogate is a stack of linear layers without activation, as the heads of
Liu et al. (https://arxiv.org/abs/2203.05222) are. Such a stack is one linear
map `z = h K + b`, so the gradient of a sample's loss at the cut is exactly
`(dl/dz) K^T`; no second pass of differentiation is needed for it.

The attacker received gradients of a batch's mean loss, 1/B of those of each
sample's own loss, and a loss may be weighted. So no attack here depends on the
scale of gradients. Where labels are hard, directions are compared, sample by
sample. Where labels are fitted and may be soft, or are real numbers, lengths
relative to the batch are compared too.

In shape descriptions `N` is the number of samples, `B` that of a batch, `D` the
width of the cut, `O` the number of outputs and `C` that of classes.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from splitjax.attacks import _validate
from splitjax.attacks import similarity

_TINY = 1e-24

Layers = tuple[tuple[jax.Array, jax.Array], ...]
# The arguments of these attacks that JAX compiles anew for.
STATIC = ('num_classes', 'hidden_sizes', 'num_epochs', 'batch_size')


def init_top(
  key: jax.Array, width: int, num_outputs: int, hidden_sizes: Sequence[int]
) -> Layers:
  """Draw kernels of variance 1 / fan-in, and biases 0, of a linear stack."""
  sizes = (width, *hidden_sizes, num_outputs)
  draw = jax.nn.initializers.lecun_normal()
  keys = jax.random.split(key, len(sizes) - 1)
  return tuple(
    (draw(key_layer, (rows, columns)), jnp.zeros(columns))
    for key_layer, rows, columns in zip(
      keys, sizes[:-1], sizes[1:], strict=True
    )
  )


def collapse(layers: Layers) -> tuple[jax.Array, jax.Array]:
  """Return kernel `[D, O]` and bias `[O]` of the linear map of all layers."""
  (kernel, bias), *rest = layers
  for next_kernel, next_bias in rest:
    kernel, bias = kernel @ next_kernel, bias @ next_kernel + next_bias
  return kernel, bias


def apply_top(layers: Layers, smashed: jax.Array) -> jax.Array:
  """Return the outputs `[B, O]` of a top model for smashed data `[B, D]`."""
  kernel, bias = collapse(layers)
  return smashed @ kernel + bias[None]


def surrogate_grads(
  layers: Layers,
  smashed: jax.Array,
  targets: jax.Array,
  loss_fn: Callable[[jax.Array, jax.Array], jax.Array],
) -> jax.Array:
  """Return the gradient of each sample's own loss at the cut, `[B, D]`.

  Args:
    layers: layers of the surrogate.
    smashed: smashed data, `[B, D]`.
    targets: labels or real targets, `[B, ...]`.
    loss_fn: function from outputs `[B, O]` and targets to losses `[B]`.

  Returns:
    The gradients, `[B, D]`.
  """
  kernel, bias = collapse(layers)
  total = lambda outputs: jnp.sum(loss_fn(outputs, targets))
  return jax.grad(total)(smashed @ kernel + bias[None]) @ kernel.T


def mismatch(grads: jax.Array, units: jax.Array) -> jax.Array:
  """Return squared distances of directions, `2 - 2 cos` where none is zero.

  Args:
    grads: gradients of the surrogate, `[B, D]`.
    units: received gradients, scaled to length 1 or zero, `[B, D]`.

  Returns:
    Squared distances `[B]`.
  """
  # Unlike `unit_normalize`, finite in its derivatives at zero rows.
  squares = jnp.sum(grads**2, axis=1, keepdims=True)
  directions = grads * jax.lax.rsqrt(jnp.maximum(squares, _TINY))
  return jnp.sum((directions - units) ** 2, axis=1)


def relative_mismatch(grads: jax.Array, received: jax.Array) -> jax.Array:
  """Return squared distances in units of each batch's root mean square norm.

  It is for labels that are fitted and may be soft. A label half way to the
  right one has the right direction already; only its length within the batch
  tells the two apart.

  Args:
    grads: gradients of the surrogate, `[B, D]`.
    received: received gradients, `[B, D]`.

  Returns:
    Squared distances `[B]`.
  """
  wanted = received / _rms_norm(received)
  return jnp.sum((grads / _rms_norm(grads) - wanted) ** 2, axis=1)


def _rms_norm(vectors: jax.Array) -> jax.Array:
  """Return the root mean square of the norms, a scalar above 0."""
  squares = jnp.mean(jnp.sum(vectors**2, axis=1))
  return jnp.sqrt(jnp.maximum(squares, _TINY))


def label_directions(
  layers: Layers, smashed: jax.Array, labels: jax.Array
) -> jax.Array:
  """Return vectors along the gradients of the cross-entropy at the cut.

  The gradient of label `y` is `1 - p_y` times that of the probabilities given
  that the class is another, less `e_y`. Without that factor nothing cancels
  where the model is certain.

  Args:
    layers: layers of the surrogate, with as many outputs as classes.
    smashed: smashed data, `[B, D]`.
    labels: labels, `[B]`.

  Returns:
    Vectors of the gradients' directions, `[B, D]`.
  """
  kernel, bias = collapse(layers)
  own = jax.nn.one_hot(labels, len(bias), dtype=bool)
  return _residuals(smashed @ kernel + bias[None], own) @ kernel.T


def _residuals(logits: jax.Array, own: jax.Array) -> jax.Array:
  """Return probabilities given another class than the own, less the own."""
  others = jax.nn.softmax(jnp.where(own, -jnp.inf, logits))
  return others - own


def class_mismatch(
  layers: Layers, smashed: jax.Array, units: jax.Array
) -> jax.Array:
  """Return the `mismatch` that each class would have as label, `[B, C]`.

  The loss is the cross-entropy. Inner products and norms come from products
  with the kernel, so that no `[B, C, D]` is made.

  Args:
    layers: layers of the surrogate, with as many outputs as classes.
    smashed: smashed data, `[B, D]`.
    units: received gradients, scaled to length 1 or zero, `[B, D]`.

  Returns:
    Squared distances `[B, C]`.
  """
  kernel, bias = collapse(layers)
  logits = smashed @ kernel + bias[None]
  # Along d(loss)/d(logits) of row b, were its label y: [B, y, C].
  residuals = _residuals(logits[:, None], jnp.eye(len(bias), dtype=bool)[None])
  dots = jnp.einsum('byc,bc->by', residuals, units @ kernel)
  squares = jnp.sum((residuals @ (kernel.T @ kernel)) * residuals, axis=2)
  cosines = dots * jax.lax.rsqrt(jnp.maximum(squares, _TINY))
  lengths = jnp.sum(units**2, axis=1)
  return 1 + lengths[:, None] - 2 * cosines


def class_mismatches(
  layers: Layers, smashed: jax.Array, units: jax.Array
) -> jax.Array:
  """Compute `class_mismatch` of many rows, some at a time, `[N, C]`."""
  num_classes = len(collapse(layers)[1])
  size = max(min(256, 2**24 // num_classes**2), 1)
  one = lambda row: class_mismatch(layers, row[0][None], row[1][None])[0]
  return jax.lax.map(one, (smashed, units), batch_size=size)


def standardize(
  smashed: jax.Array, aux_smashed: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Centre smashed data and scale all of it by one number, in float32.

  The first layer of a top model can undo this, and the gradients keep their
  directions.

  Args:
    smashed: smashed data that set centre and scale, `[N, D]`.
    aux_smashed: smashed data of the auxiliary samples, `[A, D]`.

  Returns:
    Both, shifted and scaled by the same numbers.
  """
  smashed, aux_smashed = (x.astype(jnp.float32) for x in (smashed, aux_smashed))
  centre = jnp.mean(smashed, axis=0)[None]
  centre = centre + jnp.mean(smashed - centre, axis=0)[None]
  centred = smashed - centre
  largest = similarity.largest_entry(centred)  # Else squares underflow.
  scale = jnp.sqrt(jnp.mean((centred / largest) ** 2)) * largest
  scale = jnp.where(scale > 0, scale, 1)
  return centred / scale, (aux_smashed - centre) / scale


def best_of_restarts(
  key: jax.Array, run_fn: Callable[[jax.Array], Any], num_restarts: int
) -> Any:
  """Run a fit from several keys, and take the run that ended with least loss.

  Args:
    key: random key that the keys of the runs are made of.
    run_fn: function from a key to a tuple whose last item is the mean losses of
      the epochs, `[T]`.
    num_restarts: number of runs.

  Returns:
    What the best run returned. The truth plays no part in the choice.
  """
  runs = jax.vmap(run_fn)(jax.random.split(key, num_restarts))
  best = jnp.argmin(runs[-1][:, -1])
  return jax.tree.map(lambda x: x[best], runs)


def check(
  smashed: jax.Array,
  cut_grads: jax.Array,
  hidden_sizes: Sequence[int],
  *,
  num_epochs: int,
  batch_size: int,
  **aux: jax.Array,
) -> None:
  """Check the arguments that all attacks of this kind take.

  Args:
    smashed: smashed data, `[N, D]`.
    cut_grads: cut gradients received for them, `[N, D]`.
    hidden_sizes: widths of the linear layers inside the surrogate.
    num_epochs: number of passes over the record.
    batch_size: number of samples of a step.
    **aux: `aux_smashed` and `aux_cut_grads`, `[A, D]`, or neither.

  Raises:
    ValueError: if a shape, type or number is not as above.
  """
  _validate.matrices(smashed=smashed, cut_grads=cut_grads, **aux)
  shapes = {'cut_grads': (cut_grads, smashed)}
  if aux:
    shapes['aux_cut_grads'] = (aux['aux_cut_grads'], aux['aux_smashed'])
  for name, (grads, sent) in shapes.items():
    if len(grads) != len(sent) or not len(sent):
      raise ValueError(
        f'{name} must have one row for each of smashed data and at least one, '
        f'got {len(grads)} for {len(sent)}.'
      )
  for size in hidden_sizes:
    _validate.count('hidden_sizes', size)
  _validate.count('num_epochs', num_epochs)
  _validate.count('batch_size', batch_size)


def units_of(cut_grads: jax.Array) -> jax.Array:
  """Scale received gradients to length 1, in float32."""
  return similarity.unit_normalize(cut_grads.astype(jnp.float32))


def rescale(
  cut_grads: jax.Array, aux_cut_grads: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Divide both by their largest entry, in float32: squares stay finite."""
  both = [x.astype(jnp.float32) for x in (cut_grads, aux_cut_grads)]
  largest = similarity.largest_entry(jnp.concatenate(both))
  return both[0] / largest, both[1] / largest
