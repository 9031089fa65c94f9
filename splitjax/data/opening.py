"""Files as streams of bytes, decompressed by what they hold.

A file is known by its first bytes, whatever its name; but a name that promises
an archive must keep the promise, since a download may have failed.
"""

import bz2
from collections.abc import Iterator, Sequence
import contextlib
import errno
import gzip
import io
import lzma
import os
import pathlib
import stat
import tarfile
from typing import Any
import zipfile
import zlib

_HEAD = 512
_GZIP, _BZ2, _XZ = b'\x1f\x8b', b'BZh', b'\xfd7zXZ\x00'
_ZIP = (b'PK\x03\x04', b'PK\x05\x06', b'PK\x07\x08')
_PROMISES = {
  '.gz': (_GZIP,),
  '.tgz': (_GZIP,),
  '.bz2': (_BZ2,),
  '.xz': (_XZ,),
  '.zip': _ZIP,
}
_TABLES = ('.csv', '.tsv', '.data')
# What a table is sometimes taken for, and what to do about it.
_FOREIGN = {
  b'PAR1': 'a Parquet file: use parquet:PATH',
  b'\x93NUMPY': 'a .npy array: save inputs and labels with numpy.savez and '
  'use npz:PATH',
  b'\x28\xb5\x2f\xfd': 'compressed by zstd: decompress it',
  b'7z\xbc\xaf\x27\x1c': 'a 7z archive: extract it',
  b'Rar!': 'a rar archive: extract it',
  b'\xd0\xcf\x11\xe0': 'an Excel workbook: save the sheet as csv',
  b'\x89HDF': 'an HDF5 file: save the table as csv or Parquet',
  b'SQLite format 3': 'a database: export the table as csv',
  b'%PDF': 'a PDF document',
}
_HTML = (b'<!doctype html', b'<html')
# What the standard library raises where compressed data are damaged.
_DAMAGE = (
  EOFError,
  NotImplementedError,
  RuntimeError,
  lzma.LZMAError,
  tarfile.TarError,
  zipfile.BadZipFile,
  zlib.error,
)


@contextlib.contextmanager
def open_binary(path: str | os.PathLike) -> Iterator[io.BufferedReader]:
  """Open a file for reading, decompressed.

  Args:
    path: a plain file; one compressed by gzip, bzip2 or xz; or a zip or tar
      archive with one file beside folders and what desktops add to archives.

  Yields:
    The bytes of the file inside.

  Raises:
    OSError: if the file cannot be opened.
    ValueError: if it is no regular file, is encrypted or damaged, holds several
      files, or is of a known kind that is no text. What is damaged further on
      raises the same from the body that reads it.
  """
  if not stat.S_ISREG(os.stat(path).st_mode):
    kind = 'a folder' if os.path.isdir(path) else 'a device or a pipe'
    raise ValueError(f'{path} must be a regular file, got {kind}.')
  try:
    with contextlib.ExitStack() as stack:
      yield _unwrap(path, stack)
  except _DAMAGE as error:
    raise ValueError(_damaged(path, error)) from error
  except OSError as error:
    # The second is a place before the file's start, that an archive names.
    if error.errno not in (None, errno.EINVAL):
      raise
    raise ValueError(_damaged(path, error)) from error


def _unwrap(
  path: str | os.PathLike, stack: contextlib.ExitStack
) -> io.BufferedReader:
  """Return the stream inside all archives; `stack` closes what was opened."""
  stream: Any = stack.enter_context(io.BufferedReader(io.FileIO(path)))
  wanted = _PROMISES.get(pathlib.Path(path).suffix.lower())
  if wanted and not stream.peek(_HEAD).startswith(wanted):
    raise ValueError(
      f'{path} must hold what its name says, got other content: rename it if '
      'it is a plain file, or download it again.'
    )
  for _ in range(4):  # A csv in a tar in a gzip is the deepest known.
    inner = _open_inside(path, stream, stack)
    if inner is None:
      return stream
    stack.enter_context(inner)
    stream = stack.enter_context(io.BufferedReader(inner))
  raise ValueError(f'{path} must hold one file, got archives in archives.')


def _open_inside(
  path: str | os.PathLike,
  stream: Any,
  stack: contextlib.ExitStack,
) -> Any:
  """Return the stream inside an archive; None if a stream is none."""
  head = stream.peek(_HEAD)[:_HEAD]
  if head.startswith(_GZIP):
    return gzip.GzipFile(fileobj=stream)
  if head.startswith(_BZ2) and head[4:10] == b'1AY&SY':
    return bz2.BZ2File(stream)
  if head.startswith(_XZ):
    return lzma.LZMAFile(stream)
  if head.startswith(_ZIP):
    return _open_zip(path, stack.enter_context(zipfile.ZipFile(stream)))
  if head[257:262] == b'ustar':
    return _open_tar(path, stack.enter_context(tarfile.open(fileobj=stream)))
  for magic, what in _FOREIGN.items():
    if head.startswith(magic):
      raise ValueError(f'{path} must be text, got {what}.')
  if head.lstrip(b'\xef\xbb\xbf \t\r\n').lower().startswith(_HTML):
    raise ValueError(
      f'{path} must be a table, got an HTML page: download the file itself.'
    )
  return None


def _open_zip(path: str | os.PathLike, archive: zipfile.ZipFile) -> Any:
  """Open the one file of a zip archive."""
  names = [x.filename for x in archive.infolist() if not x.is_dir()]
  if '[Content_Types].xml' in names:
    raise ValueError(
      f'{path} must be text, got an Excel workbook: save the sheet as csv.'
    )
  info = archive.getinfo(_only(path, names))
  if info.flag_bits & 1:
    raise ValueError(f'{path} must not be encrypted: extract it first.')
  try:
    return archive.open(info)
  except NotImplementedError as error:
    raise ValueError(
      f'{path} must be compressed by a common method, got {info.filename} by '
      f'method {info.compress_type}: extract it first.'
    ) from error


def _open_tar(path: str | os.PathLike, archive: tarfile.TarFile) -> Any:
  """Open the one file of a tar archive."""
  names = [x.name for x in archive.getmembers() if x.isfile()]
  return archive.extractfile(_only(path, names))


def _only(path: str | os.PathLike, names: Sequence[str]) -> str:
  """Return the one file of an archive that is meant by it."""
  parts = {name: pathlib.PurePosixPath(name).parts for name in names}
  meant = [
    name
    for name in names
    if '__MACOSX' not in parts[name]
    and not parts[name][-1].startswith('.')
    and parts[name][-1].lower() not in ('thumbs.db', 'desktop.ini')
  ]
  tables = [name for name in meant if name.lower().endswith(_TABLES)]
  found = tables if len(tables) == 1 else meant
  if len(found) != 1:
    shown = ', '.join(found[:5]) + ', ...' * (len(found) > 5) or 'none'
    raise ValueError(
      f'{path} must contain one file, got {len(found)} ({shown}): extract the '
      'one that is meant.'
    )
  return found[0]


def _damaged(path: str | os.PathLike, error: Exception) -> str:
  """Return the message for an archive that cannot be read to its end."""
  reason = ' '.join(str(error).split()) or type(error).__name__
  return f'{path} must be a whole file, got a damaged one: {reason}.'
