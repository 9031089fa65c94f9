import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from splitjax.attacks import unsplit

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
  return unsplit.unsplit_labels(
    key, *seen, *known, aux_labels, num_classes=3, num_epochs=15, batch_size=64
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
  # What is best by its logits is what it is labelled.
  np.testing.assert_array_equal(np.argmax(result.logits, -1), result.labels)
  np.testing.assert_array_equal(
    np.take_along_axis(result.group_labels, result.assignments, axis=1),
    result.labels,
  )
  assert np.all(result.losses[:4, -1] < 0.1) and result.losses[4, -1] > 0.2
  assert result.losses.shape == (5, 15)


def test_same_key_same_answer_and_vmap_equals_a_loop():
  result, _ = _run(FORMS)
  again, _ = _run(FORMS)
  jax.tree.map(np.testing.assert_array_equal, result, again)
  keys = jax.random.split(jax.random.key(0), len(FORMS))
  for index in (0, 1):
    seen, known, _, aux_labels = _problem(index, FORMS[index])
    one = _attack(keys[index], seen, known, aux_labels)
    np.testing.assert_array_equal(one.labels, result.labels[index])


def test_without_known_samples_in_bfloat16_groups_are_right():
  (smashed, cut_grads), _, truth, _ = _problem(0, num=100)
  cut_grads[0] = 0  # Compression empties rows.
  smashed, cut_grads = jnp.bfloat16(smashed), jnp.bfloat16(cut_grads)
  with jax.debug_nans(True):
    result = unsplit.unsplit_labels(
      jax.random.key(1),
      smashed,
      cut_grads,
      num_classes=3,
      hidden_sizes=(6,),
      num_epochs=25,
      batch_size=64,
    )
  np.testing.assert_array_equal(result.labels, result.assignments)
  assert result.logits.dtype == jnp.float32
  votes = np.zeros((3, 3))
  np.add.at(votes, (np.asarray(result.labels), truth), 1)
  assert votes.max(axis=1).sum() > 95
  assert sorted(votes.argmax(axis=1)) == [0, 1, 2]


def test_one_sample_and_one_epoch():
  (smashed, cut_grads), _, _, _ = _problem(0, num=1)
  result = unsplit.unsplit_labels(
    jax.random.key(0),
    smashed,
    cut_grads,
    num_classes=2,
    num_restarts=1,
    num_epochs=1,
  )
  assert result.labels.shape == (1,) and np.isfinite(result.logits).all()


def test_bad_arguments_are_named():
  (smashed, cut_grads), (aux_smashed, _), _, _ = _problem(0)
  run = lambda *args, **kwargs: jax.eval_shape(
    lambda: unsplit.unsplit_labels(
      jax.random.key(0), *args, **dict(num_classes=3) | kwargs
    )
  )
  with pytest.raises(ValueError, match='num_classes must be at least 2'):
    run(smashed, cut_grads, num_classes=1)
  with pytest.raises(ValueError, match='num_restarts must be'):
    run(smashed, cut_grads, num_restarts=0)
  with pytest.raises(ValueError, match='cut_grads must be as wide'):
    run(smashed, cut_grads[:, :2])
  with pytest.raises(ValueError, match='must be given together'):
    run(smashed, cut_grads, aux_smashed)
