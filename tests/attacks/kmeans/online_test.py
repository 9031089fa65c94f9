"""Clustering batch by batch, against clustering what was recorded."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn import metrics as sklearn_metrics

from splitjax import attacks
from splitjax import data
from splitjax import models
from splitjax import training
from splitjax.training import split

NUM_CLASSES, WIDTH, BATCH = 4, 8, 64


def _batches(num_batches, seed=0, noise=0.3):
  """Gradients on a simplex of directions, whose lengths differ by decades."""
  rng = np.random.default_rng(seed)
  means = np.eye(NUM_CLASSES, WIDTH)
  means -= means.mean(axis=0)
  truth = rng.integers(0, NUM_CLASSES, (num_batches, BATCH))
  vectors = means[truth] + noise * rng.normal(
    size=(num_batches, BATCH, WIDTH)
  ) / np.sqrt(WIDTH)
  lengths = 10 ** rng.uniform(-3, 1, (num_batches, BATCH, 1))
  return jnp.asarray(lengths * vectors, jnp.float32), truth


def _run(vectors, key=0, **kwargs):
  start = attacks.start_online(
    jax.random.key(key), num_clusters=NUM_CLASSES, width=vectors.shape[-1]
  )
  step = lambda clusters, batch: attacks.cluster_batch(
    clusters, batch, **kwargs
  )
  return jax.jit(lambda vectors: jax.lax.scan(step, start, vectors))(vectors)


def test_separated_classes_are_clusters_that_last():
  vectors, truth = _batches(5)
  clusters, found = _run(vectors)
  assert found.shape == truth.shape
  # One cluster a class in all batches, not in each for itself.
  score = sklearn_metrics.adjusted_rand_score(truth.ravel(), found.ravel())
  assert score > 0.99
  assert clusters.num_batches == 5
  rows = np.array([np.flatnonzero(truth.ravel() == c)[0] for c in range(4)])
  labels = attacks.online_labels(
    found.ravel(), jnp.asarray(rows), jnp.arange(4), num_classes=4
  )
  assert np.mean(labels == truth.ravel()) > 0.99


def test_centroids_and_sizes_are_those_written_out():
  """Each batch is settled, so that its clusters are its nearest centroids."""
  vectors, _ = _batches(3)
  clusters, found = _run(vectors, memory=0.5)
  units = np.asarray(vectors)
  units = units / np.linalg.norm(units, axis=2, keepdims=True)
  centroids, sizes = np.zeros((NUM_CLASSES, WIDTH)), np.zeros(NUM_CLASSES)
  for batch, assigned in zip(units, np.asarray(found), strict=True):
    for c in range(NUM_CLASSES):
      mine = batch[assigned == c]
      if len(mine):
        total = 0.5 * sizes[c] + len(mine)
        centroids[c] = (0.5 * sizes[c] * centroids[c] + mine.sum(0)) / total
        sizes[c] = total
  np.testing.assert_allclose(clusters.centroids, centroids, atol=1e-5)
  np.testing.assert_allclose(clusters.sizes, sizes, rtol=1e-5)


def test_class_that_a_batch_lacks_keeps_its_cluster():
  vectors, truth = _batches(3)
  lacking = np.flatnonzero(truth[1] != 2)
  some = lacking[np.arange(BATCH) % len(lacking)]
  vectors = vectors.at[1].set(vectors[1][some])
  truth[1] = truth[1][some]
  _, found = _run(vectors)
  score = sklearn_metrics.adjusted_rand_score(truth.ravel(), found.ravel())
  assert score > 0.99


def test_last_batch_may_be_smaller_than_the_number_of_clusters():
  vectors, truth = _batches(2)
  clusters, found = _run(vectors)
  after, last = attacks.cluster_batch(clusters, vectors[0][:2])
  np.testing.assert_array_equal(last, found[0][:2])
  assert after.num_batches == 3


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16])
def test_zero_vectors_and_duplicates_are_no_harm(dtype):
  vectors, _ = _batches(2)
  vectors = vectors.at[0, :5].set(0).at[1, 3:9].set(vectors[1, 3][None])
  clusters, found = _run(vectors.astype(dtype))
  assert np.isfinite(clusters.centroids).all()
  assert clusters.centroids.dtype == jnp.float32
  assert len(set(np.asarray(found[1, 3:9]))) == 1
  clusters, _ = _run(jnp.zeros((2, BATCH, WIDTH), dtype))
  assert np.isfinite(clusters.centroids).all()


def test_vmap_equals_a_loop():
  vectors = jnp.stack([_batches(2, seed, noise=1.5)[0] for seed in range(3)])
  starts = [
    attacks.start_online(
      jax.random.key(seed), num_clusters=NUM_CLASSES, width=WIDTH
    )
    for seed in range(3)
  ]
  stacked = jax.tree.map(lambda *x: jnp.stack(x), *starts)
  run = lambda start, vectors: jax.lax.scan(
    attacks.cluster_batch, start, vectors
  )
  _, found = jax.jit(jax.vmap(run))(stacked, vectors)
  for index, start in enumerate(starts):
    _, alone = jax.jit(run)(start, vectors[index])
    np.testing.assert_array_equal(found[index], alone)


def test_bad_arguments_are_named():
  with pytest.raises(ValueError, match='num_clusters'):
    attacks.start_online(jax.random.key(0), num_clusters=0, width=3)
  start = attacks.start_online(jax.random.key(0), num_clusters=2, width=3)
  with pytest.raises(ValueError, match='vectors'):
    attacks.cluster_batch(start, jnp.zeros((5, 4)))


@pytest.mark.slow
def test_labels_are_read_while_a_network_trains():
  """Nothing of a gradient is kept: the log holds one number a sample."""
  digits = data.load_digits(seed=0)
  inputs = jnp.asarray(digits.train_inputs)
  labels = jnp.asarray(digits.train_labels)
  model = split.SplitModel(models.mlp(10), (7,))
  optimizers = [optax.sgd(0.05)] * 2
  start = attacks.start_online(jax.random.key(1), num_clusters=10, width=64)

  def observe(seen, exchanges):
    return attacks.cluster_batch(seen, exchanges[0].cut_grads)

  @jax.jit
  def run(key):
    state = training.init(key, inputs, model=model, optimizers=optimizers)
    return training.train_epoch(
      key,
      state,
      inputs,
      labels,
      model=model,
      optimizers=optimizers,
      batch_size=256,
      observe_fn=observe,
      seen=start,
    )[1]

  log = run(jax.random.key(0))
  assert log.recorded.shape == labels.shape
  assert log.seen.num_batches == len(log.losses)
  truth = np.asarray(labels)[log.positions]
  rows = np.array([np.flatnonzero(truth == c)[0] for c in range(10)])
  found = attacks.online_labels(
    log.recorded, jnp.asarray(rows), jnp.arange(10), num_classes=10
  )
  assert np.mean(found == truth) > 0.95
