import zlib

import numpy as np
import pytest

from splitjax import data
from splitjax.data import labels as labels_lib

NUM_ROWS = 40


def _rows(seed=0):
  """Number, text, code and class of each row."""
  rng = np.random.default_rng(seed)
  return [
    [f'{rng.normal(5, 3):.3f}', rng.choice(['red', 'blue']), str(i % 3), label]
    for i, label in zip(range(NUM_ROWS), ['yes', 'no'] * 20, strict=True)
  ]


def _write(folder, rows, name='pets.csv', header='size,colour,code,tame'):
  path = folder / name
  lines = ([header] if header else []) + [','.join(row) for row in rows]
  path.write_text('\n'.join(lines) + '\n')
  return path


def _load(path, **kwargs):
  kwargs = dict(label_column='tame', seed=0) | kwargs
  return data.load_csv(path, **kwargs)


def test_numbers_come_first_and_categories_are_hashed_by_name(tmp_path):
  rows = _rows()
  path = _write(tmp_path, rows)
  dataset = _load(path, categorical_columns=['code'], test_path=path)
  assert dataset.name == 'pets'
  assert dataset.class_names == ('no', 'yes')
  assert dataset.category_sizes == (256, 256)
  assert dataset.column_names == ('size', 'colour', 'code')
  assert dataset.train_inputs.dtype == np.float32
  assert dataset.train_labels.dtype == np.int32
  sizes = np.array([float(row[0]) for row in rows])
  expected = np.array(
    [
      [
        (float(size) - sizes.mean()) / sizes.std(),
        1 + zlib.crc32(f'colour\0{colour}'.encode()) % 255,
        1 + zlib.crc32(f'code\0{code}'.encode()) % 255,
      ]
      for size, colour, code, _ in rows
    ]
  )
  np.testing.assert_allclose(dataset.train_inputs, expected, rtol=1e-5)
  np.testing.assert_array_equal(dataset.train_labels, [1, 0] * 20)
  np.testing.assert_array_equal(dataset.test_inputs, dataset.train_inputs)
  assert dataset.notes == (
    'hashed to 256 ids, by column (distinct values): colour (2), code (3)',
    'labels: column tame, classes no, yes',
    *[
      "pets.csv: read as utf-8, 4 columns with ',' between them, values in "
      '", the first line names the columns'
    ]
    * 2,
  )


def test_split_is_stratified_and_seeded(tmp_path):
  path = _write(tmp_path, _rows())
  first, again, other = (_load(path, seed=seed) for seed in (0, 0, 1))
  np.testing.assert_array_equal(first.test_inputs, again.test_inputs)
  assert not np.array_equal(first.test_inputs, other.test_inputs)
  np.testing.assert_array_equal(np.bincount(first.train_labels), [16, 16])
  np.testing.assert_array_equal(np.bincount(first.test_labels), [4, 4])


def test_subsets_are_drawn_before_anything_is_computed(tmp_path):
  path = _write(tmp_path, _rows())
  dataset = _load(path, num_train=10, num_test=4, test_path=path)
  np.testing.assert_array_equal(np.bincount(dataset.train_labels), [5, 5])
  np.testing.assert_array_equal(np.bincount(dataset.test_labels), [2, 2])
  numbers = dataset.train_inputs[:, :2]
  np.testing.assert_allclose(numbers.mean(0), 0, atol=1e-6)
  np.testing.assert_allclose(numbers.std(0), 1, atol=1e-6)
  with pytest.raises(ValueError, match='num_train must lie'):
    _load(path, num_train=1)
  with pytest.raises(ValueError, match='num_test must lie'):
    _load(path, num_test=9)


def test_statistics_come_from_the_training_part(tmp_path):
  path = _write(tmp_path, _rows())
  shifted = [[str(1000 + float(row[0])), *row[1:]] for row in _rows()]
  other = _write(tmp_path, shifted, 'test.csv')
  plain = _load(path, test_path=path)
  moved = _load(path, test_path=other)
  np.testing.assert_array_equal(plain.train_inputs, moved.train_inputs)
  assert moved.test_inputs[:, 0].min() > 100


