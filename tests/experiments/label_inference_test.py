import csv
import json
import os
import pathlib
import shutil
import subprocess
import sys

from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments import common
from experiments import label_inference
from splitjax import training
from splitjax.engine import measuring
from splitjax.engine import problems
from splitjax.engine import targets
from splitjax.records import recording
from splitjax.records import viewing
from splitjax.results import report

ROOT = pathlib.Path(__file__).parents[2]
SMALL = dict(
  epochs=2,
  num_seeds=2,
  num_aux_draws=2,
  batch_size=100,
  attacks=('distance', 'clustering'),
)


@pytest.fixture(scope='session')
def run(run_job):
  def run_config(out_dir, config, **kwargs):
    problem = problems.check(config)
    job = label_inference.job_of(problem)
    identity = {'seed': config.seed}
    return problem, run_job(job, out_dir, identity, **kwargs)

  return run_config


def _figures(results, measure='accuracy'):
  return report.by_cell(results.rows(), measure)


def _command(*args, cwd=ROOT):
  return subprocess.run(
    [sys.executable, '-m', 'experiments.label_inference', *args],
    capture_output=True,
    text=True,
    cwd=cwd,
    env={**os.environ, 'PYTHONPATH': str(ROOT)},
  )


class CheckTest(parameterized.TestCase):
  @parameterized.parameters(
    (dict(dataset='mnits'), '--dataset=mnits: expected one of digits, breast'),
    (dict(dataset='tfdb:x'), '--dataset=tfdb:x: expected tfds:NAME or csv:PA'),
    (dict(label_column='a'), '--label_column=a: expected no such flag with'),
    (dict(dataset='csv:x.csv'), '--label_column=: expected the column of'),
    (dict(num_train=9), '--dataset=digits: .*num_train must lie between 10'),
    (
      dict(dataset='breast_cancer', image_size=9),
      '--dataset=breast_cancer: .*image_size is for images, got 9',
    ),
    (dict(model='resnet'), '--model=resnet: expected one of mlp, conv_net'),
    (dict(norm='group'), '--norm=group: expected no such flag with --model'),
    (
      dict(dtype='float16'),
      '--dtype=float16: expected one of float32, bfloat16',
    ),
    (
      dict(model='simple_net'),
      r'--model=simple_net: expected .* shape \(8, 8, 1\): .*--image_size',
    ),
    (
      dict(dataset='breast_cancer', augment=True),
      '--augment=True: expected a data set of images',
    ),
    (
      dict(intermediates=('grads',)),
      '--intermediates=grads: expected one of smashed, cut_grads',
    ),
    (dict(optimizer='sgdd'), '--optimizer=sgdd: expected one of sgd, '),
    (dict(attacks=('norms',)), '--attacks=norms: expected one of distance, c'),
    (dict(attacks=('norm',)), '--attacks=norm: expected data of two classes'),
    (dict(attacks=('direct',)), '--attacks=direct: expected a cut that the 10'),
    (dict(classes=('1',)), '--dataset=digits: .*classes must be two or more'),
    (
      dict(attacks=('distance', 'distance')),
      '--attacks=distance,distance: expected each name once',
    ),
    (dict(attacks=()), '--attacks=: expected one of distance'),
    (dict(cuts=(0,)), '--cuts=0: expected a layer inside mlp, 1 to 9'),
    (dict(cuts=(10,)), '--cuts=10: expected a layer inside mlp, 1 to 9'),
    (dict(cuts=(5, 3)), '--cuts=5,3: expected cuts in ascending order'),
    (dict(cuts=(1, 2, 3)), '--cuts=1,2,3: expected one cut, or two'),
    (dict(batch_size=1438), '--batch_size=1438: expected .* 1 to 1437'),
    (dict(num_aux=0), '--num_aux=0: expected .* smallest class, 1 to 138'),
    (dict(num_aux=139), '--num_aux=139: expected .* smallest class, 1 to 138'),
    (dict(learning_rate=-1.0), '--learning_rate=-1.0: expected a positive'),
    (
      dict(learning_rate=float('nan')),
      '--learning_rate=nan: expected a positive number',
    ),
    (
      dict(dataset='breast_cancer', model='conv_net'),
      '--model=conv_net: expected a model for numbers: mlp, wide_deep, dlrm',
    ),
  )
  def test_bad_flag_is_named_with_what_was_expected(self, change, message):
    with self.assertRaisesRegex(common.FlagError, message) as caught:
      problems.check(problems.Config(**change))
    assert '\n' not in str(caught.exception)

  def test_all_attacks_are_those_that_apply(self):
    find = lambda **kwargs: set(
      problems.check(problems.Config(attacks=('all',), **kwargs)).config.attacks
    )
    assert find().isdisjoint({'norm', 'direct'})
    assert {'distance', 'clustering', 'transfer'} < find()
    assert find(dataset='breast_cancer') - find() >= {'norm', 'direction'}

  def test_default_cut_is_before_the_head(self):
    problem = problems.check(problems.Config())
    assert problem.config.cuts == (7,)
    assert problems.check(problem.config).config == problem.config


