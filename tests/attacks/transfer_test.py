import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import linear_model

from splitjax import attacks
from splitjax.attacks import transfer

pytestmark = pytest.mark.slow  # Compiles for long.

_CLASSES = 4
_OPTIONS = dict(num_classes=_CLASSES, num_epochs=20, batch_size=16)


@functools.cache
def _blobs(num=300, num_new=201, width=8, gap=3.5, seed=0):
  """Features and labels of training samples, then of new ones."""
  rng = np.random.default_rng(seed)
  means, _ = np.linalg.qr(rng.normal(size=(width, width)))
  labels = rng.integers(0, _CLASSES, num + num_new)
  noise = rng.normal(size=(num + num_new, width))
  features = 5 + gap * means[labels] + noise  # Far from zero, as after a ReLU.
  features = np.float32(features * np.geomspace(0.1, 10, width)[None])
  return features[:num], labels[:num], features[num:], labels[num:]


def _known(labels, num_draws, seed=0):
  """One sample of each class, `[S, C]`."""
  rng = np.random.default_rng(seed)
  of_class = [np.flatnonzero(labels == c) for c in range(_CLASSES)]
  return np.array(
    [[rng.choice(rows) for rows in of_class] for _ in range(num_draws)]
  )


def _in_ten(labels, seed=0):
  """The labels, a tenth of them drawn anew."""
  rng = np.random.default_rng(seed)
  wrong = rng.random(len(labels)) < 0.1
  return np.where(wrong, rng.integers(0, _CLASSES, len(labels)), labels)


@jax.jit
def _attack(keys, aux_features, aux_labels, pseudo_labels):
  """The attack on the blobs, over draws; compiled once for all tests."""
  features, _, new_features, _ = _blobs()

  def one(key, aux_features, aux_labels, pseudo_labels):
    return transfer.transfer_labels(
      key,
      features,
      aux_features,
      aux_labels,
      new_features,
      pseudo_labels=pseudo_labels,
      **_OPTIONS,
    )

  return jax.vmap(one)(keys, aux_features, aux_labels, pseudo_labels)


@functools.cache
def _attacked():
  """Attacks on eight draws: with four kinds of pseudo-labels, two of each."""
  features, labels, _, new_labels = _blobs()
  known = _known(labels, 8)
  aux_labels = np.tile(np.arange(_CLASSES), (8, 1))
  nearest = jax.vmap(attacks.nearest_labels, (None, 0, 0))(
    features, features[known], aux_labels
  )
  rng = np.random.default_rng(0)
  guesses = np.array(nearest)
  guesses[2:4] = _in_ten(labels)
  guesses[4:6] = rng.permutation(labels)
  guesses[6:] = (labels + 1) % _CLASSES
  # What the auxiliary samples tell would help against wrong guesses.
  known[4:6] = rng.integers(0, len(labels), (2, _CLASSES))
  aux_labels[4:6] = (labels[known[4:6]] + [0, 1, 2, 3]) % _CLASSES
  aux_labels[6:] = (labels[known[6:]] + 1) % _CLASSES
  keys = jax.random.split(jax.random.key(0), 8)
  arguments = (keys, features[known], aux_labels, guesses)
  result = _attack(*arguments)
  shares = np.mean(result.labels == new_labels[None], axis=1)
  return arguments, result, shares


def test_reads_more_than_the_nearest_known_sample():
  features, labels, new_features, new_labels = _blobs()
  (_, aux, aux_labels, _), result, shares = _attacked()
  for draw in range(2):
    nearest = attacks.nearest_labels(new_features, aux[draw], aux_labels[draw])
    assert shares[draw] > np.mean(nearest == new_labels) + 0.05
    guess = attacks.nearest_labels(features, aux[draw], aux_labels[draw])
    read = np.mean(result.train_labels[draw] == labels)
    assert read > np.mean(guess == labels) + 0.05


