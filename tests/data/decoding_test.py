import pytest

from splitjax.data import decoding

TEXT = 'naïve;prix;étiquette\n' + 'a;1;sûr\n' * 50


@pytest.mark.parametrize(
  'encoding,found',
  [
    ('utf-8', 'utf-8-sig'),
    ('utf-8-sig', 'utf-8-sig'),
    ('latin-1', 'cp1252'),
    ('utf-16', 'utf-16'),
    ('utf-16-le', 'utf-16-le'),
    ('utf-16-be', 'utf-16-be'),
    ('utf-32', 'utf-32'),
  ],
)
def test_encoding_is_recognised(tmp_path, encoding, found):
  path = tmp_path / 'x.csv'
  path.write_bytes(TEXT.encode(encoding))
  assert decoding.recognise_encoding(path) == found
  with decoding.open_text(path, found) as text:
    assert text.read() == TEXT


def test_bytes_far_below_count(tmp_path):
  path = tmp_path / 'x.csv'
  path.write_bytes(b'a,b\n' * (1 << 19) + b'\xe9,1\n')
  assert decoding.recognise_encoding(path) == 'cp1252'
  path.write_bytes(b'a,\x81\n')  # No character of Windows-1252.
  assert decoding.recognise_encoding(path) == 'latin-1'


@pytest.mark.parametrize('encoding', ['nothing', 'hex', 'utf\0'])
def test_unknown_encoding_is_refused(tmp_path, encoding):
  path = tmp_path / 'x.csv'
  path.write_bytes(b'a')
  with (
    pytest.raises(ValueError, match='encoding must be like'),
    decoding.open_text(path, encoding),
  ):
    pass


def test_wrong_encoding_is_refused(tmp_path):
  path = tmp_path / 'x.csv'
  path.write_bytes(b'\xe9')
  with (
    pytest.raises(ValueError, match='encoding must be that of .*x.csv'),
    decoding.open_text(path, 'utf-8') as text,
  ):
    text.read()
