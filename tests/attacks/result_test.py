import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax import attacks
from splitjax.attacks.result import AttackResult
from splitjax.attacks.result import Groups

GROUPS = Groups(jnp.array([1, 0]), jnp.array([0, 1]), jnp.eye(2), 3.0)


def test_passes_through_jit_and_keeps_what_is_none():
  result = AttackResult(jnp.array([1, 0]), groups=GROUPS)
  found = jax.jit(lambda x: x._replace(labels=x.labels + 1))(result)
  assert isinstance(found, AttackResult) and isinstance(found.groups, Groups)
  np.testing.assert_array_equal(found.labels, [2, 1])
  np.testing.assert_array_equal(found.groups.centroids, GROUPS.centroids)
  assert found.logits is None and found.train_labels is None
  assert len(jax.tree.leaves(found)) == 5


def test_vmap_adds_an_axis_to_what_there_is():
  make = lambda x: AttackResult(x, scores=x * 0.5, groups=Groups(x, 1 - x))
  found = jax.vmap(make)(jnp.arange(6).reshape(2, 3))
  assert found.labels.shape == found.scores.shape == (2, 3)
  assert found.groups.labels.shape == (2, 3)
  assert found.groups.centroids is None and found.losses is None


def test_attack_in_vmap_equals_a_loop():
  vectors = jnp.array([[2.0, 0.0], [0.0, 1.0], [3.0, 0.1], [0.1, 2.0]])
  names = jnp.array([[0, 1], [1, 0]])
  attack = lambda labels: attacks.cluster_labels(
    jax.random.key(0), vectors, vectors[:2], labels, num_classes=2
  )
  found = jax.jit(jax.vmap(attack))(names)
  for index in range(2):
    one = attack(names[index])
    jax.tree.map(
      np.testing.assert_array_equal,
      jax.tree.map(lambda x: x[index], found),  # noqa: B023
      one,
    )


def test_earlier_names_read_the_fields():
  labels, guesses = jnp.array([1, 0]), jnp.array([1, 1, 0])
  result = AttackResult(labels, groups=GROUPS, train_labels=guesses)
  assert result.targets is labels and result.pseudo_labels is guesses
  assert result.assignments is GROUPS.assignments
  assert result.cluster_labels is result.group_labels is GROUPS.labels
  assert result.centroids is GROUPS.centroids
  assert result.inertia == 3.0
  alone = AttackResult(labels)
  assert alone.assignments is alone.cluster_labels is alone.group_labels is None
  assert alone.centroids is alone.inertia is alone.pseudo_labels is None


@pytest.mark.parametrize(
  'old, new',
  [
    ('ClusterResult', 'AttackResult'),
    ('TransferResult', 'AttackResult'),
    ('complete_model', 'completion_labels'),
    ('fine_tuned_completion', 'tuned_completion_labels'),
    ('fine_tuned_labels', 'tuned_transfer_labels'),
    ('name_online', 'online_labels'),
  ],
)
def test_old_name_is_the_new_one(old, new):
  assert getattr(attacks, old) is getattr(attacks, new)
  assert {old, new} <= set(attacks.__all__)


def test_kmeans_is_the_function_and_the_folder():
  from splitjax.attacks.kmeans import lloyd
  from splitjax.attacks.kmeans.lloyd import kmeans

  assert attacks.kmeans is kmeans is lloyd.kmeans
