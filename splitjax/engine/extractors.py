"""Networks that an attacker owns: what they make of inputs, and their files."""

from collections.abc import Callable
import dataclasses
import functools
import json
import math
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from splitjax import files
from splitjax.data.dataset import Dataset
from splitjax.engine.fitting import check_inputs
from splitjax.errors import ConfigError
from splitjax.models import catalog as models
from splitjax.records.intermediates import Phase
from splitjax.training.split import SplitModel

PyTree = Any
ApplyFn = Callable[[PyTree, jax.Array], jax.Array]

_CHUNK_SIZE = 256  # Inputs at a time.
_PLAN_FILE = 'extractor.json'
_VARIABLES = 'variables'


@dataclasses.dataclass(frozen=True)
class ExtractorPlan:
  """All of an extractor but its parameters.

  Attributes:
    model: name of the architecture, the first layers of which it is.
    options: keyword arguments of the architecture's function.
    num_layers: how many of its layers.
    input_shape: shape of what it was trained on, without the batch.
    mean: mean of each channel, subtracted from inputs; empty for none.
    deviation: deviation of each channel, by which inputs are then divided.
    source: what it was trained on, in words.
  """

  model: str
  options: dict[str, Any]
  num_layers: int
  input_shape: tuple[int, ...]
  mean: tuple[float, ...] = ()
  deviation: tuple[float, ...] = ()
  source: str = ''

  def split_model(self) -> SplitModel:
    """Return the architecture, cut after the extractor's last layer."""
    layers = models.make_layers(self.model, self.options)
    return SplitModel(layers, (self.num_layers,))


@dataclasses.dataclass(frozen=True, eq=False)
class Extractor:
  """A network that makes features of inputs.

  Attributes:
    variables: parameters and state of its layers, tuples over layers.
    apply_fn: `(variables, inputs [B, ...]) -> features [B, ...]`.
  """

  variables: tuple[PyTree, PyTree]
  apply_fn: ApplyFn

  def extract(self, dataset: Dataset) -> dict[str, np.ndarray]:
    """Return the features `[N, D]` of a data set's two parts, by phase."""
    apply_fn = jax.jit(self.apply_fn)
    found = {}
    for phase, inputs in (
      (Phase.TRAINING, dataset.train_inputs),
      (Phase.INFERENCE, dataset.test_inputs),
    ):
      features = [
        np.asarray(apply_fn(self.variables, inputs[i : i + _CHUNK_SIZE]))
        for i in range(0, len(inputs), _CHUNK_SIZE)
      ]
      found[phase.value] = np.concatenate(features).reshape(len(inputs), -1)
    return found


@functools.lru_cache(maxsize=64)
def client_fn(model: SplitModel, cut: int) -> ApplyFn:
  """Return the client of a model that is cut at one of its cuts.

  Args:
    model: the split model.
    cut: index of the cut, from 0.

  Returns:
    A function for `Extractor`. Batch statistics stay what they are.
  """
  return _trunk_fn(SplitModel(model.layers, (model.cuts[cut],)))


def _trunk_fn(model: SplitModel) -> ApplyFn:
  """Return a model's first part in evaluation mode."""

  def apply_fn(variables: PyTree, inputs: jax.Array) -> jax.Array:
    params, state = variables
    return model.apply_part(0, params, jax.lax.stop_gradient(state), inputs)[0]

  return apply_fn


