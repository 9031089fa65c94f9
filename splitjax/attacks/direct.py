"""The direct attack: where logits cross the cut, the gradient names the class.

Of Fu et al. (USENIX Security 2022). The gradient of softmax cross-entropy with
respect to the logits is `softmax - onehot`: only the entry of the label is
negative. The attack is passive and needs no known sample, but a cut after the
last layer with weights, where the label party only adds up and compares.
"""

import jax
import jax.numpy as jnp

from splitjax.attacks import _kernel
from splitjax.attacks import _validate


@_kernel.jit
def direct_labels(cut_grads: jax.Array) -> jax.Array:
  """Take the class whose entry of the gradient is smallest.

  Args:
    cut_grads: gradients of the logits, `[N, C]`.

  Returns:
    Labels `[N]`; 0 for a zero gradient, which says nothing.

  Raises:
    ValueError: at trace time, if the shape or type is not as above.

  Example:
    >>> direct_labels(jnp.array([[0.2, -0.7, 0.5], [-0.1, 0.0, 0.1]])).tolist()
    [1, 0]
  """
  _validate.matrices(cut_grads=cut_grads)
  return jnp.argmin(cut_grads, axis=1)
