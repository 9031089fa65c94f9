"""What the recorder for PyTorch takes in a forward pass."""

from collections.abc import Sequence
import copy
import dataclasses
from typing import Any

import numpy as np
import torch

from splitjax.integrations import torch_tensors

NAMES = ('smashed', 'cut_grads', 'untrained_smashed', 'inputs')


@dataclasses.dataclass
class Batch:
  """A batch that was announced, and what is known of it so far.

  Attributes:
    sample_ids: ids of its rows.
    labels: the truth, or None.
    step: step at which it crosses in training.
    training: whether it is of training, None if the module says so.
    arrays: what crossed, by name.
    hook: the hook that waits for the gradient.
    done: whether the gradient came.
  """

  sample_ids: np.ndarray
  labels: np.ndarray | None
  step: int | None
  training: bool | None
  arrays: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
  hook: Any = None
  done: bool = False


class Capture:
  """Copies what a forward pass shows of the names that are recorded."""

  def __init__(self, names: Sequence[str], output_index: int | str) -> None:
    """Choose what to copy.

    Args:
      names: some of `NAMES`.
      output_index: which output crosses, where the module returns several.

    Raises:
      ValueError: if `names` is empty or holds something else.
    """
    if isinstance(names, str) or not names or set(names) - set(NAMES):
      raise ValueError(
        f'record must be some of {", ".join(NAMES)}, got {names!r}.'
      )
    self._names = frozenset(names)
    self._output_index = output_index
    self._untrained: torch.nn.Module | None = None

  def start(self, module: torch.nn.Module) -> None:
    """Keep a copy of the module as it is now, if its output is recorded."""
    if 'untrained_smashed' in self._names:
      self._untrained = copy.deepcopy(module).eval()

  def sent(self, output: Any) -> torch.Tensor:
    """Return the output that crosses the cut, or raise ValueError."""
    return torch_tensors.select(output, self._output_index)

  def arrays(
    self, args: tuple[Any, ...], kwargs: dict[str, Any], sent: torch.Tensor
  ) -> dict[str, np.ndarray]:
    """Copy what is recorded of a forward pass.

    Args:
      args: positional arguments of the module.
      kwargs: keyword arguments of the module.
      sent: its output that crosses.

    Returns:
      Arrays by name; gradients come later.
    """
    arrays = {}
    if 'smashed' in self._names:
      arrays['smashed'] = torch_tensors.to_numpy(sent)
    if 'inputs' in self._names:
      first = torch_tensors.to_numpy([*args, *kwargs.values()][0])
      floating = first.dtype.kind == 'f'
      arrays['inputs'] = first if floating else first.astype(np.float32)
    if self._untrained is not None:
      with torch.no_grad():
        untrained = self.sent(self._untrained(*args, **kwargs))
      arrays['untrained_smashed'] = torch_tensors.to_numpy(untrained)
    return arrays
