"""Data sets as the flags name them, through the whole of `label_inference`."""

import numpy as np
import pytest

from experiments import common
from experiments import label_inference
from splitjax.data import sets
from splitjax.engine import problems

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
def run(run_job):
  def run_config(config, out_dir):
    problem = problems.check(config)
    return problem, run_job(label_inference.job_of(problem), out_dir)

  return run_config


@pytest.mark.parametrize(
  'model', ['wide_deep', pytest.param('dlrm', marks=pytest.mark.slow)]
)
def test_labels_of_a_table_are_read(run, table, tmp_path, model):
  config = problems.Config(
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
  config = problems.Config(
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
    (dict(dataset='tfds:mnist', delimiter=';'), '--delimiter=;: expected no'),
  ],
)
def test_mistake_is_one_line_that_helps(table, tmp_path, change, message):
  values = {
    name: value.format(table=table, folder=tmp_path)
    for name, value in change.items()
  }
  with pytest.raises(common.FlagError, match=message) as caught:
    sets.load(sets.DataConfig(**values), seed=0)
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize('flag', ['dataset', 'test_path'])
def test_missing_file_is_named_with_its_flag(table, tmp_path, flag):
  there, missing = str(table), str(tmp_path / 'missing.csv')
  config = problems.Config(
    dataset=f'csv:{missing if flag == "dataset" else there}',
    test_path=missing if flag == 'test_path' else None,
    label_column='bought',
  )
  with pytest.raises(common.FlagError, match=f'--{flag}=.*missing.csv: expec'):
    problems.check(config)
