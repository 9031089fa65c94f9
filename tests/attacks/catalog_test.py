"""Every attack by name, on a small view, with only what it is granted."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax.attacks import catalog
from splitjax.engine import targets
from splitjax.engine import trials
from splitjax.records import viewing

NUM, DRAWS = 40, 2
PLAIN = (bool, int, float, str, tuple)


def _scaled(params, inputs):
  return inputs * params['scale'][None]


def _means(num_classes, width):
  """Separated means: gradients of two classes point in opposite directions."""
  means = 3 * np.eye(num_classes, width)
  return means - means.mean(axis=0, keepdims=True)


def _view(num_classes, width=6):
  """Vectors that tell classes or real targets, and gradients that do, too."""
  rng = np.random.default_rng(0)
  if num_classes:
    truth = np.arange(NUM) % num_classes
    rows = [np.flatnonzero(truth == c)[:DRAWS] for c in range(num_classes)]
    rows = np.stack(rows, axis=1)
    centres = _means(num_classes, width)[truth]
  else:
    truth = np.linspace(-2, 2, NUM).astype(np.float32)
    rows = np.stack([np.arange(draw, NUM, 4) for draw in range(DRAWS)])
    centres = truth[:, None] * np.ones(width)
  noise = 0.2 if num_classes else 0.02
  draw = lambda: jnp.asarray(
    centres + noise * rng.normal(size=(NUM, width)), jnp.float32
  )
  if width == num_classes:  # Logits: the label's entry is the negative one.
    vectors = jnp.asarray(1 / width - np.eye(width)[truth], jnp.float32)
  else:
    vectors = -draw()  # Softmax minus one-hot, through the class's weights.
  online = (truth + 1) % num_classes if num_classes else truth
  shares = np.bincount(truth) / NUM if num_classes else None
  view = viewing.View(
    vectors=vectors,
    aux_vectors=vectors[rows],
    aux_labels=jnp.asarray(truth)[rows],
    sample_ids=np.arange(NUM),
    aux_ids=rows,
    num_classes=num_classes,
    own=viewing.Own(
      features=vectors,
      cut_grads=-draw(),
      passes=viewing.Passes(
        jnp.stack([-draw(), -draw()]), np.stack([np.arange(NUM) // 8] * 2)
      ),
      sent=draw(),
      shares=None if shares is None else jnp.asarray(shares, jnp.float32),
      online=jnp.asarray(online, jnp.float32)[:, None],
      extractor=viewing.Extractor(
        {'scale': jnp.ones(width)}, vectors, vectors, _scaled
      ),
      aux_rows=rows,
    ),
  )
  return view, truth


# Fits, which take long to compile.
_SLOW = (
  'strongest',
  'transfer_hidden',
  'transfer_tuned',
  'model_completion',
  'model_completion_tuned',
  'unsplit',
  'exploit',
  'learning_based',
  'gramssat',
  'gramssat_gradients',
)


def _cases():
  """Every attack with every kind of target that it is defined for."""
  for name, attack in catalog.ATTACKS.items():
    for target in attack.targets:
      slow = name in _SLOW
      marks = [pytest.mark.slow] if slow else []
      yield pytest.param(name, target, marks=marks, id=f'{name}-{target}')


@pytest.mark.parametrize(('name', 'target'), list(_cases()))
def test_attack_needs_no_more_than_it_is_granted(name, target):
  attack = catalog.ATTACKS[name]
  num_classes = 2 if attack.two_classes else 3
  if target == catalog.REAL:
    num_classes = 0
  view, truth = _view(num_classes, num_classes if attack.logits else 6)
  view = targets.grant(view, attack.granted)
  found = trials.predict(
    attack.fn, jax.random.key(0), trials.stack_views([view])
  )
  assert found.labels.shape == (1, DRAWS, NUM)
  assert (found.scores is not None) == (num_classes == 2)
  if target == catalog.REAL:
    errors = np.abs(found.labels - truth)
    assert np.median(errors) < 0.3
    return
  # Norms say nothing here; all the others read separated classes.
  expected = 0.0 if name == 'norm' else 0.9
  assert np.mean(found.labels == truth) >= expected


@pytest.mark.parametrize('num_passes', [1, 2])
@pytest.mark.slow
def test_strongest_reads_gradients_where_there_are_no_features(num_passes):
  view, truth = _view(3)
  passes = jax.tree.map(lambda x: x[:num_passes], view.own.passes)
  own = viewing.Own(passes=passes, aux_rows=view.own.aux_rows)
  view = view.replace(vectors=passes.vectors[0], own=own)
  attack = catalog.ATTACKS['strongest']
  found = trials.predict(
    attack.fn, jax.random.key(0), trials.stack_views([view])
  )
  assert np.mean(found.labels == truth) == 1
  assert found.chosen.shape == (1, DRAWS)


@pytest.mark.parametrize('name', catalog.ATTACKS)
def test_settings_are_arguments_that_the_attack_takes(name):
  attack = catalog.ATTACKS[name]
  assert all(kind in PLAIN for kind in attack.settings.values())
  taken = inspect.signature(attack.fn).parameters
  passes_on = any(x.kind == x.VAR_KEYWORD for x in taken.values())
  assert passes_on == bool(attack.settings)


def test_settings_are_those_of_the_kernel():
  settings = catalog.ATTACKS['clustering'].settings
  assert settings['max_iters'] is int
  assert settings['metric'] is str
  assert settings['num_restarts'] is int
  assert not {'num_classes', 'key', 'vectors'} & set(settings)


@pytest.mark.parametrize(
  ('name', 'setup', 'text'),
  [
    ('norm', catalog.Setup(10, [64], 0), 'data of two classes'),
    ('direct', catalog.Setup(10, [64], 0), 'a cut that the 10 logits cross'),
    ('exploit', catalog.Setup(2, [64], 16), 'what crosses to be recorded who'),
    ('ridge', catalog.Setup(2, [64], 0), 'real targets'),
    ('spectral', catalog.Setup(0, [64], 0), 'classes: it is not defined for'),
    (
      'model_completion_tuned',
      catalog.Setup(2, [64, 8], 0, u_shaped=True),
      'one cut: with two',
    ),
  ],
)
def test_what_a_problem_lacks_is_said(name, setup, text):
  assert catalog.ATTACKS[name].lacks(setup).startswith(text)


def test_what_applies_lacks_nothing():
  lacks = lambda name, *setup: catalog.ATTACKS[name].lacks(
    catalog.Setup(*setup)
  )
  assert lacks('norm', 2, [64], 0) == ''
  assert lacks('direct', 10, [10], 0) == ''
  assert lacks('ridge', 0, [64], 0) == ''
  # Where gradients are not attacked, no gradient is matched.
  assert lacks('exploit', 2, [64], 16, False, ('smashed',)) == ''


def test_defaults_are_attacks_that_are_defined():
  for target, names in catalog.DEFAULTS.items():
    assert names
    assert all(target in catalog.ATTACKS[name].targets for name in names)


def test_nothing_else_of_a_clients_knowledge_is_in_the_view():
  view, _ = _view(3)
  assert targets.grant(view, ()).own is None
  own = targets.grant(view, ('features',)).own
  assert own.features is not None
  assert own.aux_rows is not None
  assert own.cut_grads is None
  assert own.passes is None
  assert own.sent is None
  assert own.shares is None
  assert own.online is None
  assert own.extractor is None