def pretrained(
  plan: ExtractorPlan, variables: tuple[PyTree, PyTree]
) -> Extractor:
  """Return an extractor that takes inputs of other colours and sizes, too.

  Grey images are given as many channels as it was trained on; what it makes of
  images is averaged over positions.

  Args:
    plan: what it is.
    variables: parameters and state of its layers.

  Returns:
    The extractor.
  """
  trunk_fn = _trunk_fn(plan.split_model())

  def apply_fn(variables: PyTree, inputs: jax.Array) -> jax.Array:
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
  folder: pathlib.Path, plan: ExtractorPlan, variables: tuple[PyTree, PyTree]
) -> None:
  """Write an extractor to a new folder, all of it or nothing.

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


def load(folder: pathlib.Path, dataset: Dataset) -> Extractor:
  """Read an extractor that `save` wrote.

  Args:
    folder: where it is.
    dataset: the data set it is to be used on.

  Returns:
    The extractor.

  Raises:
    ConfigError: if there is none, or it does not fit the data set.
  """
  plan = _read_plan(folder)
  example, shape = dataset.train_inputs[:1], dataset.train_inputs.shape[1:]
  if example.ndim == 4 and example.shape[-1] == 1:
    example = np.repeat(example, plan.input_shape[-1], axis=-1)
  trained = (len(plan.input_shape), plan.input_shape[-1])
  if trained != (example.ndim - 1, example.shape[-1]):
    expected = f'one for inputs of shape {shape}, not {plan.input_shape}'
    raise ConfigError('extractor', folder, expected)
  model = plan.split_model()
  check_inputs('extractor', str(folder), model, example)
  wanted = variables_of(plan, example.dtype)
  variables = _restore(folder, wanted)
  wrong = find_misfit(variables, wanted)
  if wrong:
    raise ConfigError('extractor', folder, f'{plan.model} of {wrong}')
  return pretrained(plan, variables)


def _read_plan(folder: pathlib.Path) -> ExtractorPlan:
  """Read what an extractor is, or raise `ConfigError`."""
  try:
    values = json.loads((folder / _PLAN_FILE).read_text())
  except (FileNotFoundError, NotADirectoryError) as error:
    expected = 'client, or a folder that pretrain wrote'
    raise ConfigError('extractor', folder, expected) from error
  except (OSError, ValueError, RecursionError) as error:
    raise ConfigError(
      'extractor', folder, f'{_PLAN_FILE} in JSON: {error}'
    ) from error
  try:
    fields: dict[str, Any] = {
      k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
    }
    plan = ExtractorPlan(**fields)
    _check_plan(plan)
    num_layers = len(plan.split_model().layers)
    if plan.num_layers >= num_layers:
      raise ValueError(f'num_layers below {num_layers}')
  except (
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
  ) as error:
    expected = f'what pretrain wrote in {_PLAN_FILE}: {error!r}'[:300]
    raise ConfigError('extractor', folder, expected) from error
  return plan


def _check_plan(plan: ExtractorPlan) -> None:
  """Raise ValueError for values of another type or range than it says."""
  sizes = (plan.num_layers, *plan.input_shape)
  if not plan.input_shape or not all(
    type(size) is int and size > 0 for size in sizes
  ):
    raise ValueError(f'positive whole sizes, not {sizes}')
  if not isinstance(plan.options, dict):
    raise ValueError(f'options by name, not {plan.options!r}')
  scales = (*plan.mean, *plan.deviation)
  if not all(math.isfinite(x) for x in scales) or 0 in plan.deviation:
    raise ValueError(f'a finite mean and deviation, not {scales}')
  if {len(plan.mean), len(plan.deviation)} - {0, plan.input_shape[-1]} or (
    len(plan.mean) != len(plan.deviation)
  ):
    raise ValueError('a mean and a deviation of every channel')


def variables_of(plan: ExtractorPlan, dtype: Any) -> tuple[PyTree, PyTree]:
  """Return the shapes and types of an extractor's parameters and state.

  Args:
    plan: what it is.
    dtype: type of its inputs.

  Returns:
    A tuple of `jax.ShapeDtypeStruct`, as `save` takes arrays.
  """
  example = np.zeros((1, *plan.input_shape), dtype)
  init = plan.split_model().init
  params, state = jax.eval_shape(init, jax.random.key(0), example)
  return params[0], state[0]


def find_misfit(variables: PyTree, wanted: PyTree) -> str:
  """Return what is expected of variables that are not as wanted.

  Args:
    variables: parameters and state.
    wanted: their shapes, from `variables_of`.

  Returns:
    What was expected instead, in words; nothing if all is well.
  """
  found = dict(jax.tree.leaves_with_path(variables))
  expected = dict(jax.tree.leaves_with_path(wanted))
  name = lambda path: jax.tree_util.keystr(path, simple=True, separator='/')
  for path in (*expected, *found):
    if (path in found) != (path in expected):
      word = 'with' if path in expected else 'without'
      return f'variables {word} {name(path)}'
  for path, one in expected.items():
    if np.shape(found[path]) != one.shape:
      return f'shape {one.shape} in {name(path)}, not {np.shape(found[path])}'
    values = np.asarray(found[path], np.float32)
    if not np.isfinite(values).all():
      return f'finite numbers in {name(path)}'
    if name(path).endswith('/var') and (values < 0).any():
      return f'variances in {name(path)}, none below 0'
  return ''


def _restore(folder: pathlib.Path, wanted: PyTree) -> tuple[PyTree, PyTree]:
  """Read variables from a folder, or raise `ConfigError`."""
  from orbax import checkpoint

  try:
    with checkpoint.StandardCheckpointer() as checkpointer:
      return checkpointer.restore(folder.absolute() / _VARIABLES, wanted)
  except Exception as error:  # Of many libraries, each with its own kinds.
    text = ' '.join(f'{error}'.split())[:200]
    expected = f'whole {_VARIABLES} of that network: {text}'
    raise ConfigError('extractor', folder, expected) from error
