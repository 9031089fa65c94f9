import numpy as np
import pytest

from splitjax import data


def _save(folder, **arrays):
  path = folder / 'x.npz'
  np.savez(path, **arrays)
  return path


def test_arrays_are_found_by_their_names(tmp_path):
  rng = np.random.default_rng(0)
  x, y = rng.normal(size=(40, 3)), np.arange(40) % 2
  found = data.load_npz(_save(tmp_path, X=x.astype('>f4'), y=y), seed=0)
  assert found.train_inputs.shape == (32, 3)
  assert found.class_names == ('0', '1')
  parts = dict(x_train=x, y_train=y, x_test=x[:10], y_test=y[:10, None])
  found = data.load_npz(_save(tmp_path, **parts), seed=0, num_train=20)
  assert (len(found.train_labels), len(found.test_labels)) == (20, 10)
  path = _save(tmp_path, a=x, b=x[:, 0])
  real = data.load_npz(
    path, seed=0, target='real', text_column='a', label_column='b'
  )
  np.testing.assert_allclose(
    np.sort(real.labels_by_id), np.sort(x[:, 0]), rtol=1e-5, atol=1e-6
  )


@pytest.mark.parametrize(
  'arrays,match',
  [
    (dict(a=np.ones(3)), 'text_column must be given: .* has the arrays a'),
    (dict(x=np.ones((3, 2)), y=np.ones(4, int)), r'x \(3, 2\) and y \(4,\)'),
    (dict(x=np.ones((4, 2)), y=np.ones(4)), "target='class', got float64"),
    (dict(x=np.array([None, 1]), y=np.arange(2)), 'plain arrays'),
  ],
)
def test_what_does_not_fit_is_refused(tmp_path, arrays, match):
  with pytest.raises(ValueError, match=match) as info:
    data.load_npz(_save(tmp_path, **arrays), seed=0)
  assert '\n' not in str(info.value)


def test_damaged_file_is_refused(tmp_path):
  path = _save(tmp_path, x=np.ones((9, 2)), y=np.arange(9) % 2)
  path.write_bytes(path.read_bytes()[:-30])
  with pytest.raises(ValueError, match='must be a whole .npz file'):
    data.load_npz(path, seed=0)
