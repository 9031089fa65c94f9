"""What the recorder for PyTorch does with tensors."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

_EXACT = (torch.float16, torch.float32, torch.float64)


def on_gradient(
  sent: torch.Tensor, received_fn: Callable[[torch.Tensor], None]
) -> Any:
  """Call a function with the gradient that enters the module behind a tensor.

  Hooks of a tensor come before those of the node that made it, so that the
  node gets what other hooks, such as a defense, made of the gradient.

  Args:
    sent: tensor that a module returned.
    received_fn: is called with the gradient, once for each backward pass.

  Returns:
    The hook, which has `remove`.

  Example:
    >>> x = torch.ones(2, requires_grad=True)
    >>> y = 3 * x
    >>> hook = on_gradient(y, lambda grad: seen.append(grad.tolist()))
    >>> seen = []
    >>> y.backward(torch.tensor([1.0, 2.0]))
    >>> seen
    [[1.0, 2.0]]
  """
  node, number = sent.grad_fn, sent.output_nr
  if node is None:  # A leaf.
    return sent.register_hook(lambda grad: received_fn(grad))

  def before_node(grads: Sequence[torch.Tensor | None]) -> None:
    grad = grads[number]
    if grad is not None:
      received_fn(grad)

  return node.register_prehook(before_node)


def select(output: Any, index: int | str) -> torch.Tensor:
  """Return the output that crosses the cut.

  Args:
    output: what a module returned: a tensor, or several by index or name.
    index: which of several crosses.

  Returns:
    The tensor, `[n, ...]`.

  Raises:
    ValueError: if it is no such tensor.
  """
  sent = output if isinstance(output, torch.Tensor) else output[index]
  if not isinstance(sent, torch.Tensor) or sent.ndim < 2:
    raise ValueError(
      'the output that crosses must be a tensor [n, ...], got '
      f'{tuple(sent.shape) if isinstance(sent, torch.Tensor) else type(sent)}.'
    )
  return sent


def own(sent: torch.Tensor) -> torch.Tensor:
  """Return a tensor whose gradient can be waited for, copied if it must be.

  A view that is changed in place, as `torch.nn.ReLU(inplace=True)` does after
  `torch.nn.Flatten`, gets another node in the graph; the one that a hook waits
  at is never visited.

  Args:
    sent: tensor that a module returned.

  Returns:
    The tensor itself, or a copy of a view.

  Example:
    >>> x = torch.ones(2, 3, requires_grad=True)
    >>> own(x) is x, own(x.flatten()) is x
    (True, False)
  """
  is_view = sent.requires_grad and sent._base is not None
  return sent.clone() if is_view else sent


def to_numpy(value: Any) -> np.ndarray:
  """Return a copy in the memory of the host.

  Args:
    value: tensor of any device, or what NumPy makes an array of.

  Returns:
    The array; of floats that NumPy does not have, such as bfloat16, float32.

  Example:
    >>> to_numpy(torch.ones(2, dtype=torch.bfloat16)).dtype
    dtype('float32')
  """
  if not isinstance(value, torch.Tensor):
    return np.array(value)
  value = value.detach()
  if value.is_floating_point() and value.dtype not in _EXACT:
    value = value.float()
  return np.array(value.cpu().numpy())