def test_missing_numbers_are_the_training_median_and_missing_texts_id_0(
  tmp_path,
):
  rows = _rows()
  rows[0][0], rows[1][0] = '?', ''
  rows[2][1] = ' NA '
  path = _write(tmp_path, rows)
  test = [['', '', '1', 'no'], ['7', 'red', '2', 'yes']]
  test_path = _write(tmp_path, test, 'test.csv')
  dataset = _load(path, test_path=test_path)
  sizes = np.array([float(row[0]) for row in rows[2:]])
  filled = np.concatenate([np.full(2, np.median(sizes)), sizes])
  scaled = (filled - filled.mean()) / filled.std()
  np.testing.assert_allclose(dataset.train_inputs[:, 0], scaled, rtol=1e-5)
  np.testing.assert_allclose(dataset.test_inputs[0, 0], scaled[0], rtol=1e-5)
  assert dataset.train_inputs[2, -1] == 0
  assert dataset.test_inputs[0, -1] == 0
  assert (np.delete(dataset.train_inputs[:, -1], 2) > 0).all()
  assert dataset.notes[0].startswith('5 missing values in size, colour: ')


def test_column_without_any_number_is_zero(tmp_path):
  rows = [['', *row[1:]] for row in _rows()]
  dataset = _load(_write(tmp_path, rows))
  np.testing.assert_array_equal(dataset.train_inputs[:, 0], 0)


def test_constant_column_is_only_centred(tmp_path):
  rows = [['0.1', *row[1:]] for row in _rows()]
  path = _write(tmp_path, rows)
  test = _write(tmp_path, [['2.1', *row[1:]] for row in _rows()], 'test.csv')
  dataset = _load(path, test_path=test)
  np.testing.assert_allclose(dataset.train_inputs[:, 0], 0, atol=1e-7)
  np.testing.assert_allclose(dataset.test_inputs[:, 0], 2, rtol=1e-6)


@pytest.mark.parametrize('value', ['inf', '-Infinity', '1e300'])
def test_number_beyond_float32_is_refused(tmp_path, value):
  rows = _rows()
  rows[5][0] = value
  with pytest.raises(ValueError, match="column 'size' must be finite"):
    _load(_write(tmp_path, rows))


def test_rows_without_a_label_are_dropped_and_counted(tmp_path):
  rows = _rows()
  for i in range(4):
    rows[i][-1] = '?'
  dataset = _load(_write(tmp_path, rows))
  assert len(dataset.labels_by_id) == NUM_ROWS - 4
  assert dataset.notes[0].startswith('4 rows of ')
  assert dataset.notes[0].endswith('pets.csv dropped: no tame')
  rows = [[*row[:-1], '?'] for row in rows]
  with pytest.raises(ValueError, match="label_column 'tame' must have labels"):
    _load(_write(tmp_path, rows))


@pytest.mark.parametrize(
  'labels,class_names',
  [
    (['10', '9', '-1', '9'], ('-1', '9', '10')),
    (['1.0', '0', '1', '0.0'], ('0', '1')),
    (['0.5', '1', '0.5', '1'], ('0.5', '1')),
    (['True', ' False', 'True', 'False '], ('False', 'True')),
    (['b', '10', '9', 'b'], ('10', '9', 'b')),
    (['1', 'nan.', 'inf', '1'], ('1', 'inf', 'nan.')),
  ],
)
def test_classes_are_sorted_by_number_if_they_are_numbers(
  tmp_path, labels, class_names
):
  rows = [[str(i % 7), 'x', '0', labels[i % 4]] for i in range(NUM_ROWS)]
  dataset = _load(_write(tmp_path, rows), test_path=_write(tmp_path, rows))
  assert dataset.class_names == class_names
  names = {label.strip() for label in labels}
  assert len(names) >= len(class_names)
  found = [class_names[label] for label in dataset.train_labels[:4]]
  for name, label in zip(found, labels, strict=True):
    assert name == label.strip() or float(name) == float(label)


@pytest.mark.parametrize('label_column', ['tame', 3, -1, '3', '-1'])
def test_columns_are_found_by_name_or_position(tmp_path, label_column):
  path = _write(tmp_path, _rows())
  dataset = _load(path, label_column=label_column, drop_columns=['0', -2])
  assert dataset.class_names == ('no', 'yes')
  assert dataset.train_inputs.shape[1] == 1


def test_file_without_header_is_addressed_by_position(tmp_path):
  path = _write(tmp_path, _rows(), header='')
  with_header = _load(_write(tmp_path, _rows(), 'named.csv'))
  dataset = _load(path, label_column=-1)
  np.testing.assert_array_equal(
    dataset.train_inputs[:, :2], with_header.train_inputs[:, :2]
  )


