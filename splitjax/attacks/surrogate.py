"""What gradient matching attacks share: a top model that the attacker makes up.

The surrogate is a stack of linear layers without activation, as the heads of
Liu et al. (https://arxiv.org/abs/2203.05222) are. Such a stack is one linear
map `z = h K + b`, so the gradient of a sample's loss at the cut is exactly
`(dl/dz) K^T`; no second pass of differentiation is needed for it.

The attacker received gradients of a batch's mean loss, 1/B of those of each
sample's own loss, and a loss may be weighted. So no attack here depends on the
scale: where labels are hard it compares directions sample by sample, where they
are fitted and may be soft, or real numbers, all lengths relative to the batch.
"""

from collections.abc import Callable, Sequence
import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax

from splitjax.attacks import _validate
from splitjax.attacks import similarity

_TINY = 1e-24

Layers = tuple[tuple[jax.Array, jax.Array], ...]


def init_top(
  key: jax.Array, width: int, num_outputs: int, hidden_sizes: Sequence[int]
) -> Layers:
  """Draws kernels of variance 1 / fan-in, and biases 0, of a linear stack."""
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
  """Kernel `[D, O]` and bias `[O]` of the one linear map that layers make."""
  (kernel, bias), *rest = layers
  for next_kernel, next_bias in rest:
    kernel, bias = kernel @ next_kernel, bias @ next_kernel + next_bias
  return kernel, bias


def apply_top(layers: Layers, smashed: jax.Array) -> jax.Array:
  """The outputs `[B, O]` of a top model for smashed data `[B, D]`."""
  kernel, bias = collapse(layers)
  return smashed @ kernel + bias[None]


def surrogate_grads(
  layers: Layers,
  smashed: jax.Array,
  targets: jax.Array,
  loss_fn: Callable[[jax.Array, jax.Array], jax.Array],
) -> jax.Array:
  """The gradient of each sample's own loss at the cut, `[B, D]`.

  `loss_fn` makes losses `[B]` of outputs `[B, O]` and targets `[B, ...]`.
  """
  kernel, bias = collapse(layers)
  total = lambda outputs: jnp.sum(loss_fn(outputs, targets))
  return jax.grad(total)(smashed @ kernel + bias[None]) @ kernel.T


def mismatch(grads: jax.Array, units: jax.Array) -> jax.Array:
  """Squared distance of directions `[B]`: `2 - 2 cos` where none is zero.

  `units` `[B, D]` are what was received, of length 1 or 0.
  """
  # Unlike `unit_normalize`, finite in its derivatives at zero rows.
  squares = jnp.sum(grads**2, axis=1, keepdims=True)
  directions = grads * jax.lax.rsqrt(jnp.maximum(squares, _TINY))
  return jnp.sum((directions - units) ** 2, axis=1)


def relative_mismatch(grads: jax.Array, received: jax.Array) -> jax.Array:
  """Squared distances `[B]` in units of each batch's root mean square norm.

  For labels that are fitted and may be soft: a label half way to the right one
  has the right direction already, and only lengths within the batch tell.
  """
  wanted = received / _rms_norm(received)
  return jnp.sum((grads / _rms_norm(grads) - wanted) ** 2, axis=1)


def _rms_norm(vectors):
  squares = jnp.mean(jnp.sum(vectors**2, axis=1))
  return jnp.sqrt(jnp.maximum(squares, _TINY))


def class_mismatch(
  layers: Layers, smashed: jax.Array, units: jax.Array
) -> jax.Array:
  """The mismatch that each class as label would have, `[B, C]`.

  Under cross-entropy. Inner products and norms come from products with the
  kernel, so that no `[B, C, D]` is made.
  """
  kernel, bias = collapse(layers)
  probabilities = jax.nn.softmax(smashed @ kernel + bias[None])
  # d(loss)/d(logits) of row b, were its label y: [B, y, C].
  residuals = probabilities[:, None] - jnp.eye(len(bias))[None]
  dots = jnp.einsum('byc,bc->by', residuals, units @ kernel)
  squares = jnp.sum((residuals @ (kernel.T @ kernel)) * residuals, axis=2)
  cosines = dots * jax.lax.rsqrt(jnp.maximum(squares, _TINY))
  lengths = jnp.sum(units**2, axis=1)
  return 1 + lengths[:, None] - 2 * cosines


def class_mismatches(
  layers: Layers, smashed: jax.Array, units: jax.Array
) -> jax.Array:
  """`class_mismatch` of many rows, 256 at a time, `[N, C]`."""
  one = lambda row: class_mismatch(layers, row[0][None], row[1][None])[0]
  return jax.lax.map(one, (smashed, units), batch_size=256)


