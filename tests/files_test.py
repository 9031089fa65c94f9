import os
import shutil

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


def test_leftovers_of_a_killed_process_are_removed_and_nothing_else(tmp_path):
  names = ['.a.txt.abcd_123', 'a.txt', '.a.txt.short', '.b.txt.abcd_123']
  for name in names:
    (tmp_path / name).mkdir()
    (tmp_path / name / 'a.txt').write_text('half')
  (tmp_path / '.a.txt.file_123').write_text('mine')
  files.remove_leftovers(tmp_path / 'a.txt')
  files.remove_leftovers(tmp_path / 'nowhere' / 'a.txt')
  left = sorted(x.name for x in tmp_path.iterdir())
  assert left == sorted([*names[1:], '.a.txt.file_123'])


def test_parts_take_their_places_beside_what_is_not_theirs(tmp_path):
  folder = tmp_path / 'out'
  (folder / 'a').mkdir(parents=True)
  (folder / 'a' / 'old').write_text('')
  (folder / 'mine').write_text('')
  with (
    pytest.raises(RuntimeError),
    files.replacing_parts(folder, ['a', 'b']) as scratch,
  ):
    (scratch / 'a').mkdir()
    raise RuntimeError
  assert (folder / 'a' / 'old').exists()
  with files.replacing_parts(folder, ['a', 'b']) as scratch:
    (scratch / 'a').mkdir()
    (scratch / 'b').write_text('new')
  assert sorted(x.name for x in folder.iterdir()) == ['a', 'b', 'mine']
  assert list((folder / 'a').iterdir()) == []
  assert list(tmp_path.iterdir()) == [folder]


def test_parts_take_their_places_also_after_a_kill_while_they_do(
  tmp_path, monkeypatch
):
  """A copy of all files before each rename is what a kill there leaves."""
  folder, rename, copies = tmp_path / 'now' / 'f', os.replace, []
  (folder / 'a').mkdir(parents=True)
  (folder / 'b').write_text('old')

  def rename_and_copy(source, target):
    copies.append(tmp_path / f'killed{len(copies)}')
    shutil.copytree(folder.parent, copies[-1])
    rename(source, target)

  monkeypatch.setattr(os, 'replace', rename_and_copy)
  with files.replacing_parts(folder, ['a', 'b']) as scratch:
    (scratch / 'a').mkdir()
    (scratch / 'a' / 'new').touch()
    (scratch / 'b').write_text('new')
  monkeypatch.undo()
  assert len(copies) == 4
  for copy in (*copies, folder.parent):
    files.remove_leftovers(copy / 'f', ['a', 'b'])
    assert [x.name for x in copy.iterdir()] == ['f']
    assert (copy / 'f' / 'a' / 'new').exists()
    assert (copy / 'f' / 'b').read_text() == 'new'


def test_parts_that_were_not_whole_at_a_kill_are_removed(tmp_path):
  (tmp_path / 'f').mkdir()
  (tmp_path / 'f' / 'a').write_text('old')
  (tmp_path / '.f.abcdefgh' / 'f').mkdir(parents=True)
  (tmp_path / '.f.abcdefgh' / 'f' / 'a').write_text('half')
  files.remove_leftovers(tmp_path / 'f', ['a', 'b'])
  assert [x.name for x in tmp_path.iterdir()] == ['f']
  assert (tmp_path / 'f' / 'a').read_text() == 'old'


def test_parts_that_the_body_forgot_replace_nothing(tmp_path):
  folder = tmp_path / 'f'
  folder.mkdir()
  for name in 'ab':
    (folder / name).write_text('old')
  with (
    pytest.raises(FileNotFoundError, match='b was not made'),
    files.replacing_parts(folder, ['a', 'b']) as scratch,
  ):
    (scratch / 'a').write_text('new')
  assert {x.name: x.read_text() for x in folder.iterdir()} == {
    'a': 'old',
    'b': 'old',
  }
