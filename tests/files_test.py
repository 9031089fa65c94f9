import pytest

from splitjax import files


def test_file_appears_complete_or_not_at_all(tmp_path):
  path = tmp_path / 'a.txt'
  with pytest.raises(RuntimeError), files.replacing(path) as scratch:
    scratch.write_text('half')
    raise RuntimeError
  assert list(tmp_path.iterdir()) == []
  with files.replacing(path) as scratch:
    scratch.write_text('whole')
  assert path.read_text() == 'whole'
  assert list(tmp_path.iterdir()) == [path]


def test_old_file_stays_when_writing_fails(tmp_path):
  path = tmp_path / 'a.txt'
  path.write_text('old')
  with pytest.raises(RuntimeError), files.replacing(path) as scratch:
    scratch.write_text('half')
    raise RuntimeError
  assert path.read_text() == 'old'


def test_folder_appears_complete_or_not_at_all(tmp_path):
  path = tmp_path / 'new' / 'folder'
  with pytest.raises(RuntimeError), files.creating_folder(path) as scratch:
    (scratch / 'a').write_text('half')
    raise RuntimeError
  assert not path.exists()
  with files.creating_folder(path) as scratch:
    (scratch / 'a').write_text('whole')
  assert [p.name for p in path.iterdir()] == ['a']
  assert list(path.parent.iterdir()) == [path]


def test_full_folder_is_not_replaced(tmp_path):
  (tmp_path / 'a').write_text('mine')
  with pytest.raises(FileExistsError), files.creating_folder(tmp_path):
    raise AssertionError
  assert (tmp_path / 'a').read_text() == 'mine'
