"""What `--attacks` can say."""

import jax.numpy as jnp
import pytest

from splitjax.attacks import choice
from splitjax.attacks import on_views
from splitjax.attacks.catalog import DEFAULTS
from splitjax.attacks.catalog import Setup
from splitjax.errors import ConfigError
from splitjax.records import viewing

TEN = Setup(num_classes=10, cut_widths=[64], project_to=0)


@pytest.mark.parametrize(
  ('text', 'settings', 'written'),
  [
    ('distance', (), 'distance'),
    ('clustering:max_iters=50', (('max_iters', 50),), None),
    (
      'clustering:num_restarts=2:max_iters=050',
      (('max_iters', 50), ('num_restarts', 2)),
      'clustering:max_iters=50:num_restarts=2',
    ),
    ('distance:metric=euclidean', (('metric', 'euclidean'),), None),
    (
      'gramssat:learning_rate=0.010',
      (('learning_rate', 0.01),),
      'gramssat:learning_rate=0.01',
    ),
  ],
)
def test_settings_are_read_and_written(text, settings, written):
  found = choice.parse(text)
  assert found.settings == settings
  assert found.text == (written or text)
  assert choice.parse(found.text) == found


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('norms', 'attacks=norms: expected one of strongest, dis'),
    ('', 'attacks=: expected one of strongest'),
    (
      'clustering:iters=3',
      'attacks=clustering:iters=3: expected clustering with any of: ',
    ),
    ('clustering:max_iters', 'expected clustering with any of: '),
    ('spectral:max_iters=3', 'expected spectral with any of: no settings'),
    (
      'clustering:max_iters=x',
      'attacks=clustering:max_iters=x: expected a whole number for max_iters',
    ),
    ('clustering:max_iters=1.5', 'expected a whole number for max_iters'),
    ('gramssat:learning_rate=x', 'expected a number for learning_rate'),
  ],
)
def test_mistake_is_one_line(text, message):
  with pytest.raises(ConfigError, match=message) as caught:
    choice.parse(text)
  assert '\n' not in str(caught.value)
  assert caught.value.field == 'attacks'


def test_one_choice_is_one_function_which_compiles_once():
  plain = choice.parse('clustering')
  assert plain.fn is on_views.clustering
  one, other = (choice.parse('clustering:max_iters=5').fn for _ in range(2))
  assert one is other
  assert one is not choice.parse('clustering:max_iters=6').fn


def test_setting_reaches_the_kernel():
  """Of unequal lengths, the nearest by angle is not the nearest by distance."""
  view = viewing.View(
    vectors=jnp.array([[1.0, 0.2]]),
    aux_vectors=jnp.array([[10.0, 2.0], [1.0, 1.0]]),
    aux_labels=jnp.array([0, 1]),
    sample_ids=jnp.array([5]),
    aux_ids=jnp.array([0, 1]),
    num_classes=2,
  )
  read = lambda text: int(choice.parse(text).fn(None, view).labels[0])
  assert read('distance:metric=cosine') == 0
  assert read('distance:metric=euclidean') == 1


def test_named_ones_are_found_and_defaults_filled_in():
  names = lambda *texts: [x.text for x in choice.find_attacks(texts, TEN)[0]]
  assert names('spectral', 'distance') == ['spectral', 'distance']
  assert names('default') == list(DEFAULTS['class'])
  found, notes = choice.find_attacks(('all',), TEN)
  assert 'norm' not in [x.text for x in found]
  assert any(note.startswith('norm needs data of two') for note in notes)


@pytest.mark.parametrize(
  ('texts', 'message'),
  [
    (('norm',), 'attacks=norm: expected data of two classes'),
    (('distance', 'distance'), 'attacks=distance,distance: expected each val'),
    ((), 'attacks=: expected one of strongest'),
  ],
)
def test_what_does_not_apply_is_refused(texts, message):
  with pytest.raises(ConfigError, match=message):
    choice.find_attacks(texts, TEN)