@pytest.fixture(scope='module')
def whole(run, tmp_path_factory):
  """A finished run on digits, its folder and its records."""
  folder = tmp_path_factory.mktemp('whole')
  config = problems.Config(**SMALL)
  return run(folder, config, records_dir=folder / 'records')


def _check_all_cells(problem, results):
  assert results.complete
  rows = results.rows()
  assert {report.cell_of(row) for row in rows} == set(
    label_inference.cells_of(problem)
  )
  unbounded = ('ari', *report.TIMES)
  assert all(0 <= r['mean'] <= 1 for r in rows if r['measure'] not in unbounded)
  dataset = problem.dataset
  figures = _figures(results)
  for cell, row in figures.items():
    if cell.attack in problem.config.attacks:
      assert row['trials'] == 4
      assert row['seconds'] > 0
      # Auxiliary samples are training samples, and are never scored.
      num_scored = {
        'training': len(dataset.train_labels) - dataset.num_classes,
        'inference': len(dataset.test_labels),
      }[cell.phase]
      assert row['num_scored'] == num_scored
  chance = figures[report.Cell(problem.setting, 'training', 'none', 'chance')][
    'mean'
  ]
  np.testing.assert_allclose(chance, 1 / dataset.num_classes)


def test_every_cell_is_measured(whole):
  _check_all_cells(*whole)


@pytest.mark.slow
def test_binary_table_and_the_papers_mode_are_measured(run, tmp_path):
  config = problems.Config(
    dataset='breast_cancer', **{**SMALL, 'attacks': ('clustering_paper',)}
  )
  _check_all_cells(*run(tmp_path, config))


def test_same_seed_gives_the_same_files_apart_from_times(run, whole, tmp_path):
  _, results = whole
  run(tmp_path, problems.Config(**SMALL))
  tables = []
  for folder in (results.path, tmp_path):
    with open(folder / 'results.csv') as file:
      tables.append(
        [
          {**row, 'seconds': ''}
          for row in csv.DictReader(file)
          if row['measure'] not in report.TIMES
        ]
      )
  assert tables[0] == tables[1]


@pytest.mark.slow
def test_another_seed_gives_other_figures(run, whole, tmp_path):
  _, results = whole
  config = problems.Config(seed=1, **{**SMALL, 'attacks': ('distance',)})
  _, others = run(tmp_path, config)
  for cell, row in _figures(others).items():
    if cell.attack == 'distance' and cell.intermediate != 'cut_grads':
      assert row['values'] != _figures(results)[cell]['values']


