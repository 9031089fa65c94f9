"""Networks that an attacker owns: what they make of inputs, and their files."""

from collections.abc import Callable
import dataclasses
import errno
import functools
import json
import os
import pathlib
import shutil
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from splitjax import files
from splitjax.data.dataset import Dataset
from splitjax.engine.extractor_plan import PLAN_FILE
from splitjax.engine.extractor_plan import ExtractorPlan as ExtractorPlan
from splitjax.engine.extractor_plan import read_plan
from splitjax.engine.extractor_plan import variables_of as variables_of
from splitjax.engine.fitting import check_inputs
from splitjax.errors import ConfigError
from splitjax.records.intermediates import Phase
from splitjax.training.split import SplitModel

PyTree = Any
ApplyFn = Callable[[PyTree, jax.Array], jax.Array]

_CHUNK_SIZE = 256  # Inputs at a time.
_VARIABLES = 'variables'
_SPARE = 100_000  # Bytes on the disk that are not parameters.
FILES = (_VARIABLES, PLAN_FILE)


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
  """Write an extractor, all of it or nothing.

  Args:
    folder: is made if it is not there; an extractor in it is replaced, and what
      else it holds stays.
    plan: what it is.
    variables: parameters and state of its layers.

  Raises:
    OSError: if the disk is full.
  """
  from orbax import checkpoint  # Slow to import, and needed here alone.

  needed = sum(np.asarray(x).nbytes for x in jax.tree.leaves(variables))
  with files.replacing_parts(folder, FILES) as scratch:
    if shutil.disk_usage(scratch).free < needed + _SPARE:
      # The threads of Orbax would print their tracebacks.
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with checkpoint.StandardCheckpointer() as checkpointer:
      checkpointer.save(scratch.absolute() / _VARIABLES, variables)
    text = json.dumps(dataclasses.asdict(plan), indent=2)
    (scratch / PLAN_FILE).write_text(text + '\n')


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
  plan = read_plan(folder)
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
