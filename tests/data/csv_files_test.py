import bz2
import gzip
import lzma
import zipfile

import numpy as np
import pytest

from splitjax.data import csv_files
from splitjax.data import csv_formats

TABLE = 'age,name\n3,"Smith, Ann"\n4,"Jones, Bob"\n5,"Lee, ""Cy"""\n'


def _write(folder, text, name='x.csv'):
  path = folder / name
  path.write_text(text, encoding='utf-8')
  return path


def _read(path, **kwargs):
  csv_format = csv_formats.recognise_format(path, **kwargs)
  columns = csv_files.read_columns(path, csv_format)
  return csv_format, {
    name: values.to_pylist() for name, values in columns.items()
  }


@pytest.mark.parametrize('delimiter', [',', ';', '\t', '|'])
@pytest.mark.parametrize('quoted', [True, False])
def test_delimiter_is_recognised(tmp_path, delimiter, quoted):
  rows = [['a', 'b', 'c'], ['1', 'x y', '2.5'], ['3', "it's", '4']]
  if quoted:
    rows = [[f'"{field}"' for field in row] for row in rows]
  text = '\n'.join(delimiter.join(row) for row in rows)
  found, columns = _read(_write(tmp_path, text))
  quote = '"' if quoted or delimiter in ',;' else ''
  assert (found.delimiter, found.quote, found.header) == (
    delimiter,
    quote,
    True,
  )
  assert columns == {'a': ['1', '3'], 'b': ['x y', "it's"], 'c': ['2.5', '4']}


def test_quoted_values_keep_delimiters_and_quotes(tmp_path):
  _, columns = _read(_write(tmp_path, TABLE))
  assert columns['name'] == ['Smith, Ann', 'Jones, Bob', 'Lee, "Cy"']


def test_quoted_values_keep_line_breaks(tmp_path):
  text = 'text,label\n"one\ntwo, three",1\n"four\nfive",0\n'
  found, columns = _read(_write(tmp_path, text))
  assert found.quote == '"'
  assert columns['text'] == ['one\ntwo, three', 'four\nfive']


def test_decimal_commas_lose_against_semicolons(tmp_path):
  found, _ = _read(_write(tmp_path, 'a;b\n1,5;2,5\n3,5;4,5\n'))
  assert found.delimiter == ';'


def test_texts_with_commas_and_lone_quotes_in_a_tab_separated_file(tmp_path):
  text = (
    'good , really\t1\n" bad ; bad\t0\nso , so , so\t1\n"a" b\t0\nfine\t1\n'
  )
  found, columns = _read(_write(tmp_path, text, 'x.tsv'))
  assert (found.delimiter, found.quote, found.header) == ('\t', '', False)
  assert columns == {
    '0': ['good , really', '" bad ; bad', 'so , so , so', '"a" b', 'fine'],
    '1': ['1', '0', '1', '0', '1'],
  }


def test_lone_quotes_beyond_the_sample_swallow_no_lines(tmp_path, monkeypatch):
  monkeypatch.setattr(csv_formats, '_SAMPLE_LINES', 3)
  text = ''.join(f'text {i}\t{i % 2}\n' for i in range(9)) + '" so\t1\nno\t0\n'
  _, columns = _read(_write(tmp_path, text))
  assert columns['0'][-2:] == ['" so', 'no']


@pytest.mark.parametrize(
  'text,label_column,expected',
  [
    ('a,b\n1,x\n2,y\n', None, True),
    ('1,x\n2,y\n3,x\n', None, False),
    ('a,a\n1,2\n3,4\n', None, True),  # Texts above numbers.
    (',a\n1,2\n3,4\n', None, True),  # Row names have none.
    ('None,blue\n3,red\n4,blue\n5,red\n', None, False),
    ('<1,2.5,3.1\n1,2.4,3.3\n2,2.6,3.0\n', None, False),
    ('id,2019,2020,2021\n1,5.5,0.1,1.2\n2,6.5,0.2,1.3\n', None, True),
    ('0,1,2\n5.1,3.5,4.2\n4.9,3.0,4.1\n', None, True),
    ('5.1,3.5,a\n4.9,3.0,b\n4.7,3.2,a\n5.2,3.6,c\n', None, False),
    ('text,sort\ngood,yes\nbad,no\n', None, True),
    ('good,yes\nbad,no\nfine,yes\n', None, False),  # 'yes' comes again.
    ('good,yes\nbad,no\nfine,yes\n', 'yes', True),  # Said to be a name.
    ('2019,2020\n1,2\n3,4\n', None, False),
    ('age,pay\n3,?\n,4\n', None, True),
  ],
)
def test_header_is_recognised(tmp_path, text, label_column, expected):
  path = _write(tmp_path, text)
  found = csv_formats.recognise_format(path, label_column=label_column)
  assert found.header == expected