def test_reads_as_logistic_regression_from_labels_that_leaked():
  features, labels, new_features, new_labels = _blobs()
  mean, scale = features.mean(axis=0), features.std(axis=0)
  reference = linear_model.LogisticRegression(max_iter=500).fit(
    (features - mean[None]) / scale[None], _in_ten(labels)
  )
  expected = reference.score(
    (new_features - mean[None]) / scale[None], new_labels
  )
  assert expected > 0.85
  shares = _attacked()[2][2:4]
  assert (shares > expected - 0.02).all(), (shares, expected)


def test_reads_nothing_from_shuffled_labels():
  assert (_attacked()[2][4:6] < 0.45).all(), _attacked()[2]


def test_follows_the_labels_that_it_is_given():
  """Shifted by a class: it never sees the truth."""
  _, result, shares = _attacked()
  new_labels = _blobs()[3]
  assert (shares[6:] < 0.1).all()
  shifted = (new_labels[None] + 1) % _CLASSES
  assert (np.mean(result.labels[6:] == shifted, axis=1) > 0.85).all()


def test_results_have_their_shapes_and_agree():
  result = _attacked()[1]
  assert result.logits.shape == (8, 201, _CLASSES)
  assert result.logits.dtype == jnp.float32
  assert result.train_labels.shape == (8, 300)
  np.testing.assert_array_equal(jnp.argmax(result.logits, 2), result.labels)


def test_vmap_over_draws_equals_a_loop_and_the_key_decides():
  (keys, *rest), result, _ = _attacked()
  features, _, new_features, _ = _blobs()
  one_fn = functools.partial(transfer.transfer_labels, **_OPTIONS)
  aux, aux_labels, guesses = (x[0] for x in rest)
  run = lambda key: one_fn(
    key, features, aux, aux_labels, new_features, pseudo_labels=guesses
  )
  one = run(keys[0])
  np.testing.assert_allclose(one.logits, result.logits[0], rtol=0.01, atol=0.01)
  np.testing.assert_array_equal(one.logits, run(keys[0]).logits)
  assert np.any(one.logits != run(keys[1]).logits)


def _tiny(**options):
  options = dict(num_classes=3, num_epochs=2, batch_size=4) | options
  return functools.partial(transfer.transfer_labels, **options)


def test_default_guesses_are_those_of_the_nearest():
  features, _, new_features, _ = _blobs()
  key, aux, aux_labels = jax.random.key(0), features[:3], jnp.array([2, 0, 1])
  run = lambda **kwargs: _tiny()(
    key, features[:9], aux, aux_labels, new_features[:5], **kwargs
  )
  guesses = attacks.nearest_labels(features[:9], aux, aux_labels)
  np.testing.assert_array_equal(run().logits, run(pseudo_labels=guesses).logits)


@pytest.mark.parametrize(
  'num, options', [(1, {}), (9, {'hidden_size': 5, 'normalize': False})]
)
def test_edges_stay_finite(num, options):
  """One sample, zeros, duplicates, bfloat16, labels to ignore, more aux."""
  features = jnp.zeros((num, 2), jnp.bfloat16).at[0].set(3)
  aux_labels = jnp.array([0, 1, -1, 7, 2, 1])
  with jax.debug_nans(True):
    result = _tiny(**options)(
      jax.random.key(0), features, jnp.ones((6, 2)), aux_labels, features
    )
  assert np.isfinite(result.logits).all() and result.logits.dtype == jnp.float32
  np.testing.assert_array_equal(result.labels, result.train_labels)
  if num > 1:  # Duplicates.
    np.testing.assert_allclose(result.logits[1], result.logits[2], rtol=1e-5)


def _with_temperature(temperature, dtype='float32', **rates):
  features, labels, new_features, _ = _blobs()
  return _tiny(num_classes=4, num_epochs=4, batch_size=16)(
    jax.random.key(0),
    jnp.asarray(features, dtype),
    jnp.asarray(features[:8], dtype),
    labels[:8],
    jnp.asarray(new_features, dtype),
    pseudo_labels=labels,
    temperature=temperature,
    **rates,
  )


