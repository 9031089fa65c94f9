import gzip
import io
import tarfile
import zipfile

import pytest

from splitjax.data import opening

TEXT = b'a,b\n1,2\n'


def _zip(folder, names, name='x.zip', **kwargs):
  path = folder / name
  with zipfile.ZipFile(path, 'w', **kwargs) as archive:
    for one in names:
      archive.writestr(one, b'' if one.endswith('/') else TEXT)
  return path


def _tar(mode):
  buffer = io.BytesIO()
  with tarfile.open(fileobj=buffer, mode=mode) as archive:
    info = tarfile.TarInfo('folder/x.csv')
    info.size = len(TEXT)
    archive.addfile(info, io.BytesIO(TEXT))
  return buffer.getvalue()


def _read(path):
  with opening.open_binary(path) as stream:
    return stream.read()


def _refused(match, path):
  with pytest.raises(ValueError, match=match) as info:
    _read(path)
  assert '\n' not in str(info.value)
  assert path.name in str(info.value)


def test_what_desktops_add_to_archives_is_left_out(tmp_path):
  names = ['x/', 'x/x.csv', '__MACOSX/x/._x.csv', 'x/.DS_Store']
  assert _read(_zip(tmp_path, names)) == TEXT
  assert _read(_zip(tmp_path, ['README.txt', 'x.csv'])) == TEXT


@pytest.mark.parametrize('mode,name', [('w', 'x.tar'), ('w:gz', 'x.csv')])
def test_archives_are_known_by_what_they_hold(tmp_path, mode, name):
  path = tmp_path / name
  path.write_bytes(_tar(mode))
  assert _read(path) == TEXT


def test_archives_without_one_file_are_refused(tmp_path):
  _refused(
    r'one file, got 2 \(a.csv, b.csv\)', _zip(tmp_path, ['a.csv', 'b.csv'])
  )
  _refused(r'one file, got 0 \(none\)', _zip(tmp_path, ['__MACOSX/._x.csv']))


@pytest.mark.parametrize(
  'offset,value,match', [(6, 1, 'must not be encrypted'), (8, 9, 'method 9')]
)
def test_zip_that_cannot_be_read_says_what_to_do(
  tmp_path, offset, value, match
):
  path = _zip(tmp_path, ['x.csv'])
  data = bytearray(path.read_bytes())
  start = data.index(b'PK\x01\x02')  # The directory has two fields more.
  data[offset] = data[start + 2 + offset] = value
  path.write_bytes(data)
  _refused(f'{match}.*extract it first', path)


@pytest.mark.parametrize(
  'name,content,match',
  [
    ('x.csv.gz', TEXT, 'what its name says'),
    ('x.csv.gz', gzip.compress(TEXT * 99, mtime=0)[:-9], 'damaged'),
    ('x.zip', b'PK\x03\x04' + bytes(40), 'damaged'),
    ('x.csv', b'<!DOCTYPE html><html></html>', 'HTML page'),
    ('x.csv', b'PAR1' + bytes(20), 'parquet:PATH'),
    ('x.csv', b'\xd0\xcf\x11\xe0' + bytes(20), 'Excel'),
  ],
)
def test_what_is_no_text_is_refused_by_its_name(tmp_path, name, content, match):
  path = tmp_path / name
  path.write_bytes(content)
  _refused(match, path)


def test_folders_are_refused(tmp_path):
  _refused('regular file, got a folder', tmp_path)
