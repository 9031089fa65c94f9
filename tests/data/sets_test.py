"""Data sets as the flags name them, through the whole of `label_inference`."""

import numpy as np
import pytest

from splitjax import engine
from splitjax.data import sets
from splitjax.engine import problems
from splitjax.engine.studies import label_inference
from splitjax.errors import ConfigError
from splitjax.records import recording

SMALL = dict(
  epochs=2, num_seeds=2, num_aux_draws=2, batch_size=20, attacks=('distance',)
)


@pytest.fixture
def table(tmp_path):
  """A table whose label can be read off its columns."""
  rng = np.random.default_rng(0)
  labels = rng.integers(0, 2, 120)
  lines = ['id;size;colour;bought']
  for index, label in enumerate(labels):
    size = f'{label + 0.1 * rng.normal():.3f}' if index % 10 else '?'
    colour = ('red', 'blue')[label if index % 7 else 0]
    lines.append(f'{index};{size};"{colour}";{("no", "yes")[label]}')
  path = tmp_path / 'table.csv'
  path.write_text('\n'.join(lines) + '\n')
  return path


@pytest.fixture
def texts(tmp_path):
  """Texts of two kinds, without a header."""
  rng = np.random.default_rng(0)
  words = (['good', 'fine', 'great'], ['bad', 'poor', 'dull'])
  lines = []
  for index in range(100):
    chosen = [words[index % 2][i] for i in rng.integers(0, 3, 6)]
    lines.append(f'{" ".join(chosen)}, they said {index}\t{index % 2}')
  path = tmp_path / 'texts.tsv'
  path.write_text('\n'.join(lines) + '\n')
  return path


@pytest.fixture
def real_table(tmp_path):
  """A table whose last column is a number that the others tell."""
  rng = np.random.default_rng(0)
  inputs = rng.normal(size=(150, 3))
  prices = 100 + 20 * inputs @ np.array([1.0, -2.0, 0.5])
  lines = ['a,b,c,price']
  for row, price in zip(inputs, prices, strict=True):
    lines.append(','.join(f'{x:.4f}' for x in (*row, price)))
  path = tmp_path / 'prices.csv'
  path.write_text('\n'.join(lines) + '\n')
  return path


@pytest.fixture
def run(run_study):
  def run_config(config, out_dir, **kwargs):
    study = label_inference.study(config)
    return study.problem, run_study(study, out_dir, **kwargs)

  return run_config


@pytest.mark.parametrize(
  'model', ['wide_deep', pytest.param('dlrm', marks=pytest.mark.slow)]
)
@pytest.mark.slow
def test_labels_of_a_table_are_read(run, table, tmp_path, model):
  config = engine.Config(
    dataset=f'csv:{table}',
    label_column='bought',
    drop_columns=('id',),
    model=model,
    **SMALL,
  )
  problem, results = run(config, tmp_path / 'out')
  assert problem.dataset.class_names == ('no', 'yes')
  assert any('missing' in note for note in problem.dataset.notes)
  rows = {
    (row['intermediate'], row['attack'], row['measure']): row
    for row in results.rows()
    if row['phase'] == 'training'
  }
  # Binary sets have an F1 of the second class and an AUC, the baselines too.
  for place in ('cut_grads', 'raw_inputs'):
    for measure in ('f1', 'macro_f1', 'balanced_accuracy', 'auc'):
      assert rows[place, 'distance', measure]['mean'] > 0.5
  assert rows['none', 'majority', 'auc']['mean'] == 0.5
  assert rows['none', 'majority', 'balanced_accuracy']['mean'] == 0.5
  assert rows['cut_grads', 'distance', 'auc']['mean'] > 0.9