def test_bfloat16_features_give_nearly_the_same():
  wide, narrow = (_with_temperature(0.5, x) for x in ('float32', 'bfloat16'))
  assert np.mean(wide.labels == narrow.labels) > 0.95


def test_own_predictions_sharpened_are_the_targets_of_the_second_half():
  surest = lambda logits: np.mean(np.max(jax.nn.softmax(logits), axis=1))

  def gap(trust):
    sharp, blunt = (
      _with_temperature(x, learning_rate=0.1, trust=trust).logits
      for x in (0.1, 5.0)
    )
    return surest(sharp) - surest(blunt)

  assert gap(0.0) > 0.03
  assert 0.01 < gap(0.5) < gap(0.0)
  assert gap(1.0) == 0  # Only the pseudo-labels are.


def test_auxiliary_samples_weigh_what_they_are_said_to():
  """With wrong labels, they are read as others where their weight is 0."""
  features, labels, _, _ = _blobs()
  right = lambda weight: np.mean(
    _tiny(num_classes=4, num_epochs=4, batch_size=16)(
      jax.random.key(0),
      jnp.asarray(features),
      jnp.asarray(features[:8]),
      (labels[:8] + 1) % 4,
      jnp.asarray(features[:8]),
      pseudo_labels=labels,
      aux_weight=weight,
      learning_rate=0.1,
    ).labels
    == labels[:8]
  )
  assert right(0.0) >= 7 / 8
  assert right(100.0) <= 1 / 8


def _rotate(params, inputs):
  return inputs.reshape(len(inputs), -1) @ params['w']


def _fine_tune(params, inputs, new_inputs, rate):
  labels = _blobs()[1]
  return transfer.tuned_transfer_labels(
    jax.random.key(0),
    _rotate,
    params,
    inputs,
    inputs[:8],
    labels[:8],
    new_inputs,
    pseudo_labels=labels,
    extractor_learning_rate=rate,
    chunk_size=64,
    **_OPTIONS | {'num_epochs': 10},
  )


def test_fine_tuned_extractor_learns_what_a_frozen_one_cannot():
  """An extractor that shows too little of its inputs."""
  features, labels, new_features, new_labels = _blobs()
  scale = features.std(axis=0)[None]
  inputs = (features / scale).reshape(-1, 2, 4)
  new_inputs = (new_features / scale).reshape(-1, 2, 4)
  w = 0.1 * np.random.default_rng(3).normal(size=(8, 3)).astype(np.float32)
  w[2:] = 0
  frozen = _fine_tune({'w': w}, inputs, new_inputs, 0.0)
  tuned = _fine_tune({'w': w}, inputs, new_inputs, 1e-2)
  share = lambda result: np.mean(result.labels == new_labels)
  assert share(tuned) > 0.85 and share(tuned) > share(frozen) + 0.1
  # Frozen, it is the other attack on what the extractor makes.
  expected = transfer.transfer_labels(
    jax.random.key(0),
    _rotate({'w': w}, inputs),
    _rotate({'w': w}, inputs[:8]),
    labels[:8],
    _rotate({'w': w}, new_inputs),
    pseudo_labels=labels,
    **_OPTIONS | {'num_epochs': 10},
  )
  np.testing.assert_allclose(
    frozen.logits, expected.logits, rtol=1e-2, atol=1e-2
  )


@pytest.mark.parametrize(
  'change, message',
  [
    (dict(new_features=np.ones((2, 3), 'f')), 'new_features must be as wide'),
    (dict(aux_labels=np.arange(2)), 'aux_labels must have shape'),
    (dict(pseudo_labels=np.arange(2)), 'pseudo_labels must have shape'),
    (dict(pseudo_labels=np.ones(5, 'f')), 'pseudo_labels must be integers'),
    (dict(num_epochs=0), 'num_epochs must be at least 1, got 0'),
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
    transfer.transfer_labels, jax.random.key(0), **kwargs | change
  )
  with pytest.raises(ValueError, match=message):
    jax.eval_shape(run)
