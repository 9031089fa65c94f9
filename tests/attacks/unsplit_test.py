import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax.attacks import unsplit

pytestmark = pytest.mark.slow  # Compiles for long.


@jax.jit
def _attack(key, problem):
  return unsplit.unsplit_labels(
    key,
    *problem.seen,
    *problem.known,
    num_classes=3,
    num_epochs=15,
    batch_size=64,
  )


_attacks = jax.jit(jax.vmap(_attack))


@pytest.fixture(scope='module')
def found(all_forms):
  """What is found of each form."""
  return _attacks(*all_forms)


def test_reads_labels_where_gradients_tell_them_and_chance_elsewhere(
  all_forms, found
):
  right = np.mean(found.labels == all_forms[1].truth, axis=1)
  assert np.all(right[:-1] > 0.97) and right[-1] < 0.5, right
  # What is best by its logits is what it is labelled.
  np.testing.assert_array_equal(np.argmax(found.logits, -1), found.labels)
  np.testing.assert_array_equal(
    np.take_along_axis(found.group_labels, found.assignments, axis=1),
    found.labels,
  )
  assert np.all(found.losses[:4, -1] < 0.1) and found.losses[4, -1] > 0.2
  assert found.losses.shape == (5, 15)


def test_same_key_same_answer_and_vmap_equals_a_loop(all_forms, found):
  jax.tree.map(np.testing.assert_array_equal, found, _attacks(*all_forms))
  for index in (0, 1):
    one = _attack(*jax.tree.map(lambda x: x[index], all_forms))  # noqa: B023
    np.testing.assert_array_equal(one.labels, found.labels[index])


def test_without_known_samples_in_bfloat16_groups_are_right(draw_problem):
  problem = draw_problem(0, num=100)
  smashed, cut_grads = problem.seen
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
  np.add.at(votes, (np.asarray(result.labels), problem.truth), 1)
  assert votes.max(axis=1).sum() > 95
  assert sorted(votes.argmax(axis=1)) == [0, 1, 2]


def test_one_sample_and_one_epoch(draw_problem):
  result = unsplit.unsplit_labels(
    jax.random.key(0),
    *draw_problem(0, num=1).seen,
    num_classes=2,
    num_restarts=1,
    num_epochs=1,
  )
  assert result.labels.shape == (1,) and np.isfinite(result.logits).all()


def test_bad_arguments_are_named(draw_problem):
  smashed, cut_grads = draw_problem(0).seen
  for message, arrays in (
    ('cut_grads must be as wide', (smashed, cut_grads[:, :2])),
    ('must be given together', (smashed, cut_grads, smashed)),
  ):
    with pytest.raises(ValueError, match=message):
      unsplit.unsplit_labels(jax.random.key(0), *arrays, num_classes=3)
