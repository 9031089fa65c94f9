"""A label party's part with a second top that alone sends gradients back."""

from flax import linen as nn
import jax
import jax.numpy as jnp

from splitjax.models import layering


class SecondTop(nn.Module):
  """Two copies of the last layers of a network, and centres before them.

  The first copy learns from what crosses the cut, and sends no gradient back.
  The second copy has parameters of its own, and its gradients are what the
  other parties receive. Whatever the first copy is trained on, they do not
  depend on it.

  Attributes:
    layers: layers of the label party, the last of which has one output a class.
    num_centres: number of centres.
  """

  layers: tuple[layering.Layer, ...]
  num_centres: int

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    """Run both copies.

    Args:
      x: what crosses the cut, `[B, ...]`.
      train: whether the layers are in training mode.

    Returns:
      The first copy's outputs, the second's and the squared distances to the
      centres, side by side, `[B, 2 * outputs + num_centres]`.
    """
    first = self._run('first', jax.lax.stop_gradient(x), train)
    second = self._run('second', x, train)
    flat = x.reshape(len(x), -1)
    centres = self.param(
      'centres',
      nn.initializers.normal(1.0),
      (self.num_centres, flat.shape[1]),
    )
    distances = jnp.sum(flat**2, axis=1, keepdims=True)
    distances -= 2 * flat @ centres.T
    distances += jnp.sum(centres**2, axis=1)[None]
    parts = (first, second, distances.astype(first.dtype))
    return jnp.concatenate(parts, axis=1)

  def _run(self, name: str, x: jax.Array, train: bool) -> jax.Array:
    """Run a copy of the layers under a name of its own."""
    for index, layer in enumerate(self.layers):
      if isinstance(layer, nn.Module):
        copy = layer.clone(parent=self, name=f'{name}_{index}')
        x = copy(x, **layering.mode(layer, train))
      else:
        x = layer(x)
    return x