def test_texts_are_hashed_and_other_columns_left_out(tmp_path):
  texts = ['A fine day', 'bad , bad weather', 'so fine !', 'rain']
  rows = [[texts[i % 4], str(i), ['good', 'bad'][i % 2]] for i in range(20)]
  path = tmp_path / 'days.tsv'
  path.write_text('\n'.join('\t'.join(row) for row in rows))
  dataset = data.load_csv(
    path,
    label_column=2,
    text_column=0,
    seed=0,
    test_path=path,
    vocabulary_size=100,
    max_tokens=3,
  )
  assert dataset.vocabulary_size == 100
  assert dataset.category_sizes == ()
  expected = data.hash_tokens(texts, vocabulary_size=100, max_tokens=3)
  np.testing.assert_array_equal(dataset.train_inputs, np.tile(expected, (5, 1)))
  assert dataset.notes[0].startswith('10 of 40 texts were cut to max_tokens=3')
  train, test = data.raw_vectors(dataset)
  np.testing.assert_array_equal(train, test)


def test_test_file_may_order_its_columns_otherwise(tmp_path):
  path = _write(tmp_path, _rows())
  turned = _write(
    tmp_path,
    [row[::-1] for row in _rows()],
    'test.csv',
    header='tame,code,colour,size',
  )
  dataset = _load(path, test_path=turned)
  np.testing.assert_array_equal(dataset.test_inputs, dataset.train_inputs)


def _refused(match, path, **kwargs):
  with pytest.raises(ValueError, match=match) as info:
    _load(path, **kwargs)
  assert '\n' not in str(info.value)


def test_unknown_columns_are_refused_with_the_closest_first(tmp_path):
  path = _write(tmp_path, _rows())
  closest = "must be a column or its position, of 'tame', 'size', 'colour'"
  _refused(f'label_column {closest}.*got .tam.', path, label_column='tam')
  _refused('label_column must be a column', path, label_column=4)
  _refused('text_column must be a column', path, text_column='txt')
  _refused("drop_columns .*of 'colour'", path, drop_columns=['color'])
  _refused("categorical_columns .*of 'code'", path, categorical_columns=['cod'])


def test_contradicting_columns_are_refused(tmp_path):
  path = _write(tmp_path, _rows())
  _refused('drop_columns must not be the label', path, drop_columns=['tame'])
  _refused('text_column must not be the label', path, text_column=-1)
  _refused(
    'categorical_columns must not be', path, categorical_columns=['tame']
  )
  _refused(
    'drop_columns must not be the text',
    path,
    text_column='colour',
    drop_columns=['colour'],
  )
  _refused('leave no input', path, drop_columns=['size', 'colour', 'code'])
  _refused('num_buckets must .* got 1', path, num_buckets=1)


def test_labels_that_are_no_classes_are_refused(tmp_path):
  rows = _rows()
  path = _write(tmp_path, rows)
  _refused("label_column 'size' looks like numbers", path, label_column='size')
  path = _write(tmp_path, [[*row[:-1], 'yes'] for row in rows])
  _refused("label_column 'tame' must have 2 classes.*yes", path)
  rows[0][-1] = 'perhaps'
  path = _write(tmp_path, rows)
  _refused("label_column 'tame' has too few rows.*1 of 'perhaps'", path)


