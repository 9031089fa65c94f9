"""Checkpoints: what was saved comes back, or is said to be damaged."""

import ml_dtypes
import numpy as np
import pytest

from splitjax.engine.checkpoints import Checkpoint

CURRENT = {
  'params': np.arange(3, dtype=np.float32),
  'others': (
    np.array(4),
    np.zeros((0, 3)),
    None,
    np.ones(3, ml_dtypes.bfloat16),
    np.array([True, False]),
  ),
}
KEPT = (np.ones((4, 2)), np.array([1, 2]))


def _saved(folder, **changes):
  warned = []
  arguments = dict(seconds=0, warn_fn=warned.append)
  checkpoint = Checkpoint(folder, 'me', **{**arguments, **changes})
  return checkpoint, warned


def _equal(found, expected):
  leaves, others = (
    [found['params'], *found['others']],
    [expected['params'], *expected['others']],
  )
  for one, other in zip(leaves, others, strict=True):
    assert (one is None) == (other is None)
    if one is not None:
      assert one.dtype == other.dtype
      np.testing.assert_array_equal(one, other)


def test_what_was_saved_comes_back(tmp_path):
  checkpoint, warned = _saved(tmp_path / 'a')
  assert checkpoint.load(CURRENT, lambda: KEPT) is None
  checkpoint.save(1, CURRENT, {1: KEPT})
  later = {**CURRENT, 'params': CURRENT['params'] + 1}
  checkpoint.save(2, later, {1: KEPT})
  # What was kept is written once, and what is old is removed.
  assert sorted(x.name for x in (tmp_path / 'a').iterdir()) == [
    'current-2.safetensors',
    'index.json',
    'kept-1.safetensors',
  ]
  again, _ = _saved(tmp_path / 'a')
  number, current, kept = again.load(CURRENT, lambda: KEPT)
  assert number == 2 and list(kept) == [1]
  _equal(current, later)
  np.testing.assert_array_equal(kept[1][0], KEPT[0])
  assert warned == []
  again.remove()
  assert list(tmp_path.iterdir()) == []


def test_checkpoint_of_another_run_is_not_used(tmp_path):
  _saved(tmp_path)[0].save(1, CURRENT, {})
  other = Checkpoint(tmp_path, 'you')
  assert other.load(CURRENT, lambda: KEPT) is None


@pytest.mark.parametrize('name', ['index.json', 'current-1.safetensors'])
@pytest.mark.parametrize('how', ['cut', 'flipped', 'gone', 'empty'])
def test_damaged_checkpoint_is_said_and_not_used(tmp_path, name, how):
  checkpoint, _ = _saved(tmp_path)
  checkpoint.save(1, CURRENT, {1: KEPT})
  path = tmp_path / name
  whole = path.read_bytes()
  flipped = whole[:-1] + bytes([whole[-1] ^ 1])
  if how == 'gone':
    path.unlink()
  else:
    path.write_bytes({'cut': whole[:-9], 'flipped': flipped, 'empty': b''}[how])
  again, warned = _saved(tmp_path)
  found = again.load(CURRENT, lambda: KEPT)
  if found is not None:  # A flipped end of line.
    assert (name, how) == ('index.json', 'flipped')
    _equal(found.current, CURRENT)
  elif (name, how) != ('index.json', 'gone'):
    assert f'{tmp_path} is damaged' in warned[0]
  again.save(2, CURRENT, {1: KEPT})
  assert _saved(tmp_path)[0].load(CURRENT, lambda: KEPT).number == 2


def test_other_structure_is_not_filled_with_what_was_saved(tmp_path):
  _saved(tmp_path)[0].save(1, CURRENT, {})
  checkpoint, warned = _saved(tmp_path)
  other = {**CURRENT, 'params': np.zeros(4, np.float32)}
  assert checkpoint.load(other, lambda: KEPT) is None
  assert 'damaged' in warned[0]


def test_folder_that_cannot_be_written_costs_a_warning_alone(tmp_path):
  (tmp_path / 'file').write_text('')
  checkpoint, warned = _saved(tmp_path / 'file' / 'a')
  checkpoint.save(1, CURRENT, {})
  assert 'no checkpoint in' in warned[0]


def test_next_one_is_due_when_its_time_has_come(tmp_path):
  checkpoint, _ = _saved(tmp_path, seconds=1000)
  assert not checkpoint.due
  checkpoint, _ = _saved(tmp_path)
  assert checkpoint.due
