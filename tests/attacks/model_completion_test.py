import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import linear_model

from splitjax.attacks import model_completion

pytestmark = pytest.mark.slow  # Compiles for long.

_CLASSES = 4
# Short fits, with long steps.
_OPTIONS = dict(num_classes=_CLASSES, num_steps=500, learning_rate=6e-3)


@functools.cache
def _blobs(num=300, num_new=201, width=8, gap=4.0):
  """Features and labels of samples to train on, then of new ones."""
  rng = np.random.default_rng(0)
  means, _ = np.linalg.qr(rng.normal(size=(width, width)))
  labels = rng.integers(0, _CLASSES, num + num_new)
  noise = rng.normal(size=(num + num_new, width))
  features = np.float32(5 + gap * means[labels] + noise)
  return features[:num], labels[:num], features[num:], labels[num:]


@functools.cache
def _attacked():
  """Four draws of two known samples a class, and two with shuffled labels."""
  features, labels, new_features, new_labels = _blobs()
  rng = np.random.default_rng(1)
  known = np.array(
    [
      np.concatenate(
        [rng.choice(np.flatnonzero(labels == c), 2) for c in range(_CLASSES)]
      )
      for _ in range(6)
    ]
  )
  aux_labels = labels[known]
  aux_labels[4:] = (aux_labels[4:] + 1) % _CLASSES
  keys = jax.random.split(jax.random.key(0), 6)
  run = jax.jit(
    jax.vmap(
      lambda key, aux, y: model_completion.completion_labels(
        key, features, aux, y, new_features, **_OPTIONS
      )
    )
  )
  result = run(keys, features[known], aux_labels)
  shares = np.mean(result.labels == new_labels[None], axis=1)
  return (keys, features[known], aux_labels), result, shares


def test_unlabelled_samples_help_the_few_labelled():
  features, _, new_features, new_labels = _blobs()
  (_, aux, aux_labels), _, shares = _attacked()
  scale = lambda x: (x - features.mean(axis=0)[None]) / features.std(0)[None]
  supervised = [
    linear_model.LogisticRegression(max_iter=500)
    .fit(scale(aux[draw]), aux_labels[draw])
    .score(scale(new_features), new_labels)
    for draw in range(4)
  ]
  assert np.mean(shares[:4]) > np.mean(supervised) + 0.02
  assert np.mean(shares[:4]) > 0.9


def test_follows_the_labels_that_it_is_given():
  """Shifted by a class: it never sees the truth."""
  _, result, shares = _attacked()
  assert (shares[4:] < 0.15).all()
  shifted = (_blobs()[3][None] + 1) % _CLASSES
  assert (np.mean(result.labels[4:] == shifted, axis=1) > 0.8).all()


def test_vmap_equals_a_loop_and_the_key_decides():
  features, _, new_features, _ = _blobs()
  (keys, aux, aux_labels), result, _ = _attacked()
  run = lambda key: model_completion.completion_labels(
    key, features, aux[0], aux_labels[0], new_features, **_OPTIONS
  )
  one = run(keys[0])
  np.testing.assert_allclose(one.logits, result.logits[0], rtol=0.01, atol=0.01)
  np.testing.assert_array_equal(one.logits, run(keys[0]).logits)
  assert np.any(one.logits != run(keys[1]).logits)
  assert one.logits.shape == (201, _CLASSES) and one.logits.dtype == jnp.float32
  np.testing.assert_array_equal(jnp.argmax(one.logits, 1), one.labels)


def _tiny(*args, **options):
  options = dict(num_classes=3, num_steps=4, batch_size=4) | options
  return model_completion.completion_labels(jax.random.key(0), *args, **options)


def test_unrelated_features_leave_chance():
  rng = np.random.default_rng(0)
  features = rng.normal(size=(400, 6)).astype(np.float32)
  labels = rng.integers(0, 3, 400)
  result = _tiny(
    features, features[:12], labels[:12], features[12:], num_steps=100
  )
  assert abs(np.mean(result.labels == labels[12:]) - 1 / 3) < 0.1


@pytest.mark.parametrize('num', [1, 9])
def test_edges_stay_finite(num):
  """One sample, zeros, bfloat16, labels to ignore, more aux than a batch."""
  features = jnp.zeros((num, 2), jnp.bfloat16).at[0].set(3)
  aux_labels = jnp.array([0, 1, -1, 7, 2, 1])
  with jax.debug_nans(True):
    result = _tiny(
      features, jnp.ones((6, 2)), aux_labels, features, hidden_size=5
    )
  assert np.isfinite(result.logits).all()
  assert result.logits.dtype == jnp.float32


def _scale(params, inputs):
  return inputs.reshape(len(inputs), -1) * params['w'][None]


def _jitter(key, inputs):
  return inputs + 0.3 * jax.random.normal(key, inputs.shape)


def test_fine_tuned_bottom_with_augmented_inputs():
  features, labels, new_features, new_labels = _blobs()
  rows = np.concatenate(
    [np.flatnonzero(labels == c)[:2] for c in range(_CLASSES)]
  )
  inputs, new_inputs = (x.reshape(-1, 2, 4) for x in (features, new_features))
  run = jax.jit(
    lambda rate: model_completion.tuned_completion_labels(
      jax.random.key(0),
      _scale,
      {'w': jnp.ones(8, jnp.bfloat16)},
      inputs,
      inputs[rows],
      labels[rows],
      new_inputs,
      extractor_learning_rate=rate,
      augment_fn=_jitter,
      chunk_size=64,
      **_OPTIONS,
    )
  )
  tuned, frozen = run(2e-3), run(0.0)
  assert np.mean(tuned.labels == new_labels) > 0.85
  assert np.any(tuned.logits != frozen.logits)
  # Frozen, it is the other attack on what the bottom model makes.
  expected = model_completion.completion_labels(
    jax.random.key(0),
    features,
    features[rows],
    labels[rows],
    new_features,
    augment_fn=_jitter,
    **_OPTIONS,
  )
  # The noise has another shape but, drawn in the same order, the same numbers.
  np.testing.assert_allclose(
    frozen.logits, expected.logits, rtol=0.02, atol=0.02
  )


@pytest.mark.parametrize(
  'change, message',
  [
    (dict(new_features=np.ones((2, 3), 'f')), 'new_features must be as wide'),
    (dict(aux_labels=np.arange(2)), 'aux_labels must have shape'),
    (dict(num_steps=0), 'num_steps must be at least 1, got 0'),
    (dict(batch_size=0), 'batch_size must be at least 1'),
    (dict(hidden_size=0), 'hidden_size must be at least 1'),
    (dict(num_classes=0), 'num_classes must be at least 1'),
  ],
)
def test_bad_argument_is_named_at_trace_time(change, message):
  kwargs = dict(
    features=np.ones((5, 2), 'f'),
    aux_features=np.ones((3, 2), 'f'),
    aux_labels=np.arange(3),
    new_features=np.ones((2, 2), 'f'),
    num_classes=3,
  )
  run = functools.partial(
    model_completion.completion_labels, jax.random.key(0), **kwargs | change
  )
  with pytest.raises(ValueError, match=message):
    jax.eval_shape(run)
