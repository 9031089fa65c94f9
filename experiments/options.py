"""Flags that say what is trained and attacked: the fields of a `Config`."""

from collections.abc import Sequence
import dataclasses

from absl import flags

from experiments import catalog
from experiments import common
from splitjax.attacks import catalog as attack_catalog
from splitjax.defenses import catalog as defense_catalog
from splitjax.engine import problems

_DEFAULT = problems.Config()

flags.DEFINE_string(
  'dataset',
  _DEFAULT.dataset,
  f'One of: {", ".join(catalog.DATASETS)}; or tfds:NAME, a set of '
  'tensorflow-datasets; or csv:PATH, a table or texts of your own.',
)
flags.DEFINE_string(
  'data_dir', None, 'Where tensorflow-datasets has prepared its sets.'
)
flags.DEFINE_string(
  'label_column',
  None,
  'The classes: a column of the file, by name or position, or a feature.',
)
flags.DEFINE_string(
  'text_column', None, 'The texts, if it is texts that are classified.'
)
flags.DEFINE_string(
  'test_path',
  None,
  'File with the test part; by default a fifth of the rows is held out.',
)
flags.DEFINE_string(
  'delimiter', None, 'Between columns; by default it is recognised.'
)
flags.DEFINE_string(
  'quote', None, 'Around values; by default it is recognised.'
)
flags.DEFINE_boolean(
  'header',
  None,
  'Whether the first line names the columns; by default it is recognised.',
)
flags.DEFINE_list('drop_columns', [], 'Columns not to be used: ids, for one.')
flags.DEFINE_list('categorical_columns', [], 'Numeric columns that are codes.')
flags.DEFINE_integer(
  'num_buckets',
  _DEFAULT.num_buckets,
  'Ids that the values of a categorical column are hashed to.',
  lower_bound=2,
)
flags.DEFINE_integer(
  'vocabulary_size',
  _DEFAULT.vocabulary_size,
  'Ids that the words of texts are hashed to.',
  lower_bound=2,
)
flags.DEFINE_integer(
  'max_tokens', _DEFAULT.max_tokens, 'Words kept of a text.', lower_bound=1
)
flags.DEFINE_integer(
  'image_size', None, 'Height and width to resize images to.', lower_bound=1
)
flags.DEFINE_integer(
  'num_train',
  None,
  'Training samples to draw, by class in proportion; by default all.',
  lower_bound=1,
)
flags.DEFINE_integer(
  'num_test', None, 'The same of the test part.', lower_bound=1
)
flags.DEFINE_list(
  'classes', [], 'Classes to use, by name or number; all by default.'
)
flags.DEFINE_string(
  'model', _DEFAULT.model, f'One of: {", ".join(catalog.MODELS)}.'
)
flags.DEFINE_enum(
  'norm',
  None,
  ['batch', 'group'],
  'Normalisation, of the models that have one; batch by default.',
)
flags.DEFINE_enum(
  'dtype', _DEFAULT.dtype, ['float32', 'bfloat16'], 'Of the computation.'
)
flags.DEFINE_list(
  'cuts',
  [],
  'How many layers the client holds; by default all but the head. Two numbers '
  'make the U-shaped split: the data owner holds the first and the last part, '
  'the attacker the one between. A sweep over cuts takes any number.',
)
flags.DEFINE_integer(
  'epochs',
  _DEFAULT.epochs,
  'Passes over the training data; gradients are recorded in the first.',
  lower_bound=1,
)
flags.DEFINE_integer(
  'batch_size',
  _DEFAULT.batch_size,
  'Samples of a training step.',
  lower_bound=1,
)
flags.DEFINE_float(
  'learning_rate', _DEFAULT.learning_rate, 'Learning rate of both parties.'
)
flags.DEFINE_string(
  'optimizer',
  _DEFAULT.optimizer,
  f'One of: {", ".join(catalog.OPTIMIZERS)}.',
)
flags.DEFINE_boolean(
  'augment',
  False,
  'Whether to crop and flip the training images at random, as on CIFAR-10.',
)
flags.DEFINE_string(
  'defense',
  _DEFAULT.defense,
  'NAME:NUMBER=VALUE:..., several joined by +, as '
  'label_dp:epsilon=1+compression:ratio=0.5. Names: '
  f'{", ".join(defense_catalog.DEFENSES)}.',
)
flags.DEFINE_boolean(
  'malicious_client',
  False,
  'Whether the attacker is ACTIVE: against the protocol it enlarges the '
  'gradients of its part that keep their sign (malicious optimizer, Fu et al., '
  'made for model_completion).',
)
flags.DEFINE_list(
  'intermediates',
  list(_DEFAULT.intermediates),
  'What is attacked: cut_grads, smashed or both.',
)
flags.DEFINE_list(
  'attacks',
  list(_DEFAULT.attacks),
  f'Any of: {", ".join(attack_catalog.ATTACKS)}; or all that apply.',
)
flags.DEFINE_boolean(
  'center_smashed',
  False,
  'Whether the attacker subtracts the mean smashed data of the training set.',
)
flags.DEFINE_integer(
  'project_to',
  _DEFAULT.project_to,
  'What crosses a cut wider than this is recorded through a random projection '
  'of this width; 0 for none.',
  lower_bound=0,
)
flags.DEFINE_integer(
  'num_aux',
  _DEFAULT.num_aux,
  'Samples of each class whose labels the attacker knows.',
  lower_bound=1,
)
flags.DEFINE_integer(
  'num_aux_draws',
  _DEFAULT.num_aux_draws,
  'How often these samples are drawn, for each seed.',
  lower_bound=1,
)
flags.DEFINE_integer(
  'num_seeds',
  _DEFAULT.num_seeds,
  'How many models are trained.',
  lower_bound=1,
)
flags.DEFINE_integer(
  'seed',
  _DEFAULT.seed,
  'Seed of everything that is drawn.',
  lower_bound=0,
  upper_bound=2**32 - 1,
)


def config_of_flags() -> problems.Config:
  """The configuration that the command line asks for."""
  values = {
    field.name: flags.FLAGS[field.name].value
    for field in dataclasses.fields(problems.Config)
  }
  values['cuts'] = numbers_of_flag('cuts', int)
  return problems.Config(
    **{
      name: tuple(value) if isinstance(value, list) else value
      for name, value in values.items()
    }
  )


def numbers_of_flag(name: str, type_fn: type) -> tuple[int | float, ...]:
  """The numbers that a flag lists.

  Args:
    name: of the flag.
    type_fn: `int` or `float`.

  Returns:
    The numbers.

  Raises:
    common.FlagError: if one is not a number.
  """
  texts: Sequence[str] = flags.FLAGS[name].value
  try:
    return tuple(type_fn(text) for text in texts)
  except ValueError as error:
    kind = {int: 'whole numbers', float: 'numbers'}[type_fn]
    raise common.FlagError(
      name, ','.join(texts), f'{kind} with commas between'
    ) from error
