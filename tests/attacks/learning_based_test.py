import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from splitjax.attacks import learning_based

pytestmark = pytest.mark.slow  # Compiles for long.


def _problem(seed, form='noise', num=240, num_classes=3, width=8, shares=None):
  """Smashed data, true gradients of a batch's mean loss, labels; known last."""
  rng = np.random.default_rng(seed)
  truth = rng.choice(num_classes, num, p=shares)
  truth = np.concatenate([truth, np.arange(num_classes)])
  smashed = rng.normal(size=(len(truth), width))
  kernel = rng.normal(size=(width, num_classes)) / np.sqrt(width)
  if form == 'blobs':
    smashed += 2 * rng.normal(size=(num_classes, width))[truth]
  if form == 'deep':  # Two linear layers.
    kernel = rng.normal(size=(width, width)) / np.sqrt(width) @ kernel
  rest = special.softmax(smashed @ kernel, axis=1) - np.eye(num_classes)[truth]
  cut_grads = rest @ kernel.T / 32
  if form == 'unrelated':
    cut_grads = rng.normal(size=cut_grads.shape)
  if form == 'tiny':
    cut_grads = cut_grads * 1e-15
  arrays = smashed.astype(np.float32), cut_grads.astype(np.float32)
  seen, known = zip(*((x[:num], x[num:]) for x in arrays), strict=True)
  return seen, known, truth[:num], truth[num:]


FORMS = ('noise', 'blobs', 'deep', 'tiny', 'unrelated')


def _stack(problems):
  return jax.tree.map(lambda *x: np.stack(x), *problems)


@jax.jit
def _attack(key, seen, known, aux_labels):
  return learning_based.learning_based_labels(
    key, *seen, *known, aux_labels, num_classes=3, num_epochs=60, batch_size=64
  )


@jax.jit
def _attacks(keys, seen, known, aux_labels):
  return jax.vmap(_attack)(keys, seen, known, aux_labels)


def _run(forms, seed=0):
  problems = [_problem(seed + i, form) for i, form in enumerate(forms)]
  seen, known, truth, aux_labels = _stack(problems)
  keys = jax.random.split(jax.random.key(seed), len(forms))
  return _attacks(keys, seen, known, aux_labels), truth


def test_reads_labels_where_gradients_tell_them_and_chance_elsewhere():
  result, truth = _run(FORMS)
  right = dict(zip(FORMS, np.mean(result.labels == truth, axis=1), strict=True))
  for form in FORMS[:-1]:
    assert right[form] > 0.97, right
  assert right['unrelated'] < 0.5, right
  np.testing.assert_array_equal(np.argmax(result.logits, -1), result.labels)
  assert result.losses.shape == (5, 60)
  assert np.all(result.losses[:, -1] < result.losses[:, 0])


def test_names_are_those_of_the_known_samples():
  seen, known, truth, aux_labels = _problem(0)
  names = np.array([2, 0, 1])
  result = _attack(jax.random.key(0), seen, known, names[aux_labels])
  assert np.mean(result.labels == names[truth]) > 0.97


def test_same_key_same_answer_and_vmap_equals_a_loop():
  result, _ = _run(FORMS)
  again, _ = _run(FORMS)
  jax.tree.map(np.testing.assert_array_equal, result, again)
  keys = jax.random.split(jax.random.key(0), len(FORMS))
  seen, known, _, aux_labels = _problem(0, FORMS[0])
  one = _attack(keys[0], seen, known, aux_labels)
  assert np.mean(one.labels == result.labels[0]) > 0.99


