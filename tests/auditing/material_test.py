"""Rows and labels are joined rightly, however they come, or not at all."""

import dataclasses

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

import splitjax
from splitjax.auditing import from_records
from splitjax.auditing import material
from splitjax.errors import ConfigError
from splitjax.records import CutWriter

NUM, WIDTH = 12, 3
LABELS = np.arange(NUM) % 3
# A row says which sample and which pass it is of.
PASSES = [
  np.stack([np.arange(NUM), np.full(NUM, t), LABELS], 1).astype(np.float32)
  for t in range(3)
]


def _check(run, num_passes):
  """Every row of every array is that of its sample, and so is every label."""
  everyone = np.arange(len(run.ids))
  np.testing.assert_array_equal(run.labels, LABELS[run.ids])
  assert len(run.passes) == num_passes
  for number, one in enumerate(run.passes):
    np.testing.assert_array_equal(
      one.vectors(everyone), PASSES[number][run.ids]
    )
  for one in run.arrays.values():
    np.testing.assert_array_equal(one.vectors(everyone), PASSES[0][run.ids])


@hypothesis.given(
  seed=st.integers(0, 2**32 - 1),
  num_passes=st.integers(1, 3),
  lost=st.integers(0, 4),
  by_row=st.booleans(),
)
@hypothesis.settings(max_examples=100)
def test_rows_are_joined_by_id(seed, num_passes, lost, by_row):
  rng = np.random.default_rng(seed)
  first = rng.permutation(NUM)[: NUM - lost]
  ids = [first]
  for _ in range(num_passes - 1):  # In other orders, of other samples.
    ids.append(rng.permutation(NUM)[: NUM - rng.integers(0, 4)])
  shift = 1000 if by_row else 0
  grads = [PASSES[t][one] for t, one in enumerate(ids)]
  run = material.from_arrays(
    {
      'cut_grads': grads,
      'smashed': PASSES[0][first],
      'labels': LABELS[first] if by_row else LABELS,
      'sample_ids': [one + shift for one in ids],
      'steps': [one for one in ids],
    }
  )
  run = dataclasses.replace(run, ids=run.ids - shift)
  _check(run, num_passes)
  assert set(run.ids) == set.intersection(*(set(one) for one in ids))
  assert any('left out' in x for x in run.notes) == (len(run.ids) < len(first))
  order = np.argsort(np.argsort(run.ids))
  np.testing.assert_array_equal(run.steps, np.tile(order, (num_passes, 1)))


@hypothesis.given(
  cuts=st.lists(st.integers(1, NUM - 1), max_size=4, unique=True),
  with_ids=st.booleans(),
)
def test_any_split_into_shards_is_the_whole(cuts, with_ids):
  rng = np.random.default_rng(0)
  order = rng.permutation(NUM) if with_ids else np.arange(NUM)
  split = lambda x: np.split(x, sorted(cuts))
  given = {'cut_grads': split(PASSES[0][order]), 'labels': split(LABELS)}
  given['inputs'] = split(PASSES[0][order])
  if with_ids:
    given['sample_ids'] = split(order)
  if len(cuts) == NUM - 1:
    return
  run = material.from_arrays(given)
  _check(run, 1)
  assert run.ids.tolist() == list(range(NUM))