@pytest.mark.slow
def test_labels_of_texts_are_read(run, texts, tmp_path):
  config = engine.Config(
    dataset=f'csv:{texts}',
    label_column='-1',
    text_column='0',
    vocabulary_size=64,
    max_tokens=12,
    model='text_cnn',
    **SMALL,
  )
  problem, results = run(config, tmp_path / 'out')
  assert problem.dataset.vocabulary_size == 64
  assert problem.dataset.train_inputs.shape == (80, 10)
  figures = {
    row['intermediate']: row['mean']
    for row in results.rows()
    if row['attack'] == 'distance' and row['measure'] == 'accuracy'
  }
  assert figures['cut_grads'] > 0.9


def test_embedded_images_are_resized_and_drawn():
  config = sets.DataConfig(image_size=16, num_train=100, num_test=20)
  dataset = sets.load(config, seed=0)
  assert dataset.train_inputs.shape == (100, 16, 16, 1)
  assert dataset.test_inputs.shape == (20, 16, 16, 1)
  assert set(dataset.train_labels) == set(range(10))


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    (dict(dataset='csv:{table}', label_column='bougth'), 'bought'),
    (dict(dataset='csv:{table}', label_column='id'), 'label_column'),
    (dict(dataset='tfds:mnist', data_dir='{folder}'), 'download_and_prepare'),
    (dict(dataset='tfds:mnist', delimiter=';'), 'delimiter=;: expected no'),
  ],
)
def test_mistake_is_one_line_that_helps(table, tmp_path, change, message):
  values = {
    name: value.format(table=table, folder=tmp_path)
    for name, value in change.items()
  }
  with pytest.raises(ConfigError, match=message) as caught:
    sets.load(sets.DataConfig(**values), seed=0)
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize('flag', ['dataset', 'test_path'])
def test_missing_file_is_named_with_its_flag(table, tmp_path, flag):
  there, missing = str(table), str(tmp_path / 'missing.csv')
  config = engine.Config(
    dataset=f'csv:{missing if flag == "dataset" else there}',
    test_path=missing if flag == 'test_path' else None,
    label_column='bought',
  )
  with pytest.raises(ConfigError, match=f'{flag}=.*missing.csv: expec'):
    problems.check(config)


@pytest.mark.parametrize(
  'change', [dict(cuts=(3,)), dict(defense='compression:ratio=0.5')]
)
def test_real_targets_of_a_table_are_read(run, real_table, tmp_path, change):
  config = engine.Config(
    dataset=f'csv:{real_table}',
    label_column='price',
    target='real',
    hidden_sizes=(8,),
    learning_rate=0.01,
    **{**SMALL, 'attacks': ('nearest', 'ridge')},
    **change,
  )
  problem, results = run(
    config, tmp_path / 'out', records_dir=tmp_path / 'records'
  )
  assert problem.dataset.is_real and problem.config.num_aux == 10
  figures = {
    (row['phase'], row['intermediate'], row['attack']): row['mean']
    for row in results.rows()
    if row['measure'] == 'r2'
  }
  places = {
    ('training', 'cut_grads'),
    ('training', 'smashed'),
    ('inference', 'smashed'),
  }
  assert {(*place, name) for place in places for name in config.attacks} < (
    set(figures)
  )
  # The truth is linear in the inputs, and ten samples tell three numbers.
  assert figures['inference', 'raw_inputs', 'ridge'] > 0.9
  errors = {
    row['attack']: row['mean']
    for row in results.rows()
    if row['measure'] == 'mean_absolute_error'
  }
  assert errors['mean'] > 10  # In units of the file.
  (cut,) = problem.config.cuts
  names = {path.name for path in (tmp_path / 'records').iterdir()}
  assert names == {
    f'{kind}-cut{cut}-seed{seed}'
    for kind in ('training-cut_grads-epoch1', 'training-smashed')
    for seed in range(2)
  } | {f'inference-smashed-cut{cut}-seed{seed}' for seed in range(2)}
  record = recording.load_record(
    tmp_path / 'records' / f'training-cut_grads-epoch1-cut{cut}-seed0'
  )
  zeros = np.mean(record.vectors == 0)
  assert zeros > 0.45 if 'defense' in change else zeros < 0.45


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    (dict(attacks=('clustering',)), 'attacks=clustering: expected classes'),
    (dict(defense='label_dp'), 'expected a defense that is defined for real'),
    (dict(classes=('1', '2')), 'classes'),
    (dict(label_column='b', target='class'), 'label_column=b: expected'),
  ],
)
def test_what_is_not_for_real_targets_is_one_line(real_table, change, message):
  config = engine.Config(
    **{
      'dataset': f'csv:{real_table}',
      'label_column': 'price',
      'target': 'real',
      **change,
    }
  )
  with pytest.raises(ConfigError, match=message) as caught:
    problems.check(config)
  assert '\n' not in str(caught.value)


