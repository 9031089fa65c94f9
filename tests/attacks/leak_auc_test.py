"""Leak AUCs on a real binary set, against the attacks written out in NumPy."""

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


@pytest.fixture(scope='module')
def recorded():
  """Cut gradients of the first pass, true labels, one known row a class."""
  dataset = data.load_breast_cancer(seed=0)
  inputs = jnp.asarray(dataset.train_inputs)
  labels = jnp.asarray(dataset.train_labels)
  _, log, _ = jax.jit(
    lambda key: training.train(
      key,
      inputs,
      labels,
      num_epochs=1,
      batch_size=32,
      model=split.SplitModel(models.mlp(2), (7,)),
      # Fast enough for the gradients to turn while the model learns.
      optimizers=[optax.sgd(0.5)] * 2,
      record_fn=lambda exchanges: exchanges[0].cut_grads,
    )
  )(jax.random.key(0))
  truth = dataset.train_labels[np.asarray(log.positions)]
  known = np.array([np.flatnonzero(truth == c)[3] for c in range(2)])
  return np.asarray(log.recorded, np.float64), truth, known


def _norm(vectors, known):
  """The rarer class has the longer gradients; which it is, the known say."""
  lengths = np.linalg.norm(vectors, axis=1)
  return lengths if lengths[known[1]] > lengths[known[0]] else -lengths


def _direction(vectors, known):
  units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
  return units @ units[known[1]]


def _inner_product(vectors, known):
  return vectors @ vectors[known[1]]


def _spectral(vectors, known):
  centred = vectors - vectors.mean(axis=0)
  along = centred @ np.linalg.svd(centred, full_matrices=False)[2][0]
  return along if along[known[1]] > along[known[0]] else -along


@pytest.mark.parametrize('name', ['norm', 'direction', 'inner_product'])
def test_scores_leak_what_the_references_do(recorded, name):
  vectors, truth, known = recorded
  score_fn = getattr(attacks, f'{name}_scores')
  wide = jnp.asarray(vectors, jnp.float32)
  scores = score_fn(wide, wide[known], jnp.arange(2))
  reference = globals()[f'_{name}'](vectors, known)
  found, expected = (
    sklearn_metrics.roc_auc_score(truth, x) for x in (scores, reference)
  )
  assert abs(found - expected) < 0.02
  if name != 'norm':
    assert expected > 0.9


def test_spectral_leaks_what_the_reference_does(recorded):
  vectors, truth, known = recorded
  scores = attacks.spectral_scores(
    jax.random.key(0),
    jnp.asarray(vectors, jnp.float32),
    jnp.asarray(vectors[known], jnp.float32),
    jnp.arange(2),
  )
  found, expected = (
    sklearn_metrics.roc_auc_score(truth, x)
    for x in (scores, _spectral(vectors, known))
  )
  assert abs(found - expected) < 0.02