def test_what_is_given_is_taken(tmp_path):
  path = _write(tmp_path, TABLE)
  given = dict(delimiter=';', quote='', header=False)
  found = csv_formats.recognise_format(path, **given)
  assert {name: getattr(found, name) for name in given} == given
  _, columns = _read(path, header=False)
  assert list(columns) == ['0', '1']
  assert columns['0'] == ['age', '3', '4', '5']


@pytest.mark.parametrize('suffix', ['gz', 'xz', 'bz2', 'zip'])
def test_compressed_files_read_the_same(tmp_path, suffix):
  plain = _write(tmp_path, TABLE)
  path = tmp_path / f'x.csv.{suffix}'
  if suffix == 'zip':
    with zipfile.ZipFile(path, 'w') as archive:
      archive.write(plain, 'x.csv')
  else:
    module = {'gz': gzip, 'xz': lzma, 'bz2': bz2}[suffix]
    path.write_bytes(module.compress(plain.read_bytes()))
  assert _read(path) == _read(plain)


def test_byte_order_mark_and_windows_line_ends_are_no_part_of_values(tmp_path):
  path = tmp_path / 'x.csv'
  path.write_bytes(b'\xef\xbb\xbfa,b\r\n1,x\r\n2,y\r\n')
  _, columns = _read(path)
  assert columns == {'a': ['1', '2'], 'b': ['x', 'y']}


def test_spaces_after_delimiters_are_no_part_of_values(tmp_path):
  _, columns = _read(_write(tmp_path, 'a, b\n1, "x, y"\n2, z\n'))
  assert columns == {'a': ['1', '2'], 'b': ['x, y', 'z']}


def test_line_with_too_few_fields_is_filled_with_missing_ones(tmp_path):
  _, columns = _read(_write(tmp_path, 'a,b\n1,x\n2\n3,y\n'))
  assert columns['b'] == ['x', '', 'y']


@pytest.mark.parametrize(
  'text',
  ['a,b\n1,2\n3,4,5\n6,7\n', '1,2\n3,4,5\n6,7\n'],
)
def test_line_with_too_many_fields_is_refused(tmp_path, text):
  path = _write(tmp_path, text)
  with pytest.raises(ValueError, match='x.csv must have equally many') as info:
    _read(path)
  assert '\n' not in str(info.value)


@pytest.mark.parametrize(
  'content,message',
  [
    (b'', 'must not be empty'),
    (b'\n \n', 'must not be empty'),
    (b'a,b\n', 'below its header, got none'),
    (b'one\ntwo\n', 'delimiter must be given'),
    (b'a,b\n\x00\x01,1\n', 'must be text, got the control character 0'),
  ],
)
def test_what_is_no_table_is_refused(tmp_path, content, message):
  path = tmp_path / 'x.csv'
  path.write_bytes(content)
  with pytest.raises(ValueError, match=message) as info:
    _read(path, header=True if b'below' in message.encode() else None)
  assert '\n' not in str(info.value)


@pytest.mark.parametrize('suffix', ['gz', 'xz', 'bz2', 'zip'])
def test_file_that_is_not_what_its_name_says_is_refused(tmp_path, suffix):
  path = _write(tmp_path, TABLE, f'x.csv.{suffix}')
  with pytest.raises((ValueError, OSError)):
    csv_formats.recognise_format(path)


def test_missing_file_is_an_os_error_with_its_name(tmp_path):
  with pytest.raises(FileNotFoundError, match='nothing.csv'):
    csv_formats.recognise_format(tmp_path / 'nothing.csv')


@pytest.mark.parametrize('name', ['delimiter', 'quote'])
def test_more_than_one_character_is_refused(tmp_path, name):
  path = _write(tmp_path, TABLE)
  with pytest.raises(ValueError, match=f'{name} must be one character'):
    csv_formats.recognise_format(path, **{name: '::'})


def test_values_beyond_the_sample_are_read(tmp_path, monkeypatch):
  monkeypatch.setattr(csv_formats, '_SAMPLE_LINES', 3)
  text = 'a,b\n' + ''.join(f'{i},x\n' for i in range(50))
  _, columns = _read(_write(tmp_path, text))
  np.testing.assert_array_equal(columns['a'], np.arange(50).astype(str))
