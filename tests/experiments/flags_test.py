"""Flags of every binary: a configuration that runs, or one line."""

import importlib

from absl import flags
import hypothesis
from hypothesis import strategies as st
import pytest

from experiments import options as made
from splitjax import engine
from splitjax import options
from splitjax.engine import memory
from splitjax.engine import pretraining
from splitjax.engine import studies
from splitjax.errors import ConfigError

_STUDIES = {
  'label_inference': studies.label_inference.study,
  'cut_sweep': studies.cut_sweep.study,
  'ablation': studies.ablation.study,
  'defense_sweep': studies.defense_sweep.study,
  'transfer': studies.transfer.study,
  'parties': studies.parties.study,
  'regression': studies.regression.study,
  'pretrain': pretraining.problem_of,
}
_SMALL = ('--num_train=60', '--num_test=30', '--epochs=2', '--batch_size=20')
_MORE = {
  'ablation': ('--vary_batch_size=10', '--vary_recorded_epoch=2'),
  'defense_sweep': ('--averaged_passes=2', '--defenses=max_norm'),
}
_NUMBERS = st.one_of(
  st.integers(-3, 12).map(str),
  st.sampled_from(
    ['2147483647', '2147483648', '-1', '9' * 30, '1e3', '0x10', '1_0', '']
  ),
  st.floats().map(str),
)
_NAMES = (
  'digits',
  'breast_cancer',
  'diabetes',
  'csv:/dev/null',
  'csv:/dev/zero',
  'tfds:',
  'mlp',
  'conv_net',
  'simple_net',
  'wide_deep',
  'text_cnn',
  'batch',
  'group',
  'float32',
  'bfloat16',
  'sgd',
  'adam',
  'cut_grads',
  'smashed',
  'raw_inputs',
  'none',
  'all',
  'default',
  'distance',
  'strongest',
  'clustering:max_iters=2',
  'transfer',
  'max_norm',
  'label_dp:epsilon=1|1',
  'marvell',
  'dp_sgd:noise_multiplier=1+alibi',
  'class',
  'real',
  'True',
  'nan',
  '0',
  '1',
  '2',
)
_WORDS = st.one_of(
  st.sampled_from(_NAMES),
  st.text(max_size=6),
  st.lists(st.sampled_from(_NAMES), min_size=2, max_size=3).map(','.join),
)
_LISTS = st.lists(_NUMBERS, max_size=3).map(','.join)


def _values(one):
  """A strategy for the text of a flag."""
  if one.kind is str:
    return _WORDS
  return st.one_of(_LISTS if one.several else _NUMBERS, _WORDS)


def _arguments(default):
  """A strategy for the command line of a binary."""
  flag = st.sampled_from(options.options_of(default)).flatmap(
    lambda one: _values(one).map(lambda text: f'--{one.name}={text}')
  )
  return st.lists(flag, min_size=1, max_size=3)


def _outcome(name, default, arguments):
  """The study of a command line, or the line that refuses it."""
  values = flags.FlagValues()
  made.define_flags(default, values)
  try:
    values([name, *_SMALL, *_MORE.get(name, ()), *arguments])
    study = _STUDIES[name](made.config_of_flags(default, values))
    if isinstance(study, engine.Study):
      memory.check(study.trainings)
    return study
  except (ConfigError, flags.Error) as error:
    return ' '.join(str(error).split())


def _check_flags(name, num_examples):
  default = importlib.import_module(f'experiments.{name}').DEFAULT
  found = set()

  @hypothesis.settings(
    max_examples=num_examples,
    suppress_health_check=list(hypothesis.HealthCheck),
  )
  @hypothesis.given(_arguments(default))
  def check(arguments):
    outcome = _outcome(name, default, arguments)
    found.add(type(outcome))
    if isinstance(outcome, str):
      assert '=' in outcome or 'flag' in outcome

  check()
  assert len(found) > 1  # Some are refused, and some are not.


def test_flags_give_a_study_or_one_line():
  _check_flags('label_inference', 40)


@pytest.mark.slow
@pytest.mark.parametrize('name', list(_STUDIES))
def test_flags_of_every_binary_give_a_study_or_one_line(name):
  _check_flags(name, 60)


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    (['--num_seeds=2000000000'], 'num_seeds=2000000000: expected less: it wo'),
    (['--num_aux_draws=2000000000'], 'num_aux_draws=2000000000: expected less'),
    (['--image_size=1000000'], 'image_size=1000000: expected less: it would t'),
    (['--num_seeds=99999999999'], 'is not an integer in the range [1, 21474'),
    (['--cuts=99999999999'], 'flag --cuts=99999999999: expected at most 2147'),
    (['--dataset=csv:/dev/zero', '--label_column=0'], 'must be a regular file'),
    (['--attacks=clustering:max_iters=99999999999'], 'expected a whole numbe'),
  ],
)
def test_huge_numbers_and_endless_files_are_one_line(arguments, message):
  default = engine.Config()
  assert message in _outcome('label_inference', default, arguments)


@pytest.mark.parametrize(
  ('name', 'arguments', 'message'),
  [
    ('defense_sweep', ['--averaged_passes=2,2'], 'averaged_passes=2,2: expect'),
    (
      'defense_sweep',
      [
        '--averaged_passes=2',
        '--defenses=label_dp:epsilon=1,label_dp:epsilon=1|2',
      ],
      'each defense at each strength once, not label_dp at 1 again',
    ),
    (
      'regression',
      ['--defenses=max_norm:strength=0.5|1,max_norm'],
      'each defense at each strength once, not max_norm at ',
    ),
  ],
)
def test_settings_that_are_there_twice_are_one_line(name, arguments, message):
  default = importlib.import_module(f'experiments.{name}').DEFAULT
  assert message in _outcome(name, default, arguments)
