"""Every attack by name, on a small view, with only what it is granted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax.attacks import catalog as attack_catalog
from splitjax.engine import targets
from splitjax.engine import trials
from splitjax.records import viewing

NUM, DRAWS = 40, 2


def _scaled(params, inputs):
  return inputs * params['scale'][None]


def _view(num_classes, width=6):
  """Separated classes: vectors, and gradients that say the same."""
  rng = np.random.default_rng(0)
  truth = np.arange(NUM) % num_classes
  # Gradients of two classes point in opposite directions.
  means = 3 * np.eye(num_classes, width)
  means -= means.mean(axis=0, keepdims=True)
  draw = lambda: jnp.asarray(
    means[truth] + 0.2 * rng.normal(size=(NUM, width)), jnp.float32
  )
  if width == num_classes:  # Logits: the label's entry is the negative one.
    vectors = jnp.asarray(1 / width - np.eye(width)[truth], jnp.float32)
  else:
    vectors = -draw()  # Softmax minus one-hot, through the class's weights.
  rows = np.stack(
    [
      [np.flatnonzero(truth == c)[r] for c in range(num_classes)]
      for r in range(DRAWS)
    ]
  )
  view = viewing.View(
    vectors=vectors,
    aux_vectors=vectors[rows],
    aux_labels=jnp.tile(jnp.arange(num_classes), (DRAWS, 1)),
    sample_ids=np.arange(NUM),
    aux_ids=rows,
    num_classes=num_classes,
    own=viewing.Own(
      features=vectors,
      cut_grads=-draw(),
      sent=draw(),
      online=jnp.asarray((truth + 1) % num_classes, jnp.float32)[:, None],
      extractor=viewing.Extractor(
        {'scale': jnp.ones(width)}, vectors, vectors, _scaled
      ),
      aux_rows=rows,
    ),
  )
  return view, truth


# Fits, which take long to compile.
_SLOW = (
  'transfer_hidden',
  'transfer_tuned',
  'model_completion',
  'model_completion_tuned',
  'unsplit',
  'exploit',
  'learning_based',
  'gramssat',
)


@pytest.mark.parametrize(
  'name',
  [
    pytest.param(name, marks=[pytest.mark.slow] if name in _SLOW else [])
    for name in attack_catalog.ATTACKS
  ],
)
def test_attack_needs_no_more_than_it_is_granted(name):
  attack = attack_catalog.ATTACKS[name]
  num_classes = 2 if attack.two_classes else 3
  view, truth = _view(num_classes, num_classes if attack.logits else 6)
  view = targets.grant(view, attack.granted)
  answer = trials.predict(
    attack.fn, jax.random.key(0), trials.stack_views([view])
  )
  assert answer.labels.shape == (1, DRAWS, NUM)
  assert (answer.scores is not None) == (num_classes == 2)
  # Norms say nothing here; all the others read separated classes.
  expected = 0.0 if name == 'norm' else 0.9
  assert np.mean(answer.labels == truth) >= expected


def test_nothing_else_of_a_clients_knowledge_is_in_the_view():
  view, _ = _view(3)
  assert targets.grant(view, ()).own is None
  own = targets.grant(view, ('features',)).own
  assert own.features is not None
  assert own.aux_rows is not None
  assert own.cut_grads is None
  assert own.sent is None
  assert own.online is None
  assert own.extractor is None