def test_embedded_sets_have_targets_of_one_kind():
  real = sets.load(sets.DataConfig(dataset='diabetes'), seed=0)
  assert real.is_real
  named = sets.DataConfig(dataset='diabetes', target='real')
  assert sets.load(named, seed=0).is_real
  with pytest.raises(ConfigError, match='^target=real: .* digits are classes'):
    sets.load(sets.DataConfig(target='real'), seed=0)


def test_real_targets_are_drawn_in_the_size_asked_for():
  config = sets.DataConfig(dataset='diabetes', num_train=50, num_test=20)
  dataset = sets.load(config, seed=0)
  assert len(dataset.train_labels) == 50
  assert len(dataset.test_labels) == 20


def test_data_of_your_own_are_taken_as_they_are():
  dataset = sets.load(sets.DataConfig(num_train=100), seed=0)
  assert sets.load(sets.DataConfig(dataset=dataset), seed=1) is dataset
  with pytest.raises(ConfigError, match='^num_train=10: expected no such flag'):
    sets.load(sets.DataConfig(dataset=dataset, num_train=10), seed=0)
  with pytest.raises(ConfigError, match='^target=real: expected none or other'):
    sets.load(sets.DataConfig(dataset=dataset, target='real'), seed=0)


@pytest.mark.parametrize(
  ('change', 'flag'),
  [
    (dict(vocabulary_size=99), 'vocabulary_size'),
    (dict(max_tokens=9), 'max_tokens'),
    (dict(text_column='colour', num_buckets=9), 'num_buckets'),
    (dict(text_column='colour', drop_columns=('id',)), 'drop_columns'),
    (dict(drop_columns=('id', 'colour'), num_buckets=9), 'num_buckets'),
  ],
)
def test_flags_that_do_nothing_with_the_data_are_refused(table, change, flag):
  config = sets.DataConfig(
    dataset=f'csv:{table}', label_column='bought', **change
  )
  with pytest.raises(ConfigError, match=f'^{flag}=.*no such flag: the inputs'):
    sets.load(config, seed=0)


def test_image_size_of_a_table_is_refused():
  config = sets.DataConfig(dataset='breast_cancer', image_size=9)
  with pytest.raises(ConfigError, match='^image_size=9: expected no such flag'):
    sets.load(config, seed=0)


@pytest.mark.parametrize('suffix', ['.gz', '.zip'])
def test_damaged_archive_is_blamed_on_its_flag(tmp_path, table, suffix):
  path = tmp_path / f'x.csv{suffix}'
  path.write_bytes(b'\x1f\x8bPK\x03\x04')
  config = dict(dataset=f'csv:{path}', label_column='bought')
  with pytest.raises(ConfigError, match='^dataset=csv:'):
    sets.load(sets.DataConfig(**config), seed=0)
  config |= dict(dataset=f'csv:{table}', test_path=str(path))
  with pytest.raises(ConfigError, match='^test_path='):
    sets.load(sets.DataConfig(**config), seed=0)


def test_classes_are_chosen_before_the_split():
  chosen = sets.load(sets.DataConfig(classes=('3', '8')), seed=0)
  assert chosen.name == 'digits[3,8]'
  assert chosen.class_names == ('3', '8')
  # The statistics are those of the chosen classes alone.
  np.testing.assert_allclose(chosen.train_inputs.std(), 1, rtol=1e-5)