def standardize(
  smashed: jax.Array, aux_smashed: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Centres smashed data and scales all by one number, in float32.

  What the top's first layer can undo, and gradients keep their directions.
  `smashed` `[N, D]` sets centre and scale of both.
  """
  smashed, aux_smashed = (x.astype(jnp.float32) for x in (smashed, aux_smashed))
  centre = jnp.mean(smashed, axis=0)[None]
  centred = smashed - centre
  largest = jnp.max(jnp.abs(centred))
  largest = jnp.where(largest > 0, largest, 1)  # Else squares underflow.
  scale = jnp.sqrt(jnp.mean((centred / largest) ** 2)) * largest
  scale = jnp.where(scale > 0, scale, 1)
  return centred / scale, (aux_smashed - centre) / scale


def fit(
  key: jax.Array,
  top: Any,
  labels: jax.Array,
  loss_fn: Callable[..., jax.Array],
  *,
  num_epochs: int,
  batch_size: int,
  learning_rate: float,
  label_learning_rate: float = 0.0,
) -> tuple[Any, jax.Array, jax.Array]:
  """Minimises a loss over a top model and over what each sample has, by Adam.

  A sample's row has an optimizer of its own: it moves only in the one step of
  an epoch that it is in, however many batches there are. The last batch of an
  epoch is filled up with samples of the first.

  Args:
    key: of the shuffles, and of what `loss_fn` draws.
    top: parameters that all samples share.
    labels: parameters of each sample, `[N, ...]`; `[N, 0]` for none.
    loss_fn: `(key, progress, top, labels [B, ...], rows [B])`, the share of
      epochs done in [0, 1) and what else it needs, to the batch's mean loss.
    num_epochs: `T`.
    batch_size: `B`, at most; batches are made even.
    learning_rate: of `top`.
    label_learning_rate: of `labels`.

  Returns:
    Both fitted, and the mean loss of each epoch `[T]`.
  """
  num = len(labels)
  num_batches = -(-num // batch_size)
  even_size = -(-num // num_batches)
  top_optimizer = optax.adam(learning_rate)
  label_optimizer = optax.adam(label_learning_rate)

  def step(progress, state, inputs):
    top, top_state, labels, label_state = state
    key_step, rows = inputs
    own, own_state = jax.tree.map(lambda x: x[rows], (labels, label_state))
    loss, (top_grads, own_grads) = jax.value_and_grad(loss_fn, (2, 3))(
      key_step, progress, top, own, rows
    )
    updates, top_state = top_optimizer.update(top_grads, top_state)
    top = optax.apply_updates(top, updates)
    updates, own_state = jax.vmap(label_optimizer.update)(
      own_grads * even_size, own_state
    )
    own = optax.apply_updates(own, updates)
    labels, label_state = jax.tree.map(
      lambda x, new: x.at[rows].set(new),
      (labels, label_state),
      (own, own_state),
    )
    return (top, top_state, labels, label_state), loss

  def epoch(state, inputs):
    key_epoch, progress = inputs
    key_order, key_steps = jax.random.split(key_epoch)
    order = jax.random.permutation(key_order, num)
    order = jnp.resize(order, (num_batches, even_size))
    keys = jax.random.split(key_steps, num_batches)
    one_step = functools.partial(step, progress)
    state, losses = jax.lax.scan(one_step, state, (keys, order))
    return state, jnp.mean(losses)

  label_state = jax.vmap(label_optimizer.init)(labels)
  state = (top, top_optimizer.init(top), labels, label_state)
  keys = jax.random.split(key, num_epochs)
  state, losses = jax.lax.scan(
    epoch, state, (keys, jnp.arange(num_epochs) / num_epochs)
  )
  return state[0], state[2], losses


def best_run(runs: Any, losses: jax.Array) -> Any:
  """The run `[R, ...]` that ended with the least loss `[R, T]`; no truth."""
  best = jnp.argmin(losses[:, -1])
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
  """Checks what all attacks of this kind take; `aux` is both or none."""
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
  """Received gradients as directions, in float32."""
  return similarity.unit_normalize(cut_grads.astype(jnp.float32))


def rescale(
  cut_grads: jax.Array, aux_cut_grads: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Both in float32, divided by their largest entry: squares stay finite."""
  both = [x.astype(jnp.float32) for x in (cut_grads, aux_cut_grads)]
  largest = jnp.max(jnp.abs(jnp.concatenate(both)))
  largest = jnp.where(largest > 0, largest, 1)
  return both[0] / largest, both[1] / largest
