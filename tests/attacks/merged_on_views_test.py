import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax.attacks import strongest_on_views
from splitjax.attacks.merged_on_views import applies
from splitjax.records.viewing import Own
from splitjax.records.viewing import Passes
from splitjax.records.viewing import View

_MEANS = np.array([[0.0, 0], [0, 6], [4, 0], [4, 6]])  # 0 and 1 are merged.


def _samples(num, seed):
  rng = np.random.default_rng(seed)
  labels = np.arange(num) % 4
  inputs = _MEANS[labels] + 0.6 * rng.normal(size=(num, 2))
  # Features and gradients tell the merged labels alone.
  merged = np.eye(2)[labels // 2]
  features = 3 * merged + 0.3 * rng.normal(size=(num, 2))
  gradients = merged - 0.5 + 0.05 * rng.normal(size=(num, 2))
  return labels, *(x.astype(np.float32) for x in (inputs, features, gradients))


def _view(*, num_merged, of_features, new):
  labels, inputs, features, gradients = _samples(80, 0)
  new_labels, new_inputs, new_features, _ = _samples(40, 1)
  rows = np.arange(4)
  vectors = features if of_features else gradients
  passes = Passes(
    vectors=gradients[None],
    steps=np.zeros((1, 80), int),
    inputs=inputs,
    new_inputs=new_inputs if new else None,
    num_merged=num_merged,
  )
  truth = new_labels if new else labels
  return truth, View(
    vectors=new_features if new else vectors,
    aux_vectors=vectors[rows],
    aux_labels=labels[rows],
    sample_ids=np.arange(len(truth)) + 80 * new,
    aux_ids=rows,
    num_classes=4,
    own=Own(
      features=features if of_features else None,
      passes=passes,
      aux_rows=rows,
      new_samples=new,
    ),
  )


@pytest.mark.parametrize(
  'of_features,new', [(False, False), (True, False), (True, True)]
)
def test_own_inputs_tell_the_classes_of_a_group(of_features, new):
  truth, view = _view(num_merged=2, of_features=of_features, new=new)
  view = jax.tree.map(jnp.asarray, view)
  found = strongest_on_views.strongest(jax.random.key(0), view)
  assert np.mean(np.asarray(found.labels) == truth) > 0.9
  assert found.logits.shape == (len(truth), 4)


def test_samples_whose_gradient_is_not_finite_are_named_by_nobody():
  truth, view = _view(num_merged=2, of_features=False, new=False)
  vectors = view.own.passes.vectors.copy()
  vectors[0, [5, 17]] = np.nan
  passes = view.own.passes.replace(vectors=vectors)
  view = view.replace(vectors=vectors[0], own=view.own.replace(passes=passes))
  view = jax.tree.map(jnp.asarray, view)
  found = np.asarray(
    strongest_on_views.strongest(jax.random.key(0), view).labels
  )
  assert np.flatnonzero(found == -1).tolist() == [5, 17]
  assert np.mean(found == truth) > 0.9


def test_one_merged_label_leaves_the_inputs():
  truth, view = _view(num_merged=1, of_features=False, new=False)
  view = jax.tree.map(jnp.asarray, view)
  found = strongest_on_views.strongest(jax.random.key(0), view)
  assert np.mean(np.asarray(found.labels) == truth) > 0.9


def test_it_applies_with_inputs_and_merged_labels_only():
  _, view = _view(num_merged=2, of_features=False, new=False)
  assert applies(view.own)
  passes = view.own.passes
  assert not applies(view.own.replace(passes=passes.replace(inputs=None)))
  assert not applies(view.own.replace(passes=passes.replace(num_merged=0)))
  assert not applies(view.own.replace(passes=None))
