"""Networks that an attacker owns: what they make of inputs, and their files."""

from collections.abc import Callable
import dataclasses
import functools
import json
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import common
from splitjax import data
from splitjax import files
from splitjax.models import networks
from splitjax.training import split

PyTree = Any
ApplyFn = Callable[[PyTree, jax.Array], jax.Array]

_CHUNK_SIZE = 256  # Inputs at a time.
_PLAN_FILE = 'extractor.json'
_VARIABLES = 'variables'


@dataclasses.dataclass(frozen=True)
class Plan:
  """All of an extractor but its numbers.

  Attributes:
    model: the architecture's name, the first layers of which it is.
    options: of the architecture's function.
    num_layers: how many of its layers.
    input_shape: of what it was trained on, without the batch.
    mean: of each channel, subtracted from inputs; empty for none.
    deviation: of each channel, by which inputs are then divided.
    source: what it was trained on, in words.
  """

  model: str
  options: dict[str, Any]
  num_layers: int
  input_shape: tuple[int, ...]
  mean: tuple[float, ...] = ()
  deviation: tuple[float, ...] = ()
  source: str = ''

  def split_model(self) -> split.SplitModel:
    """The architecture, cut after the extractor's last layer."""
    layers = networks.make_layers(self.model, self.options)
    return split.SplitModel(layers, (self.num_layers,))


@dataclasses.dataclass(frozen=True, eq=False)
class Extractor:
  """A network that makes features of inputs.

  Attributes:
    variables: parameters and state of its layers, tuples over layers.
    apply_fn: `(variables, inputs [B, ...]) -> features [B, ...]`.
  """

  variables: tuple[PyTree, PyTree]
  apply_fn: ApplyFn

  def extract(self, dataset: data.Dataset) -> dict[str, np.ndarray]:
    """The features `[N, D]` of a data set's two parts, by phase."""
    apply_fn = jax.jit(self.apply_fn)
    found = {}
    for phase, inputs in (
      ('training', dataset.train_inputs),
      ('inference', dataset.test_inputs),
    ):
      features = [
        np.asarray(apply_fn(self.variables, inputs[i : i + _CHUNK_SIZE]))
        for i in range(0, len(inputs), _CHUNK_SIZE)
      ]
      found[phase] = np.concatenate(features).reshape(len(inputs), -1)
    return found


@functools.lru_cache(maxsize=64)
def client_fn(model: split.SplitModel, cut: int) -> ApplyFn:
  """The client of a model that is cut at one of its cuts, trained or tuned.

  Args:
    model: the split model.
    cut: which of its cuts, from 0.

  Returns:
    The function of an `Extractor`. Batch statistics stay what they are.
  """
  return _trunk_fn(split.SplitModel(model.layers, (model.cuts[cut],)))


def _trunk_fn(model):
  """What a model's first part answers in evaluation mode."""

  def apply_fn(variables, inputs):
    params, state = variables
    return model.apply_part(0, params, jax.lax.stop_gradient(state), inputs)[0]

  return apply_fn


def pretrained(plan: Plan, variables: tuple[PyTree, PyTree]) -> Extractor:
  """An extractor that takes inputs of other colours and sizes, too.

  Grey images are given as many channels as it was trained on; what it makes of
  images is averaged over positions.

  Args:
    plan: what it is.
    variables: parameters and state of its layers.

  Returns:
    The extractor.
  """
  trunk_fn = _trunk_fn(plan.split_model())

  def apply_fn(variables, inputs):
    if inputs.ndim == 4 and inputs.shape[-1] == 1:
      inputs = jnp.repeat(inputs, plan.input_shape[-1], axis=-1)
    if plan.mean:
      shape = (1,) * (inputs.ndim - 1) + (-1,)
      inputs = inputs - jnp.reshape(jnp.array(plan.mean), shape)
      inputs = inputs / jnp.reshape(jnp.array(plan.deviation), shape)
    features = trunk_fn(variables, inputs)
    return jnp.mean(features, axis=(1, 2)) if features.ndim == 4 else features

  return Extractor(variables, apply_fn)


def save(
  folder: pathlib.Path, plan: Plan, variables: tuple[PyTree, PyTree]
) -> None:
  """Writes an extractor to a new folder, all of it or nothing.

  Args:
    folder: must not exist yet, or be empty.
    plan: what it is.
    variables: parameters and state of its layers.
  """
  from orbax import checkpoint  # Slow to import, and needed here alone.

  with files.creating_folder(folder) as scratch:
    with checkpoint.StandardCheckpointer() as checkpointer:
      checkpointer.save(scratch.absolute() / _VARIABLES, variables)
    text = json.dumps(dataclasses.asdict(plan), indent=2)
    (scratch / _PLAN_FILE).write_text(text + '\n')


def load(folder: pathlib.Path, dataset: data.Dataset) -> Extractor:
  """Reads an extractor that `experiments.pretrain` wrote.

  Args:
    folder: where it is.
    dataset: what it is to be used on.

  Returns:
    The extractor.

  Raises:
    common.FlagError: if there is none, or it does not fit the data set.
  """
  from orbax import checkpoint

  try:
    values = json.loads((folder / _PLAN_FILE).read_text())
  except FileNotFoundError as error:
    raise common.FlagError(
      'extractor', folder, 'client, or a folder that pretrain wrote'
    ) from error
  plan = Plan(
    **{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
  )
  example, shape = dataset.train_inputs[:1], dataset.train_inputs.shape[1:]
  if example.ndim == 4 and example.shape[-1] == 1:
    example = np.repeat(example, plan.input_shape[-1], axis=-1)
  trained = (len(plan.input_shape), plan.input_shape[-1])
  if trained != (example.ndim - 1, example.shape[-1]):
    raise common.FlagError(
      'extractor',
      folder,
      f'one for inputs of shape {shape}, not {plan.input_shape}',
    )
  model = plan.split_model()
  networks.check_inputs('extractor', str(folder), model, example)
  example = np.zeros((1, *plan.input_shape), example.dtype)
  params, state = jax.eval_shape(model.init, jax.random.key(0), example)
  with checkpoint.StandardCheckpointer() as checkpointer:
    variables = checkpointer.restore(
      folder.absolute() / _VARIABLES, (params[0], state[0])
    )
  return pretrained(plan, variables)