def test_many_classes_are_refused():
  values = np.array([str(i // 2) for i in range(2400)], dtype=object)
  with pytest.raises(ValueError, match='1,200 distinct values in 2,400 rows'):
    labels_lib.check_classes('x', values, labels_lib.name_classes(values))


def test_test_file_that_does_not_fit_is_refused(tmp_path):
  path = _write(tmp_path, _rows())
  rows = _rows()
  rows[0][-1] = 'perhaps'
  unknown = _write(tmp_path, rows, 'test.csv')
  _refused("test_path must have labels.*'perhaps'", path, test_path=unknown)
  other = _write(tmp_path, _rows(), 'other.csv', header='size,hue,code,tame')
  _refused('test_path must have the columns of path', path, test_path=other)
  with pytest.raises(FileNotFoundError, match='nothing.csv'):
    _load(path, test_path=tmp_path / 'nothing.csv')


def _targets_path(folder, targets, name='pets.csv'):
  rows = [
    [*row[:-1], target] for row, target in zip(_rows(), targets, strict=True)
  ]
  return _write(folder, rows, name)


def _drawn_targets(seed=1, shift=0.0):
  rng = np.random.default_rng(seed)
  return [f'{shift + number:.4f}' for number in rng.normal(50, 9, NUM_ROWS)]


def _load_real(path, **kwargs):
  return _load(path, target='real', **kwargs)


def test_real_targets_are_split_and_standardised_as_arrays_are(tmp_path):
  texts = _drawn_targets()
  path = _targets_path(tmp_path, texts)
  found = _load_real(path, seed=3)
  sizes = np.array([[float(row[0])] for row in _rows()])
  targets = np.array([float(text) for text in texts])
  expected = data.split_and_standardize_targets('x', sizes, targets, seed=3)
  assert found.is_real
  assert found.name == 'pets'
  assert found.category_sizes == (256,)
  assert found.train_labels.dtype == np.float32
  assert found.target_mean == expected.target_mean
  assert found.target_std == expected.target_std
  np.testing.assert_array_equal(found.train_labels, expected.train_labels)
  np.testing.assert_array_equal(found.test_labels, expected.test_labels)
  np.testing.assert_allclose(
    found.train_inputs[:, :1], expected.train_inputs, rtol=1e-5, atol=1e-6
  )
  np.testing.assert_allclose(
    found.test_inputs[:, :1], expected.test_inputs, rtol=1e-5, atol=1e-6
  )


def test_real_targets_of_a_test_file_are_in_units_of_the_training_part(
  tmp_path,
):
  path = _targets_path(tmp_path, _drawn_targets())
  other = _targets_path(tmp_path, _drawn_targets(shift=1000.0), 'test.csv')
  found = _load_real(path, test_path=other)
  assert (len(found.train_labels), len(found.test_labels)) == (40, 40)
  np.testing.assert_allclose(found.train_labels.mean(), 0, atol=1e-6)
  np.testing.assert_allclose(found.train_labels.std(), 1, rtol=1e-6)
  truth = [float(text) for text in _drawn_targets()]
  np.testing.assert_allclose(
    found.labels_by_id, [*truth, *(1000 + np.array(truth))], rtol=1e-6
  )


def test_subsets_of_real_targets_are_drawn_before_anything_is_computed(
  tmp_path,
):
  path = _targets_path(tmp_path, _drawn_targets())
  found = _load_real(path, num_train=10, num_test=4)
  again = _load_real(path, num_train=10, num_test=4)
  other = _load_real(path, num_train=10, num_test=4, seed=1)
  assert (len(found.train_labels), len(found.test_labels)) == (10, 4)
  np.testing.assert_allclose(found.train_labels.mean(), 0, atol=1e-6)
  np.testing.assert_allclose(found.train_labels.std(), 1, rtol=1e-6)
  np.testing.assert_allclose(found.train_inputs[:, :2].std(0), 1, rtol=1e-6)
  np.testing.assert_array_equal(found.train_inputs, again.train_inputs)
  assert not np.array_equal(found.train_inputs, other.train_inputs)
  with pytest.raises(ValueError, match='num_train must lie .* 32 .*got 33'):
    _load_real(path, num_train=33)
  with pytest.raises(ValueError, match='num_test must lie between 1.*got 0'):
    _load_real(path, num_test=0)


def test_rows_without_a_real_target_are_dropped_and_keep_their_numbers(
  tmp_path,
):
  targets = _drawn_targets()
  targets[0] = targets[2] = 'NA'
  path = _targets_path(tmp_path, targets)
  found = _load_real(path)
  assert len(found.labels_by_id) == NUM_ROWS - 2
  assert found.notes[0].endswith('pets.csv dropped: no tame')
  targets[5] = 'dear'
  with pytest.raises(ValueError, match="'dear' in row 6 of .*pets.csv"):
    _load_real(_targets_path(tmp_path, targets))


@pytest.mark.parametrize('value', ['dear', 'inf', '-1e300', '1;2'])
def test_labels_that_are_no_finite_numbers_are_refused(tmp_path, value):
  plain = _targets_path(tmp_path, _drawn_targets())
  targets = _drawn_targets()
  targets[8] = value
  match = f"label_column 'tame' must be finite numbers .*got '{value}' in row 9"
  path = _targets_path(tmp_path, targets, 'wrong.csv')
  _refused(f'{match} of .*wrong.csv', path, target='real')
  _refused(f'{match} of .*wrong.csv', plain, target='real', test_path=path)


def test_arguments_that_do_not_fit_real_targets_are_refused(tmp_path):
  path = _targets_path(tmp_path, _drawn_targets())
  _refused("target must be 'class' or 'real', got 'x'", path, target='x')
  _refused(
    "classes must not be given with target='real', got a,b",
    path,
    target='real',
    classes=['a', 'b'],
  )
  path = _targets_path(tmp_path, ['7'] * NUM_ROWS)
  _refused("label_column 'tame' must differ in the", path, target='real')


def test_texts_may_have_real_targets(tmp_path):
  path = tmp_path / 'days.tsv'
  lines = [f'a day of {i} words\t{i / 8}' for i in range(20)]
  path.write_text('\n'.join(lines))
  found = data.load_csv(
    path, label_column=1, text_column=0, seed=0, target='real'
  )
  assert found.is_real
  assert found.train_inputs.shape == (16, 5)
  assert found.vocabulary_size == 8192


@pytest.fixture(scope='module')
def tumours():
  from sklearn import datasets

  bunch = datasets.load_breast_cancer()
  rows = [[f'{x:g}' for x in row[:10]] for row in bunch.data]
  return rows, [('M', 'B')[label] for label in bunch.target]


def _write_tumours(folder, tumours, name, delimiter=',', **changes):
  rows = [list(row) for row in tumours[0]]
  for place, value in changes.get('cells', {}).items():
    rows[place[0]][place[1]] = value
  lines = [delimiter.join([*(f'x{i}' for i in range(10)), 'diagnosis'])]
  for row, label in zip(rows, tumours[1], strict=True):
    line = delimiter.join([*row, label])
    lines.append(line.replace('.', changes.get('point', '.')))
  path = folder / name
  path.write_text('\n'.join(lines))
  return path


def _load_tumours(path):
  return data.load_csv(path, label_column='diagnosis', seed=0)


def test_decimal_commas_read_as_points_do(tmp_path, tumours):
  point = _load_tumours(_write_tumours(tmp_path, tumours, 'a.csv', ';'))
  path = _write_tumours(tmp_path, tumours, 'b.csv', ';', point=',')
  comma = _load_tumours(path)
  np.testing.assert_array_equal(comma.train_inputs, point.train_inputs)
  np.testing.assert_array_equal(comma.test_inputs, point.test_inputs)
  assert any(note.startswith('decimal comma') for note in comma.notes)


@pytest.mark.parametrize('value', ['None', '#N/A', '<NA>', '-', '<1', '"1,5"'])
def test_one_odd_cell_spoils_no_column(tmp_path, tumours, value):
  clean = _load_tumours(_write_tumours(tmp_path, tumours, 'a.csv'))
  cells = {(row, 3): value for row in (0, 568)}  # One may be a test sample.
  path = _write_tumours(tmp_path, tumours, 'b.csv', cells=cells)
  found = _load_tumours(path)
  assert found.category_sizes == ()
  assert 'x3' in found.notes[0]
  differ = np.abs(found.train_inputs - clean.train_inputs) > 0.05
  assert differ.sum() <= 2
  assert not np.delete(differ, 3, axis=1).any()


def test_classes_are_chosen_before_the_split(tmp_path):
  rows = _rows()
  rows[0][-1] = 'rare'
  path = _write(tmp_path, rows)
  dataset = _load(path, classes=['yes', 'no'])
  assert dataset.class_names == ('yes', 'no')
  assert len(dataset.labels_by_id) == NUM_ROWS - 1
  _refused('too few rows .*name the others in classes', path)


def test_columns_of_one_name_are_told_apart_by_position(tmp_path):
  lines = ['a,a ,b,y'] + [
    f'{i},{i % 3},{i % 5},{"AB"[i % 2]}' for i in range(60)
  ]
  path = tmp_path / 'x.csv'
  path.write_text('\n'.join(lines))
  dataset = _load(path, label_column='y')
  assert dataset.train_inputs.shape[1] == 3
  assert _load(path, label_column=1, drop_columns=[0]).num_classes == 3
  _refused(
    "label_column must be the position of one of 'a", path, label_column='a'
  )


def test_row_names_are_no_input(tmp_path):
  rows = [f'{i},{i % 7},{i % 3}' for i in range(30)]
  for header in (',a,y', 'a,y', 'Unnamed: 0,a,y'):
    path = tmp_path / 'x.csv'
    path.write_text('\n'.join([header, *rows]))
    dataset = _load(path, label_column='y')
    assert dataset.train_inputs.shape == (24, 1)
    assert any('left out as row names' in note for note in dataset.notes)


def test_tiny_and_constant_columns_are_finite(tmp_path):
  rows = [f'{i + 1}e-200,1e30,{i % 2}' for i in range(40)]
  path = tmp_path / 'x.csv'
  path.write_text('\n'.join(['a,b,y', *rows]))
  dataset = _load(path, label_column='y')
  np.testing.assert_allclose(dataset.train_inputs.std(0), [1, 0], atol=1e-6)
  np.testing.assert_array_equal(dataset.test_inputs[:, 1], 0)


def test_sep_line_and_lines_before_the_table_are_skipped(tmp_path):
  rows = [f'{i};{i % 3};{"ab"[i % 2]}' for i in range(40)]
  for first in ('sep=;', 'A title', '# of 2020\n# by us'):
    path = tmp_path / 'x.csv'
    path.write_text('\n'.join([first, 'a;b;y', *rows]))
    dataset = _load(path, label_column='y')
    assert dataset.train_inputs.shape == (32, 2)
    assert 'before the table skipped' in dataset.notes[-1]


def test_test_file_may_begin_otherwise_and_end_labels_with_a_stop(tmp_path):
  rows = [f'{i}, {"<>"[i % 2]}50K' for i in range(40)]
  path, test = tmp_path / 'x.data', tmp_path / 'x.test'
  path.write_text('\n'.join(rows))
  test.write_text('\n'.join(['|1x3 Cross validator', *(f'{x}.' for x in rows)]))
  dataset = _load(path, label_column=-1, test_path=test)
  np.testing.assert_array_equal(dataset.test_labels, dataset.train_labels)
  np.testing.assert_array_equal(dataset.test_inputs, dataset.train_inputs)
  assert any('<50K. are taken for <50K' in note for note in dataset.notes)


def test_long_fields_are_read(tmp_path):
  rows = [
    f'{"ab"[i % 2]},"text {i}{" word" * (i == 7) * 40_000}"' for i in range(30)
  ]
  path = tmp_path / 'x.csv'
  path.write_text('\n'.join(['y,text', *rows]))
  dataset = _load(path, label_column='y', text_column='text')
  assert dataset.train_inputs.shape == (24, 64)


@pytest.mark.parametrize(
  'text,kwargs',
  [
    ('a b y\n' + ''.join(f'{i}   {i % 3} {i % 2}\n' for i in range(30)), {}),
    (
      'a,b,y\n' + ''.join(f'{i},x\\"{i % 3},{i % 2}\n' for i in range(30)),
      {'escape': '\\'},
    ),
    (
      'a,b,y\n' + ''.join(f'{i},{i},{i % 2}\n%no\n' for i in range(30)),
      {'comment': '%'},
    ),
    (
      'x,y,z\na,b,y\n' + ''.join(f'{i},{i},{i % 2}\n' for i in range(30)),
      {'skip_lines': 1},
    ),
    (
      'a~b~y\n' + ''.join(f'{i}~3~{i % 2}\n' for i in range(30)),
      {'delimiter': '~'},
    ),
  ],
)
def test_formats_are_recognised_or_given(tmp_path, text, kwargs):
  path = tmp_path / 'x.csv'
  path.write_text(text)
  dataset = _load(path, label_column='y', **kwargs)
  assert dataset.train_inputs.shape == (24, 2)
  assert dataset.class_names == ('0', '1')


def test_parquet_reads_as_csv_does(tmp_path):
  import pandas as pd

  path = _write(tmp_path, _rows())
  other = tmp_path / 'pets.parquet'
  pd.read_csv(path).to_parquet(other)
  csv = _load(path)
  parquet = data.load_parquet(other, label_column='tame', seed=0)
  np.testing.assert_array_equal(parquet.train_inputs, csv.train_inputs)
  np.testing.assert_array_equal(parquet.test_labels, csv.test_labels)
  other.write_bytes(other.read_bytes()[:-50])
  with pytest.raises(ValueError, match='must be a whole Parquet file'):
    data.load_parquet(other, label_column='tame', seed=0)


@pytest.mark.parametrize('target', ['class', 'real'])
def test_marks_inside_numbers_are_checked(tmp_path, target):
  path = _targets_path(tmp_path, _drawn_targets())
  _refused("decimal must be '.' or ','", path, target=target, decimal='x')
  _refused('thousands must be one mark', path, target=target, thousands='00')
  _refused(
    'thousands must differ', path, target=target, decimal=',', thousands=','
  )
