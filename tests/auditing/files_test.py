"""Arrays from files: whatever a file holds, an array or one line."""

import io
import zipfile

import hypothesis
from hypothesis import strategies as st
import ml_dtypes
import numpy as np
import pytest

from splitjax.auditing import files
from splitjax.errors import ConfigError

GRID = np.arange(24, dtype=np.float32).reshape(6, 4) / 4 - 2
ALL = np.arange(6)


def _saved(path, array):
  np.save(path, array)
  return str(path)


def test_patterns_are_read_in_natural_order(tmp_path):
  names = ['p-1', 'p-01', 'p-2', 'p-10', 'p-10b', 'p-x', 'p-1²2']
  for name in names:
    np.save(tmp_path / f'{name}.npy', GRID)
  found = files.paths_of('cut_grads', tmp_path / 'p-*.npy')
  ordered = [x.rpartition('/')[2].removesuffix('.npy') for x in found]
  assert ordered.index('p-2') < ordered.index('p-10') < ordered.index('p-10b')
  assert sorted(ordered) == sorted(names)
  assert ordered[:2] == ['p-01', 'p-1']


def test_name_with_brackets_is_no_pattern_if_it_is_there(tmp_path):
  np.savez(tmp_path / 'run[1].npz', g=GRID)
  np.savez(tmp_path / 'run1.npz', g=0 * GRID)
  (found,), paths = files.read('cut_grads', f'{tmp_path}/run[1].npz:g')
  np.testing.assert_array_equal(found, GRID)
  assert paths == [f'{tmp_path}/run[1].npz:g']


def test_list_may_name_members_of_archives(tmp_path):
  np.savez(tmp_path / 'a.npz', one=GRID, two=-GRID)
  names = [f'{tmp_path}/a.npz:one', f'{tmp_path}/a.npz:two']
  arrays, paths = files.read('cut_grads', names)
  np.testing.assert_array_equal(arrays, [GRID, -GRID])
  assert paths == names
  assert list(files.digests(paths)) == [f'{tmp_path}/a.npz']


def test_bfloat16_is_read_back_from_files(tmp_path):
  given = GRID.astype(ml_dtypes.bfloat16)
  np.savez(tmp_path / 'a.npz', g=given)
  for source in (
    given,
    _saved(tmp_path / 'g.npy', given),
    f'{tmp_path}/a.npz:g',
  ):
    (found,), _ = files.read('cut_grads', source)
    np.testing.assert_array_equal(files.to_rows('g', found, ALL), GRID)


@pytest.mark.parametrize('dtype', ['f2', '>f4', '<f8', '>f8', 'g', 'i1', '>i8'])
def test_rows_of_any_type_are_those_of_float32(dtype):
  array = (GRID * 4).astype(dtype).reshape(6, 2, 2)
  chosen = np.array([5, 0, 3])
  found = files.to_rows('g', array, chosen)
  np.testing.assert_array_equal(found, GRID[chosen] * 4)
  assert found.dtype == np.float32 and found.dtype.isnative


@pytest.mark.parametrize(
  ('dtype', 'exponent'),
  [('f8', 1000), ('f8', -1060), ('f8', 70), ('f4', 120), ('f4', -140)],
)
def test_rows_that_float32_cannot_square_are_scaled_by_a_power_of_two(
  dtype, exponent
):
  array = np.ldexp(GRID.astype(np.float64), exponent).astype(dtype)
  found = files.to_rows('g', array, ALL)
  ratio = found[0, 0] / GRID[0, 0]
  assert np.frexp(ratio)[0] == 0.5
  np.testing.assert_array_equal(found, GRID * ratio)
  assert 1e-18 < np.abs(found).max() <= 1


def test_rows_that_vanish_beside_one_are_refused():
  """Else one sample that diverged would hide what all others give away."""
  array = GRID.astype(np.float64)
  array[3, 1] = 1e200
  with pytest.raises(ConfigError, match='numbers of one scale'):
    files.to_rows('g', array, ALL)
  array[:] = 0
  array[3, 1] = 1e200
  assert files.to_rows('g', array, ALL).max() > 0.1


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
def test_row_that_is_not_finite_is_named(bad):
  array = np.tile(GRID, (500, 1))
  array[2345, 2] = bad
  with pytest.raises(ConfigError, match='infinity in row 2345'):
    files.to_rows('g', array, np.arange(3000)[::-1])
  files.to_rows('g', array, np.arange(2345))


@hypothesis.given(
  at=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
  cut=st.integers(0, 500),
  suffix=st.sampled_from(['npy', 'npz', 'compressed']),
)
@hypothesis.settings(max_examples=300)
def test_broken_file_is_an_array_or_one_line(tmp_path_factory, at, cut, suffix):
  stream = io.BytesIO()
  if suffix == 'npy':
    np.save(stream, GRID)
  else:
    save = np.savez if suffix == 'npz' else np.savez_compressed
    save(stream, g=GRID)
  data = bytearray(stream.getvalue())
  for place, value in at:
    data[place % len(data)] = value
  data = data[: len(data) - cut] if cut < 200 else data
  path = tmp_path_factory.mktemp('x') / (
    'g.npy' if suffix == 'npy' else 'g.npz'
  )
  path.write_bytes(data)
  try:
    arrays, _ = files.read('cut_grads', str(path))
  except ConfigError as error:
    assert '\n' not in str(error) and error.field == 'cut_grads'
  else:
    assert all(isinstance(one, np.ndarray) for one in arrays)


def test_archive_whose_member_is_text_is_refused(tmp_path):
  with zipfile.ZipFile(tmp_path / 'a.npz', 'w') as archive:
    archive.writestr('notes.txt', 'hello')
  with pytest.raises(ConfigError, match='a member that is an array'):
    files.read('cut_grads', f'{tmp_path}/a.npz')


@pytest.mark.parametrize(
  'name', ['', '.', 'no.npy', 'no-*.npy', 'no.npz:a', 'a' * 5000 + '.npy', '\0']
)
def test_name_of_no_file_is_refused_in_one_line(name):
  with pytest.raises(ConfigError) as caught:
    files.read('labels', name)
  assert caught.value.field == 'labels' and '\n' not in str(caught.value)
