"""What a run is asked for: every field, its default and its help, once."""

import dataclasses

from splitjax.attacks.catalog import ATTACKS
from splitjax.attacks.catalog import DEFAULTS
from splitjax.data.sets import DataConfig
from splitjax.defenses.catalog import DEFENSES
from splitjax.models.catalog import DTYPES
from splitjax.models.catalog import MODELS
from splitjax.models.catalog import NORMS
from splitjax.models.layering import Layer
from splitjax.options import option
from splitjax.records.intermediates import EXCHANGED
from splitjax.records.intermediates import Name
from splitjax.training.optimizers import OPTIMIZERS
from splitjax.training.protection import Protection


@dataclasses.dataclass(frozen=True)
class Config(DataConfig):
  """What the results depend on; the fields are the flags of these names.

  `dataset`, `model` and `defense` take objects beside names: a `data.Dataset`
  (see `data.from_arrays`), a sequence of linen layers, and a `Protection`. The
  defaults are those of `python -m experiments.label_inference`.

  Example:
    >>> Config(dataset='breast_cancer', epochs=5).batch_size
    32
  """

  model: str | tuple[Layer, ...] = option(
    'mlp', f'One of: {", ".join(MODELS)}.'
  )
  hidden_sizes: tuple[int, ...] = option(
    (), 'Widths of the hidden layers of --model=mlp; by default its own.'
  )
  norm: str | None = option(
    None,
    f'Normalisation, one of: {", ".join(NORMS)}, of the models that have one; '
    'batch by default.',
  )
  dtype: str = option(
    'float32', f'Type of the computation, one of: {", ".join(DTYPES)}.'
  )
  cuts: tuple[int, ...] = option(
    (),
    'How many layers the client holds; by default all but the head. Two '
    'numbers make the U-shaped split: the data owner holds the first and the '
    'last part, the attacker the one between. A sweep over cuts takes any '
    'number.',
  )
  epochs: int = option(60, 'Passes over the training data.', low=1)
  recorded_epoch: int = option(
    1, 'The pass whose cut gradients are recorded, from 1.', low=1
  )
  batch_size: int = option(32, 'Samples of a training step.', low=1)
  learning_rate: float = option(0.05, 'Learning rate of both parties.')
  optimizer: str = option('sgd', f'One of: {", ".join(OPTIMIZERS)}.')
  augment: bool = option(
    False,
    'Whether to crop and flip the training images at random, as on CIFAR-10.',
  )
  defense: str | Protection = option(
    'none',
    'NAME:NUMBER=VALUE:..., several joined by +, as '
    f'label_dp:epsilon=1+compression:ratio=0.5. Names: {", ".join(DEFENSES)}.',
  )
  malicious_client: bool = option(
    False,
    'Whether the attacker is ACTIVE: against the protocol it enlarges the '
    'gradients of its part that keep their sign (malicious optimizer, Fu et '
    'al., made for model_completion).',
  )
  intermediates: tuple[str, ...] = option(
    (Name.CUT_GRADS.value, Name.SMASHED.value),
    f'What is attacked, any of: {", ".join(EXCHANGED)}.',
  )
  attacks: tuple[str, ...] = option(
    ('default',),
    f'Any of: {", ".join(ATTACKS)}; with numbers of their kernels, as '
    'clustering:max_iters=50; or all that apply; or default: '
    f'{", ".join(DEFAULTS["class"])} for classes, '
    f'{", ".join(DEFAULTS["real"])} for real targets.',
  )
  center_smashed: bool = option(
    False,
    'Whether the attacker subtracts the mean smashed data of the training set.',
  )
  project_to: int = option(
    8192,
    'What crosses a cut wider than this is recorded as sums over neighbouring '
    'positions, and where there are none, through a random projection of this '
    'width; 0 to record all.',
    low=0,
  )
  num_aux: int | None = option(
    None,
    'Samples of each class whose labels the attacker knows, 1 by default; of '
    'real targets samples in all, 10 by default.',
    low=1,
  )
  num_aux_draws: int = option(
    10, 'How often these samples are drawn, for each seed.', low=1
  )
  num_seeds: int = option(5, 'How many models are trained.', low=1)
  seed: int = option(
    0, 'Seed of everything that is drawn.', low=0, high=2**32 - 1
  )

  def __post_init__(self) -> None:
    """Make tuples of sequences, so that a configuration can be hashed."""
    for field in dataclasses.fields(self):
      value = getattr(self, field.name)
      if isinstance(value, list):
        object.__setattr__(self, field.name, tuple(value))
