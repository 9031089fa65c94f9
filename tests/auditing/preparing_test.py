"""Which classes and samples are attacked, and which are known."""

import dataclasses

import hypothesis
from hypothesis import strategies as st
import jax
import numpy as np
import pytest

from splitjax.auditing import material
from splitjax.auditing import places
from splitjax.auditing import preparing
from splitjax.auditing.options import Options
from splitjax.errors import ConfigError


def _run(labels, **kwargs):
  rows = np.arange(len(labels), dtype=np.float32)[:, None]
  return material.from_arrays(
    {'smashed': rows, 'cut_grads': rows, 'labels': labels, **kwargs}
  )


@hypothesis.given(
  labels=st.lists(st.integers(0, 4), min_size=12, max_size=40),
  num_aux=st.integers(1, 3),
)
@hypothesis.settings(max_examples=100)
def test_classes_that_are_too_few_are_left_out_and_said(labels, num_aux):
  labels = np.array([0] * 5 + [1] * 5 + labels)
  names, sizes = np.unique(labels, return_counts=True)
  expected = names[sizes > num_aux]
  found = preparing.prepare(
    [_run(labels)], Options(num_aux=num_aux, num_aux_draws=4)
  )
  assert found.class_names == tuple(map(str, expected))
  assert (
    found.rows[0].tolist() == np.flatnonzero(np.isin(labels, expected)).tolist()
  )
  np.testing.assert_array_equal(
    expected[found.labels[0]], labels[found.rows[0]]
  )
  said = [x for x in found.notes if 'left out' in x]
  rare = names[sizes <= num_aux]
  assert len(said) == (len(rare) > 0)
  assert all(str(one) in said[0] for one in rare)
  drawn = found.auxiliary[0]
  assert drawn.ids.shape == (4, num_aux * len(expected))
  np.testing.assert_array_equal(drawn.labels, found.labels[0][drawn.ids])
  for ids, known in zip(drawn.ids, drawn.labels, strict=True):
    assert len(set(ids)) == len(ids)
    assert (np.bincount(known) == num_aux).all()


@hypothesis.given(
  seed=st.integers(0, 2**32 - 1), each=st.integers(1, 4), num=st.integers(5, 40)
)
def test_first_samples_of_each_class_come_first(seed, each, num):
  rng = np.random.default_rng(seed)
  labels, order = rng.integers(3, size=num), rng.permutation(num)
  seen, front, back = np.zeros(3, int), [], []
  for one in order:  # Slowly.
    (front if seen[labels[one]] < each else back).append(one)
    seen[labels[one]] += 1
  found = preparing._classes_first(order, labels, each)
  assert found.tolist() == front + back


def test_truth_of_unknown_samples_is_seen_in_no_view():
  """But for how many there are of each class, which an attacker may know."""
  labels = np.arange(40) % 4
  options = Options(num_aux_draws=3)
  before = preparing.prepare([_run(labels)], options)
  unknown = np.setdiff1d(np.arange(40), before.auxiliary[0].ids)
  labels[unknown] = np.random.default_rng(0).permutation(labels[unknown])
  after = dataclasses.replace(before, labels=(labels,))
  for place in places.places_of(before):
    one, two = (places.target_of(x, place) for x in (before, after))
    leaves = jax.tree.leaves(one.view)
    assert len(leaves) > 4
    for x, y in zip(leaves, jax.tree.leaves(two.view), strict=True):
      np.testing.assert_array_equal(x, y)
    assert (one.truth != two.truth).any()
    # Nor does a sample count that the attacker knows.
    for draw, ids in enumerate(before.auxiliary[0].ids):
      assert np.flatnonzero(~one.scored[0, draw]).tolist() == sorted(ids)


def test_known_samples_are_of_the_training_and_all_new_ones_count():
  labels = np.arange(12) % 3
  run = _run(
    labels,
    test_smashed=100 + np.arange(6, dtype=np.float32)[:, None],
    test_labels=labels[:6],
  )
  prepared = preparing.prepare([run], Options(num_aux_draws=2))
  place = places.places_of(prepared)[-1]
  target = places.target_of(prepared, place)
  assert place.phase == 'inference' and target.scored.all()
  np.testing.assert_array_equal(
    target.view.vectors[0, :, 0], 100 + np.arange(6)
  )
  assert (np.asarray(target.view.aux_vectors) < 100).all()
  np.testing.assert_array_equal(
    np.asarray(target.view.aux_vectors)[0, ..., 0], prepared.auxiliary[0].ids
  )


def test_training_and_new_samples_are_scaled_alike():
  """Though each alone would be scaled by another number."""
  rows = np.arange(1.0, 13)[:, None] * 2.0**70
  prepared = preparing.prepare(
    [
      material.from_arrays(
        {
          'smashed': rows,
          'labels': np.arange(12) % 3,
          'test_smashed': rows[:3],
          'test_labels': [0, 1, 2],
        }
      )
    ],
    Options(num_aux_draws=2),
  )
  place = places.places_of(prepared)[-1]
  view = places.target_of(prepared, place).view
  np.testing.assert_array_equal(view.vectors[0], view.own.features[0, :3])


@pytest.mark.parametrize(
  ('given', 'options', 'field'),
  [
    ({'labels': np.arange(12) // 11}, {}, 'num_aux'),
    ({}, {'num_aux': 6}, 'num_aux'),
    ({}, {'max_numbers': 3}, 'max_numbers'),
    ({'test_labels': np.full(12, 7)}, {}, 'test_labels'),
    ({'test_labels': np.array(['a', 'b'] * 6)}, {}, 'test_labels'),
    ({'test_labels': np.ones(12)}, {'target': 'real'}, 'test_labels'),
    ({'labels': np.ones(12)}, {'target': 'real'}, 'labels'),
    ({}, {'target': 'real', 'num_aux': 10}, 'num_aux'),
  ],
)
def test_what_cannot_be_attacked_is_refused_by_name(given, options, field):
  labels = np.arange(12) % 2
  test = {'test_smashed': np.ones((12, 1), np.float32), 'test_labels': labels}
  given = {'labels': labels, **test, **given}
  with pytest.raises(ConfigError) as caught:
    preparing.prepare([_run(**given)], Options(**options))
  assert caught.value.field == field and '\n' not in str(caught.value)
