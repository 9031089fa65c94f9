"""How the bytes of a file stand for characters."""

import codecs
from collections.abc import Iterator
import contextlib
import io
import os

from splitjax.data import opening

_BOMS = {
  codecs.BOM_UTF8: 'utf-8-sig',
  codecs.BOM_UTF32_LE: 'utf-32',  # Begins as UTF-16 does: so it stands first.
  codecs.BOM_UTF32_BE: 'utf-32',
  codecs.BOM_UTF16_LE: 'utf-16',
  codecs.BOM_UTF16_BE: 'utf-16',
}
_CHUNK = 1 << 20
# All bytes but the control characters that no text has.
_OF_TEXT = b'\t\n\v\f\r\x1a\x1b' + bytes(range(32, 256))


def recognise_encoding(path: str | os.PathLike) -> str:
  """Find out the encoding of a text file.

  A byte order mark says it, or the zeros of UTF-16. Otherwise it is UTF-8 if
  the whole file is valid, or else Windows-1252, or Latin-1 where a byte has no
  character in that. Guessing by the frequency of letters is left to the user:
  it takes short tables in French for Polish.

  Args:
    path: path of the file, compressed or not.

  Returns:
    The name of a codec.

  Raises:
    OSError: if the file cannot be read.
    ValueError: if the file is empty or is no text.
  """
  with opening.open_binary(path) as stream:
    chunk = stream.read(_CHUNK)
    if not chunk.strip():
      raise ValueError(f'{path} must not be empty.')
    for mark, encoding in _BOMS.items():
      if chunk.startswith(mark):
        return encoding
    if wide := _wide_encoding(chunk):
      return wide
    decoders = {
      name: codecs.getincrementaldecoder(name)()
      for name in ('utf-8', 'cp1252', 'latin-1')
    }
    while chunk:
      if strange := chunk.translate(None, _OF_TEXT):
        raise ValueError(
          f'{path} must be text, got the control character {strange[0]}; see '
          'encoding.'
        )
      decoders = _still_valid(decoders, chunk, final=False)
      chunk = stream.read(_CHUNK)
  encoding = next(iter(_still_valid(decoders, b'', final=True)))
  return 'utf-8-sig' if encoding == 'utf-8' else encoding


@contextlib.contextmanager
def open_text(
  path: str | os.PathLike, encoding: str
) -> Iterator[io.TextIOWrapper]:
  """Open a file as text, with its line ends as they are.

  Args:
    path: path of the file, compressed or not.
    encoding: name of a codec.

  Yields:
    The characters.

  Raises:
    OSError: if the file cannot be read.
    ValueError: if `encoding` is unknown or is not that of the file; also from
      the body that reads it.
  """
  with opening.open_binary(path) as stream:
    try:
      text = io.TextIOWrapper(stream, encoding=encoding, newline='')
    except (LookupError, ValueError) as error:
      raise ValueError(
        f'encoding must be like utf-8, latin-1 or utf-16, got {encoding!r}.'
      ) from error
    try:
      yield text
    except UnicodeError as error:
      raise ValueError(
        f'encoding must be that of {path}, got {encoding!r}: {error}.'
      ) from error


def _wide_encoding(chunk: bytes) -> str | None:
  """Return UTF-16 if every other byte is mostly zero, as of Latin letters."""
  head = chunk[:4096]
  zeros = [head[start::2].count(0) / max(len(head) // 2, 1) for start in (0, 1)]
  if zeros[1] > 0.4 and zeros[0] < 0.1:
    return 'utf-16-le'
  if zeros[0] > 0.4 and zeros[1] < 0.1:
    return 'utf-16-be'
  return None


def _still_valid(
  decoders: dict[str, codecs.IncrementalDecoder], chunk: bytes, *, final: bool
) -> dict[str, codecs.IncrementalDecoder]:
  """Return the decoders, in their order, for which a chunk is valid."""
  found = {}
  for name, decoder in decoders.items():
    if name == 'latin-1' and found:
      found[name] = decoder  # Any bytes are valid.
      continue
    try:
      decoder.decode(chunk, final)
    except UnicodeDecodeError:
      continue
    found[name] = decoder
  return found
