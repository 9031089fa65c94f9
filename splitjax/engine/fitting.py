"""Whether data, network, defenses and the attacker's samples fit together."""

from collections.abc import Sequence
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from splitjax.attacks.catalog import Setup
from splitjax.attacks.choice import Choice
from splitjax.data.dataset import Dataset
from splitjax.defenses import parsing
from splitjax.defenses.defense import Facts
from splitjax.defenses.plan import Plan
from splitjax.defenses.plan import Spec
from splitjax.engine.config import Config
from splitjax.errors import ConfigError
from splitjax.errors import check_range
from splitjax.models import catalog as models
from splitjax.models.second_top import SecondTop
from splitjax.records.viewing import Extractor
from splitjax.records.viewing import Own
from splitjax.records.viewing import View
from splitjax.training import shapes
from splitjax.training.party_model import PartyModel
from splitjax.training.protection import Protection
from splitjax.training.split import Model

_LEAST_REAL_AUX = 3  # Samples that an attacker of real targets knows at least.


def check_inputs(
  field: str, value: str, model: Model, example: jax.Array | np.ndarray
) -> None:
  """Raise `ConfigError` if inputs do not fit through a model."""
  shape = np.shape(example)[1:]
  try:
    found = shapes.layer_shapes(model, example)
    if not all(math.prod(one) for one in found):
      raise ValueError('a layer leaves nothing of them')
  except (ArithmeticError, TypeError, ValueError) as error:
    hint = ' (--image_size enlarges images)' if len(shape) == 3 else ''
    raise ConfigError(
      field, value, f'a model for inputs of shape {shape}: {error}{hint}'
    ) from error


def fit_model(model: Model, specs: Sequence[Spec], dataset: Dataset) -> Model:
  """Return a model with the label party's part that its defenses need.

  Args:
    model: the model as it is without a defense.
    specs: the defenses by name.
    dataset: what is trained on.

  Returns:
    The model itself, or one with a second top.
  """
  if not any(one.defense.second_top for one in specs):
    return model
  return model.with_top(lambda top: (SecondTop(top, dataset.num_classes),))


def make_plan(
  specs: Sequence[Spec],
  config: Config,
  dataset: Dataset,
  model: Model,
  *,
  own: Protection | None = None,
  field: str = 'defense',
) -> Plan:
  """Return defenses in a problem, checked.

  Args:
    specs: the defenses by name.
    config: how to train.
    dataset: what is trained on.
    model: what is trained.
    own: a defense of the user's own, if any.
    field: where the defenses are named, for the messages.

  Returns:
    The defenses.

  Raises:
    ConfigError: if they do not fit the problem or each other.
  """
  server = shapes.server_part(model, dataset.train_inputs[:1])
  parsing.check(
    field,
    specs,
    num_classes=dataset.num_classes,
    server_has_state=server.has_state,
    floating_inputs=models.kind_of(dataset) in ('image', 'numbers'),
    several_parties=isinstance(model, PartyModel) and model.num_parts > 2,
  )
  prior = ()
  if not dataset.is_real:
    sizes = np.bincount(dataset.train_labels, minlength=dataset.num_classes)
    prior = tuple((sizes / sizes.sum()).tolist())
  facts = Facts(
    prior=prior,
    num_samples=len(dataset.train_labels),
    batch_size=config.batch_size,
    epochs=config.epochs,
    microbatch=server.examples_at_once,
  )
  return Plan(tuple(specs), facts, own)


def check_num_aux(
  num_aux: int, dataset: Dataset, field: str = 'num_aux'
) -> None:
  """Raise `ConfigError` if there are too few samples for the attacker."""
  if dataset.is_real:
    most = len(dataset.train_labels) - 2
    what = 'known samples in all, of which two are left to score'
    check_range(field, num_aux, _LEAST_REAL_AUX, most, what)
    return
  smallest = int(np.bincount(dataset.train_labels).min())
  what = 'fewer than the training samples of the smallest class'
  check_range(field, num_aux, 1, smallest - 1, what)


def check_settings(choice: Choice, setup: Setup) -> None:
  """Raise `ConfigError` if a kernel refuses the settings of an attack.

  The attack is traced on a view of a few samples; nothing is computed.

  Args:
    choice: the attack and its settings.
    setup: what the problem is like.
  """
  if not choice.settings:
    return
  num_classes = setup.num_classes or _LEAST_REAL_AUX
  width = num_classes if choice.attack.logits else min(setup.cut_widths)
  struct: Any = jax.ShapeDtypeStruct  # Stands for arrays.
  vectors = struct((4 * num_classes, width), jnp.float32)
  rows = struct((num_classes,), jnp.int32)
  label_type = jnp.int32 if setup.num_classes else jnp.float32
  fields: dict[str, Any] = {
    'features': vectors,
    'cut_grads': vectors,
    'sent': vectors,
    'shares': struct((num_classes,), jnp.float32),
    'online': struct((4 * num_classes, 1), jnp.float32),
    'extractor': Extractor({}, vectors, vectors, lambda params, x: x),
  }
  own = Own(**{x: fields[x] for x in choice.attack.granted}, aux_rows=rows)
  view = View(
    vectors=vectors,
    aux_vectors=struct((num_classes, width), jnp.float32),
    aux_labels=struct((num_classes,), label_type),
    sample_ids=struct((4 * num_classes,), jnp.int32),
    aux_ids=rows,
    num_classes=setup.num_classes,
    own=own if choice.attack.granted else None,
  )
  try:
    jax.eval_shape(choice.fn, jax.eval_shape(lambda: jax.random.key(0)), view)
  except (ArithmeticError, TypeError, ValueError) as error:
    expected = f'settings that the kernel takes: {error}'
    raise ConfigError('attacks', choice.text, expected) from error