def test_bfloat16_with_an_empty_row_and_without_warm_up():
  (smashed, cut_grads), known, truth, aux_labels = _problem(
    0, num_classes=2, num=100
  )
  cut_grads[0] = 0  # Compression empties rows.
  with jax.debug_nans(True):
    result = learning_based.learning_based_labels(
      jax.random.key(0),
      *(jnp.bfloat16(x) for x in (smashed, cut_grads, *known)),
      aux_labels,
      num_classes=2,
      hidden_sizes=(4,),
      num_warmup_steps=0,
      num_epochs=60,
      batch_size=100,
    )
  assert result.logits.dtype == jnp.float32
  assert np.mean(result.labels == truth) > 0.95


def _regression(seed, scale=1.0, num=240, num_known=10, width=8):
  rng = np.random.default_rng(seed)
  smashed = rng.normal(size=(num + num_known, width))
  weights, kernel = rng.normal(size=(2, width)) / np.sqrt(width)
  truth = smashed @ weights + 0.5 * rng.normal(size=len(smashed))
  errors = smashed @ kernel + 0.3 - truth
  cut_grads = 2 * scale * errors[:, None] * kernel[None] / 32
  arrays = [np.float32(x) for x in (smashed, cut_grads)]
  seen, known = zip(*((x[:num], x[num:]) for x in arrays), strict=True)
  # In other units than the label party's.
  truth = np.float32(50 + 20 * truth)
  return seen, known, truth[:num], truth[num:]


def test_reads_real_targets():
  scales = (1.0, 1.0, 1e-15, 1e3)
  problems = [_regression(seed, scale) for seed, scale in enumerate(scales)]
  seen, known, truth, aux_targets = _stack(problems)
  noise = np.random.default_rng(0).normal(size=seen[1].shape[1:])
  seen[1][1] = noise  # Gradients that tell nothing.
  result = jax.jit(
    jax.vmap(
      lambda key, seen, known, aux_targets: (
        learning_based.learning_based_targets(
          key, *seen, *known, aux_targets, num_epochs=80, batch_size=64
        )
      )
    )
  )(jax.random.split(jax.random.key(0), 4), seen, known, aux_targets)
  found = [
    np.corrcoef(x, y)[0, 1] for x, y in zip(result.targets, truth, strict=True)
  ]
  assert min(found[0], found[2], found[3]) > 0.95, found
  assert found[1] < 0.8, found
  errors = np.sqrt(np.mean((result.targets - truth) ** 2, axis=1))
  spread = np.std(truth, axis=1)
  # The pull of targets to predictions makes their spread too small.
  assert np.all((errors / spread)[[0, 2, 3]] < 0.8), errors / spread
  assert result.losses.shape == (4, 80)


def test_equal_targets_and_one_sample_are_finite():
  seen, known, _, aux_targets = _regression(0, num=1, num_known=2)
  with jax.debug_nans(True):
    result = learning_based.learning_based_targets(
      jax.random.key(0),
      *seen,
      *known,
      np.zeros_like(aux_targets),
      num_restarts=1,
      num_warmup_steps=2,
      num_epochs=2,
    )
  assert result.targets.shape == (1,) and np.isfinite(result.targets).all()


def test_bad_arguments_are_named():
  seen, known, _, aux_labels = _problem(0)
  labels_fn = lambda *args, **kwargs: jax.eval_shape(
    lambda: learning_based.learning_based_labels(
      jax.random.key(0), *args, **dict(num_classes=3) | kwargs
    )
  )
  targets_fn = lambda *args: jax.eval_shape(
    lambda: learning_based.learning_based_targets(jax.random.key(0), *args)
  )
  with pytest.raises(ValueError, match='num_classes must be at least 2'):
    labels_fn(*seen, *known, aux_labels, num_classes=1)
  with pytest.raises(ValueError, match='num_warmup_steps must be at least 0'):
    labels_fn(*seen, *known, aux_labels, num_warmup_steps=-1)
  with pytest.raises(ValueError, match='aux_labels must have shape'):
    labels_fn(*seen, *known, aux_labels[:1])
  with pytest.raises(ValueError, match='aux_targets must be floating'):
    targets_fn(*seen, *known, aux_labels)
