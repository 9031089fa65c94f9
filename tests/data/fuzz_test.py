"""Whatever the bytes of a file: a data set of finite numbers, or one line."""

import functools
import pathlib
import shutil
import tempfile
import zipfile

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pandas as pd
import pytest

from splitjax import data
from tests.data import tfds_sets_test

_CELLS = st.one_of(
  st.integers(-50, 50).map(str),
  st.floats().map(str),
  st.sampled_from(
    ['', 'NA', 'None', '-', '1,5', '1.234,5', '$5', '12%', '(5)', '1_2', 'inf']
    + ['"', 'a"b', '"a,b"', "'", '\\"', '#', '1e999', '\u2212', '\ufeff', ' ']
    + ['\r', 'yes', 'no', '01', '1.0', '2020-01-02', '\x00', 'sep=;']
  ),
  st.text(max_size=5),
)
_ROWS = st.lists(st.lists(_CELLS, min_size=1, max_size=5), max_size=12)
_FILES = st.one_of(
  st.binary(max_size=300),
  st.builds(
    lambda rows, delimiter, end, encoding: end.join(
      delimiter.join(row) for row in rows
    ).encode(encoding, 'replace'),
    # Rows again and again: classes need several.
    st.builds(lambda rows, times: rows * times, _ROWS, st.integers(1, 8)),
    st.sampled_from([',', ';', '\t', '|', ' ']),
    st.sampled_from(['\n', '\r\n', '\r']),
    st.sampled_from(['utf-8', 'utf-8-sig', 'latin-1', 'utf-16', 'utf-16-le']),
  ),
)
_FLAGS = st.fixed_dictionaries(
  {
    'label_column': st.sampled_from([0, -1, 1]),
    'target': st.sampled_from(['class', 'class', 'real']),
  },
  optional={
    'text_column': st.sampled_from([0, 1]),
    'header': st.booleans(),
    'delimiter': st.sampled_from([',', 'whitespace', '"', 'é', '']),
    'quote': st.sampled_from(["'", '']),
    'escape': st.sampled_from(['\\', ',']),
    'comment': st.sampled_from(['#', 'y']),
    'skip_lines': st.integers(0, 3),
    'encoding': st.sampled_from(['utf-8', 'latin-1', 'utf-16', 'nothing']),
    'decimal': st.sampled_from([',', 'x']),
    'thousands': st.sampled_from([',', '.', ' ']),
    'numeric_columns': st.just([0]),
    'num_train': st.integers(0, 9),
  },
)


def _read_or_refuse(load_fn, *args, **kwargs):
  """Load a data set and check that it is one; or check the one line."""
  try:
    found = load_fn(*args, seed=0, **kwargs)
  except (ValueError, OSError) as error:
    assert type(error) in (ValueError, FileNotFoundError), repr(error)
    assert str(error)
    assert '\n' not in str(error)
    return
  for inputs in (found.train_inputs, found.test_inputs):
    assert np.isfinite(inputs).all()
    assert len(inputs)
  for labels in (found.train_labels, found.test_labels):
    assert np.isfinite(labels).all()
    if not found.is_real:
      assert 0 <= labels.min() <= labels.max() < found.num_classes


def _fuzz_csv(content, flags):
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, 'x.csv')
    path.write_bytes(content)
    _read_or_refuse(data.load_csv, path, **flags)


def _settings(num):
  return hypothesis.settings(
    max_examples=num,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
  )


@_settings(300)
@hypothesis.given(_FILES, _FLAGS)
def test_csv_is_read_or_refused_in_one_line(content, flags):
  _fuzz_csv(content, flags)


@pytest.mark.slow
@_settings(1500)
@hypothesis.given(_FILES, _FLAGS)
def test_many_csv_are_read_or_refused_in_one_line(content, flags):
  _fuzz_csv(content, flags)


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
  folder = tmp_path_factory.mktemp('tfds')
  builder = tfds_sets_test.TinyTexts(
    data_dir=folder, file_format='array_record'
  )
  builder.download_and_prepare()
  return folder


def _fuzz_tfds(prepared, draw):
  with tempfile.TemporaryDirectory() as folder:
    copy = pathlib.Path(folder, 'tiny_texts')
    shutil.copytree(prepared / 'tiny_texts', copy)
    paths = sorted(path for path in copy.rglob('*') if path.is_file())
    path = draw(st.sampled_from(paths))
    content = bytearray(path.read_bytes())
    start = draw(st.integers(0, len(content)))
    new = draw(st.one_of(st.binary(max_size=8), st.just(b'null')))
    stop = start + draw(st.sampled_from([0, 1, len(new), len(content)]))
    content[start:stop] = new
    path.write_bytes(content)
    _read_or_refuse(
      data.load_tfds, 'tiny_texts', data_dir=folder, label_column='coarse'
    )


@_settings(100)
@hypothesis.given(st.data())
def test_tfds_folder_is_read_or_refused_in_one_line(prepared, draws):
  _fuzz_tfds(prepared, draws.draw)


@pytest.mark.slow
@_settings(400)
@hypothesis.given(st.data())
def test_many_tfds_folders_are_read_or_refused_in_one_line(prepared, draws):
  _fuzz_tfds(prepared, draws.draw)


def _write_npz(path):
  rng = np.random.default_rng(0)
  inputs, labels = rng.normal(size=(24, 3)), np.arange(24) % 3
  np.savez(path, x=inputs, y=labels)


def _write_parquet(path):
  rng = np.random.default_rng(0)
  frame = pd.DataFrame(rng.normal(size=(24, 3)), columns=['a', 'b', 'c'])
  frame.assign(label=np.resize(['red', 'blue', 'green'], 24)).to_parquet(path)


def _write_zip(path):
  rows = [f'{i},{i % 7},{i % 3}' for i in range(24)]
  with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
    archive.writestr('x.csv', '\n'.join(rows))


_BINARY = {
  'csv.zip': (_write_zip, functools.partial(data.load_csv, label_column=2)),
  'npz': (_write_npz, data.load_npz),
  'parquet': (
    _write_parquet,
    functools.partial(data.load_parquet, label_column='label'),
  ),
}


def _fuzz_binary(kind, draw):
  write_fn, load_fn = _BINARY[kind]
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, f'x.{kind}')
    write_fn(path)
    content = bytearray(path.read_bytes())
    for _ in range(draw(st.integers(1, 3))):
      start = draw(st.integers(0, len(content)))
      new = draw(st.binary(max_size=8))
      stop = start + draw(st.sampled_from([0, 1, len(new), len(content)]))
      content[start:stop] = new
    path.write_bytes(content)
    _read_or_refuse(load_fn, path)


@pytest.mark.parametrize('kind', _BINARY)
@_settings(60)
@hypothesis.given(st.data())
def test_damaged_binary_file_is_read_or_refused_in_one_line(kind, draws):
  _fuzz_binary(kind, draws.draw)


@pytest.mark.slow
@pytest.mark.parametrize('kind', _BINARY)
@_settings(600)
@hypothesis.given(st.data())
def test_many_damaged_binary_files_are_too(kind, draws):
  _fuzz_binary(kind, draws.draw)