@pytest.mark.parametrize(
  ('changes', 'field'),
  [
    # Of two files of ids the second is shorter than its pass.
    ({'sample_ids': [np.arange(NUM), np.arange(NUM - 2)]}, 'sample_ids'),
    ({'sample_ids': [np.arange(NUM)] * 3}, 'sample_ids'),
    ({'sample_ids': np.zeros(0, int)}, 'sample_ids'),
    ({'sample_ids': np.arange(NUM) // 2}, 'sample_ids'),
    ({'sample_ids': np.arange(NUM) / 1}, 'sample_ids'),
    ({'sample_ids': np.arange(NUM - 1)}, 'cut_grads'),
    ({'sample_ids': np.arange(NUM) + 1, 'labels': LABELS[1:]}, 'labels'),
    ({'cut_grads': None, 'sample_ids': [np.arange(NUM)] * 2}, 'sample_ids'),
    ({'cut_grads': [PASSES[0], PASSES[1][:, :2]]}, 'cut_grads'),
    ({'cut_grads': [PASSES[0], PASSES[1][:-1]]}, 'cut_grads'),
    ({'cut_grads': np.zeros((NUM, 0))}, 'cut_grads'),
    ({'smashed': PASSES[0][:-1]}, 'smashed'),
    ({'labels': LABELS[:-1]}, 'cut_grads'),
    ({'steps': np.arange(NUM)}, 'steps'),
    ({'steps': [np.arange(NUM), np.arange(NUM - 1)]}, 'steps'),
    ({'steps': [np.arange(NUM) / 2] * 2}, 'steps'),
    ({'test_smashed': PASSES[0]}, 'test_labels'),
    ({'test_labels': LABELS}, 'test_smashed'),
    (
      {'test_smashed': PASSES[0][:, :2], 'test_labels': LABELS},
      'test_smashed',
    ),
    (
      {
        'test_smashed': PASSES[0],
        'test_labels': LABELS,
        'test_inputs': PASSES[0],
      },
      'inputs',
    ),
  ],
)
def test_what_does_not_fit_is_refused_by_name(changes, field):
  given = {'cut_grads': PASSES[:2], 'smashed': PASSES[0], 'labels': LABELS}
  material.from_arrays(given)
  with pytest.raises(ConfigError) as caught:
    material.from_arrays(given | changes)
  assert caught.value.field == field and '\n' not in str(caught.value)


def _record(folder, ids, **kwargs):
  with CutWriter(folder) as writer:
    for number, one in enumerate(ids):
      writer.new_pass()
      arrays = {'cut_grads': PASSES[number][one], 'smashed': PASSES[0][one]}
      writer.append(one, **arrays, **{k: v[one] for k, v in kwargs.items()})
    writer.append_inference([3, 1], smashed=PASSES[0][[3, 1]])
  return folder


def test_labels_that_are_given_go_by_the_ids_of_a_record(tmp_path):
  """Also where the record, of a part of the samples, holds labels itself."""
  part = np.array([11, 4, 7, 5, 9])
  for name, kwargs in {'without': {}, 'with': {'labels': LABELS}}.items():
    folder = _record(tmp_path / name, [part], **kwargs)
    run = from_records.from_folder(folder, {'labels': LABELS})
    assert run.ids.tolist() == sorted(part)
    _check(run, 1)
  own = from_records.from_folder(folder, {})
  np.testing.assert_array_equal(own.labels, LABELS[np.sort(part)])


def test_smashed_data_stay_after_a_pass_that_was_not_finished(tmp_path):
  order = np.random.default_rng(0).permutation(NUM)
  folder = _record(tmp_path / 'cut', [order, order[::-1], order[:5]])
  run = from_records.from_folder(folder, {'labels': LABELS})
  _check(run, 3)
  assert 'smashed' in run.arrays
  assert sorted(run.ids) == sorted(order[:5])
  assert any('7 of 12 samples are not in every pass' in x for x in run.notes)


def test_labels_of_new_samples_may_be_given_beside_a_record(tmp_path):
  folder = _record(tmp_path / 'cut', [np.arange(NUM)], labels=LABELS)
  assert from_records.from_folder(folder, {}).test_labels is None
  run = from_records.from_folder(folder, {'test_labels': LABELS[[3, 1]]})
  assert run.test_labels.tolist() == LABELS[[3, 1]].tolist()
  found = run.test_arrays['smashed'].vectors(np.arange(2))
  np.testing.assert_array_equal(found, PASSES[0][[3, 1]])


@pytest.mark.parametrize('record', [3, [], [3], {'a': 1}, 'no', '', ['no']])
def test_what_is_no_record_is_refused(record):
  with pytest.raises(ConfigError, match='record='):
    splitjax.audit(record=record)