def test_killed_run_resumes_to_the_same_results(
  whole, run_job, untimed, tmp_path
):
  problem, results = whole
  for name in ('config.json', 'results.jsonl'):
    shutil.copy(results.path / name, tmp_path / name)
  path = tmp_path / 'results.jsonl'
  lines = path.read_text().splitlines(keepends=True)
  path.write_text(''.join(x for x in lines if '"raw_inputs"' not in x))
  job = label_inference.job_of(problem)
  assert not report.Results(tmp_path, {'seed': 0}, job.cells).complete
  resumed = run_job(job, tmp_path, {'seed': 0})
  assert untimed(resumed) == untimed(results)


def test_records_are_saved_with_what_they_are(whole):
  problem, results = whole
  records_dir = results.path / 'records'
  names = sorted(path.name for path in records_dir.iterdir())
  kinds = ('training-cut_grads-epoch1', 'training-smashed', 'inference-smashed')
  assert names == sorted(
    f'{kind}-cut7-seed{i}' for kind in kinds for i in range(2)
  )
  grads = recording.load_record(
    records_dir / 'training-cut_grads-epoch1-cut7-seed1'
  )
  assert grads.vectors.shape == (1437, 64)
  assert grads.metadata['phase'] == 'training'
  assert grads.metadata['seed_index'] == 1
  assert grads.metadata['dataset'] == 'digits'
  assert grads.metadata['model'] == 'mlp'
  assert grads.metadata['learning_rate'] == 0.05
  assert grads.metadata['cut'] == 7
  assert grads.metadata['epoch'] == 1
  assert grads.metadata['flags']['seed'] == 0
  np.testing.assert_array_equal(grads.steps, np.arange(1437) // 100)
  assert sorted(grads.sample_ids) == list(problem.dataset.train_ids)


def test_records_are_of_the_model_and_the_seed_they_name(whole):
  """Recomputes what the second seed recorded, with the library alone."""
  problem, results = whole
  dataset, model = problem.dataset, problem.model
  inputs = jnp.asarray(dataset.train_inputs)
  labels = jnp.asarray(dataset.train_labels)
  key_train, _ = jax.random.split(jax.random.key(0))
  key_train, _ = jax.random.split(key_train)
  key = jax.random.split(key_train, 2)[1]
  state, log, _ = jax.jit(
    lambda key: training.train(
      key,
      inputs,
      labels,
      num_epochs=2,
      batch_size=100,
      model=model,
      optimizers=[optax.sgd(0.05)] * 2,
      record_fn=lambda exchanges: exchanges[0].cut_grads,
    )
  )(key)
  load = lambda kind: recording.load_record(
    results.path / 'records' / f'{kind}-cut7-seed1'
  )
  grads = load('training-cut_grads-epoch1')
  np.testing.assert_array_equal(grads.sample_ids, log.positions)
  np.testing.assert_allclose(grads.vectors, log.recorded, rtol=1e-3, atol=1e-6)
  smashed, _ = model.apply_part(
    0, state.params[0], state.state[0], jnp.asarray(dataset.test_inputs)
  )
  np.testing.assert_allclose(
    load('inference-smashed').vectors, smashed, rtol=1e-3, atol=1e-4
  )


@pytest.mark.slow
def test_untrained_client_and_centring_give_other_figures(run, whole, tmp_path):
  problem, results = whole
  figures = _figures(results)
  value = lambda found, name: found[
    report.Cell(problem.setting, 'inference', name, 'distance')
  ]['values']
  assert value(figures, 'smashed') != value(figures, 'untrained_smashed')
  config = problems.Config(
    center_smashed=True, **{**SMALL, 'attacks': ('distance',)}
  )
  _, centred = run(tmp_path, config)
  for name in ('smashed', 'untrained_smashed'):
    assert value(_figures(centred), name) != value(figures, name)


def test_zero_share_counts_rows_that_are_all_zero(whole, monkeypatch, tmp_path):
  problem, _ = whole
  vectors = np.array([[[0.0, 0.0], [0.0, 1.0], [2.0, 3.0], [1.0, 0.0]]])
  view = viewing.View(vectors, None, None, None, None, 10)
  target = targets.Target(view, None, None)
  monkeypatch.setattr(targets, 'make_target', lambda *args, **kwargs: target)
  cell = report.Cell(problem.setting, 'training', 'cut_grads', 'none')
  results = report.Results(tmp_path, {}, [cell])
  with common.Progress(1) as progress:
    measuring.run(
      jax.random.key(0),
      problem,
      [cell],
      {problem.setting: None},
      results,
      progress,
    )
  (row,) = results.rows()
  assert (row['measure'], row['mean']) == ('zero_share', 0.25)


def test_divergence_is_said_to_be_the_learning_rates(run, tmp_path):
  config = problems.Config(learning_rate=1e6, **SMALL)
  with pytest.raises(
    common.FlagError, match='--learning_rate=1000000.0: expected one that conv'
  ):
    run(tmp_path / 'out', config)
  assert list(tmp_path.iterdir()) == []


def test_divergence_in_the_last_step_is_said_too(run, tmp_path):
  config = problems.Config(
    learning_rate=1e38, **{**SMALL, 'epochs': 1, 'batch_size': 1437}
  )
  with pytest.raises(common.FlagError, match='--learning_rate=1e.38: expected'):
    run(tmp_path, config)


@pytest.mark.slow
def test_other_optimizers_and_attacks_run(run, tmp_path):
  config = problems.Config(
    optimizer='adam',
    learning_rate=1e-2,
    **{**SMALL, 'attacks': ('clustering_hungarian',)},
  )
  problem, results = run(tmp_path, config)
  model = report.Cell(problem.setting, 'inference', 'none', 'model')
  assert _figures(results)[model]['mean'] > 0.3


@pytest.mark.slow
def test_convolutional_network_cut_before_it_is_flattened(run, tmp_path):
  config = problems.Config(
    model='conv_net', cuts=(3,), **{**SMALL, 'attacks': ('distance',)}
  )
  _, results = run(tmp_path, config)
  assert results.complete


@pytest.mark.slow
def test_server_between_two_cuts_sees_both(run, whole, tmp_path):
  _, expected = whole
  config = problems.Config(cuts=(3, 7), **{**SMALL, 'attacks': ('distance',)})
  problem, results = run(tmp_path, config, records_dir=tmp_path / 'records')
  assert results.complete
  figures = _figures(results)
  assert problem.setting.cut == '3-7'
  for cut in (3, 7):
    setting = problem.setting._replace(cut=f'3-7@{cut}')
    place = (setting, 'training', 'cut_grads', 'distance')
    # The last part sends a gradient, and the server passes its own on.
    assert figures[report.Cell(*place)]['mean'] > 0.5
    assert report.Cell(setting, 'inference', 'smashed', 'distance') in figures
  assert report.Cell(problem.setting, 'training', 'none', 'model') in figures
  # Undefended, the cuts change neither the training nor what crosses them.
  for name in (
    'training-cut_grads-epoch1-cut7-seed1',
    'inference-smashed-cut7-seed0',
  ):
    one, other = (
      recording.load_record(folder / 'records' / name).vectors
      for folder in (expected.path, tmp_path)
    )
    np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def test_only_what_is_asked_for_is_recorded_and_no_wider(run, tmp_path):
  config = problems.Config(
    project_to=16,
    intermediates=('smashed',),
    **{**SMALL, 'attacks': ('distance',)},
  )
  _, results = run(tmp_path, config, records_dir=tmp_path / 'records')
  assert {row['intermediate'] for row in results.rows()} == {
    'none', 'smashed', 'untrained_smashed', 'raw_inputs'
  }  # fmt: skip
  shapes = {
    path.name: recording.load_record(path).vectors.shape
    for path in (tmp_path / 'records').iterdir()
  }
  assert shapes == {
    f'{phase}-smashed-cut7-seed{seed}': (size, 16)
    for phase, size in (('training', 1437), ('inference', 360))
    for seed in range(2)
  }


@pytest.mark.slow
def test_augmented_bfloat16_training_runs(run, tmp_path):
  config = problems.Config(
    augment=True,
    dtype='bfloat16',
    num_train=200,
    num_test=50,
    **{**SMALL, 'attacks': ('distance',)},
  )
  problem, results = run(tmp_path, config)
  assert results.complete
  assert len(problem.dataset.train_labels) == 200


class CommandTest(parameterized.TestCase):
  @parameterized.parameters(
    (['--epoch=3'], "Unknown command line flag 'epoch'. Did you mean: epochs"),
    (['--out_dir=/dev/null/x'], '--out_dir=/dev/null/x: expected a folder'),
  )
  def test_mistake_is_one_line_and_a_status(self, args, message):
    self._check_mistake(args, message)

  @pytest.mark.slow
  @parameterized.parameters(
    (['--dataset=mnits'], '--dataset=mnits: expected one of digits'),
    (['--epochs=abc'], 'flag --epochs=abc: invalid literal for int'),
    (['--num_aux=0'], 'flag --num_aux=0: 0 is not a positive integer'),
    (['digits'], 'digits: expected flags only, as --name=value'),
  )
  def test_other_mistakes_are_too(self, args, message):
    self._check_mistake(args, message)

  def _check_mistake(self, args, message):
    done = _command(*args)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count('\n') == 1
    assert done.stdout == ''

  def test_help_lists_the_flags(self):
    done = _command('--help')
    for name in ('dataset', 'cuts', 'num_aux_draws', 'out_dir', 'attacks'):
      assert f'--{name}' in done.stdout or f'--[no]{name}' in done.stdout


@pytest.mark.slow
def test_other_flags_do_not_touch_finished_results(tmp_path):
  flags = ['--epochs=1', '--num_seeds=1', '--num_aux_draws=1']
  flags += ['--attacks=distance', f'--out_dir={tmp_path}/out']
  first = _command(*flags)
  assert first.returncode == 0, first.stderr
  names = sorted(os.listdir(tmp_path / 'out'))
  assert names == [
    'config.json', 'leakage.png', 'report.html', 'results.csv', 'results.jsonl'
  ]  # fmt: skip
  config = json.loads((tmp_path / 'out' / 'config.json').read_text())
  assert config['flags']['num_seeds'] == 1
  assert 'jax' in config['versions']
  before = (tmp_path / 'out' / 'results.csv').read_bytes()

  other = _command(*flags, '--epochs=2')
  assert other.returncode == 2
  assert '--overwrite' in other.stderr
  assert (tmp_path / 'out' / 'results.csv').read_bytes() == before

  again = _command(*flags)
  assert again.returncode == 0
  assert again.stdout == first.stdout
  assert 'training' not in again.stderr
  assert (tmp_path / 'out' / 'results.csv').read_bytes() == before

  overwritten = _command(*flags, '--epochs=2', '--overwrite')
  assert overwritten.returncode == 0
  config = json.loads((tmp_path / 'out' / 'config.json').read_text())
  assert config['flags']['epochs'] == 2


@pytest.mark.slow
def test_default_flags_show_what_the_readme_says(run, tmp_path):
  problem, results = run(tmp_path, problems.Config())
  figures = {cell: row['mean'] for cell, row in _figures(results).items()}
  read = lambda *cell: figures[report.Cell(problem.setting, *cell)]
  assert read('training', 'cut_grads', 'clustering') >= 0.99
  assert read('training', 'cut_grads', 'distance') >= 0.95
  for phase in ('training', 'inference'):
    smashed = read(phase, 'smashed', 'clustering')
    assert smashed >= read(phase, 'none', 'model') - 0.05
    assert smashed >= read(phase, 'untrained_smashed', 'clustering') + 0.3


@pytest.mark.slow
def test_binary_labels_are_read_from_gradients(run, tmp_path):
  config = problems.Config(dataset='breast_cancer')
  problem, results = run(tmp_path, config)
  cell = report.Cell(problem.setting, 'training', 'cut_grads', 'clustering')
  assert _figures(results, 'macro_f1')[cell]['mean'] >= 0.95
