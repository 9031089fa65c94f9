"""The main question, on networks that are hardly trained."""

import csv
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from splitjax import engine
from splitjax import training
from splitjax.engine import measuring
from splitjax.engine import targets
from splitjax.engine.progress import SILENT
from splitjax.engine.sources import Source
from splitjax.engine.studies import label_inference
from splitjax.errors import ConfigError
from splitjax.records import recording
from splitjax.records import viewing
from splitjax.results import TIMES
from splitjax.results import Cell
from splitjax.results import Results
from splitjax.results import by_cell
from splitjax.results import cell_of

SMALL = dict(
  epochs=2,
  num_seeds=2,
  num_aux_draws=2,
  batch_size=100,
  attacks=('distance', 'clustering'),
)


@pytest.fixture(scope='session')
def run(run_study):
  def run_config(out_dir, config, **kwargs):
    study = label_inference.study(config)
    return study, run_study(study, out_dir, **kwargs)

  return run_config


def _figures(results, measure='accuracy'):
  return by_cell(results.rows(), measure)


@pytest.fixture(scope='module')
def whole(run, tmp_path_factory):
  """A finished run on digits, its folder and its records."""
  folder = tmp_path_factory.mktemp('whole')
  config = engine.Config(**SMALL)
  return run(folder, config, records_dir=folder / 'records')


def _check_all_cells(study, results):
  assert results.complete
  rows = results.rows()
  assert {cell_of(row) for row in rows} == set(study.cells)
  unbounded = ('ari', *TIMES)
  assert all(0 <= r['mean'] <= 1 for r in rows if r['measure'] not in unbounded)
  dataset = study.problem.dataset
  figures = _figures(results)
  for cell, row in figures.items():
    if cell.attack in study.problem.config.attacks:
      assert row['trials'] == 4
      assert row['seconds'] > 0
      # Auxiliary samples are training samples, and are never scored.
      num_scored = {
        'training': len(dataset.train_labels) - dataset.num_classes,
        'inference': len(dataset.test_labels),
      }[cell.phase]
      assert row['num_scored'] == num_scored
  chance = figures[Cell(study.problem.setting, 'training', 'none', 'chance')][
    'mean'
  ]
  np.testing.assert_allclose(chance, 1 / dataset.num_classes)


def test_every_cell_is_measured(whole):
  _check_all_cells(*whole)


@pytest.mark.slow
def test_binary_table_and_the_papers_mode_are_measured(run, tmp_path):
  config = engine.Config(
    dataset='breast_cancer', **{**SMALL, 'attacks': ('clustering_paper',)}
  )
  _check_all_cells(*run(tmp_path, config))


@pytest.mark.slow
def test_same_seed_gives_the_same_files_apart_from_times(run, whole, tmp_path):
  _, results = whole
  run(tmp_path, engine.Config(**SMALL))
  tables = []
  for folder in (results.path, tmp_path):
    with open(folder / 'results.csv') as file:
      tables.append(
        [
          {**row, 'seconds': ''}
          for row in csv.DictReader(file)
          if row['measure'] not in TIMES
        ]
      )
  assert tables[0] == tables[1]


@pytest.mark.slow
def test_another_seed_gives_other_figures(run, whole, tmp_path):
  _, results = whole
  config = engine.Config(seed=1, **{**SMALL, 'attacks': ('distance',)})
  _, others = run(tmp_path, config)
  for cell, row in _figures(others).items():
    if cell.attack == 'distance' and cell.intermediate != 'cut_grads':
      assert row['values'] != _figures(results)[cell]['values']


def test_killed_run_resumes_to_the_same_results(
  whole, run_study, untimed, tmp_path
):
  study, results = whole
  for name in ('config.json', 'results.jsonl'):
    shutil.copy(results.path / name, tmp_path / name)
  path = tmp_path / 'results.jsonl'
  lines = path.read_text().splitlines(keepends=True)
  path.write_text(''.join(x for x in lines if '"raw_inputs"' not in x))
  identity = {'study': 'label_inference'}
  assert not Results(tmp_path, identity, study.cells).complete
  resumed = run_study(study, tmp_path)
  assert untimed(resumed) == untimed(results)


def test_records_are_saved_with_what_they_are(whole):
  study, results = whole
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
  assert sorted(grads.sample_ids) == list(study.problem.dataset.train_ids)


def test_records_are_of_the_model_and_the_seed_they_name(whole):
  """Recomputes what the second seed recorded, with the library alone."""
  study, results = whole
  dataset, model = study.problem.dataset, study.problem.model
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
  study, results = whole
  figures = _figures(results)
  value = lambda found, name: found[
    Cell(study.problem.setting, 'inference', name, 'distance')
  ]['values']
  assert value(figures, 'smashed') != value(figures, 'untrained_smashed')
  config = engine.Config(
    center_smashed=True, **{**SMALL, 'attacks': ('distance',)}
  )
  _, centred = run(tmp_path, config)
  for name in ('smashed', 'untrained_smashed'):
    assert value(_figures(centred), name) != value(figures, name)


def test_zero_share_counts_rows_that_are_all_zero(whole, monkeypatch, tmp_path):
  study, _ = whole
  vectors = np.array([[[0.0, 0.0], [0.0, 1.0], [2.0, 3.0], [1.0, 0.0]]])
  view = viewing.View(vectors, None, None, None, None, 10)
  target = targets.Target(view, None, None)
  monkeypatch.setattr(measuring, 'make_target', lambda *args, **kwargs: target)
  cell = Cell(study.problem.setting, 'training', 'cut_grads', 'none')
  results = Results(tmp_path, {}, [cell])
  measuring.measure(
    jax.random.key(0),
    study.problem,
    [cell],
    {study.problem.setting: Source([], [], study.problem.plan, None)},
    results,
    SILENT,
  )
  (row,) = results.rows()
  assert (row['measure'], row['mean']) == ('zero_share', 0.25)


def test_divergence_is_said_to_be_the_learning_rates(run, tmp_path):
  config = engine.Config(learning_rate=1e6, **SMALL)
  with pytest.raises(
    ConfigError, match='learning_rate=1000000.0: expected one that conv'
  ):
    run(tmp_path / 'out', config)
  assert list(tmp_path.iterdir()) == []


def test_divergence_in_the_last_step_is_said_too(run, tmp_path):
  config = engine.Config(
    learning_rate=1e38, **{**SMALL, 'epochs': 1, 'batch_size': 1437}
  )
  with pytest.raises(ConfigError, match='learning_rate=1e.38: expected'):
    run(tmp_path, config)


@pytest.mark.slow
def test_other_optimizers_and_attacks_run(run, tmp_path):
  config = engine.Config(
    optimizer='adam',
    learning_rate=1e-2,
    **{**SMALL, 'attacks': ('clustering_hungarian',)},
  )
  study, results = run(tmp_path, config)
  model = Cell(study.problem.setting, 'inference', 'none', 'model')
  assert _figures(results)[model]['mean'] > 0.3


@pytest.mark.slow
def test_convolutional_network_cut_before_it_is_flattened(run, tmp_path):
  config = engine.Config(
    model='conv_net', cuts=(3,), **{**SMALL, 'attacks': ('distance',)}
  )
  _, results = run(tmp_path, config)
  assert results.complete


@pytest.mark.slow
def test_server_between_two_cuts_sees_both(run, whole, tmp_path):
  _, expected = whole
  config = engine.Config(cuts=(3, 7), **{**SMALL, 'attacks': ('distance',)})
  study, results = run(tmp_path, config, records_dir=tmp_path / 'records')
  assert results.complete
  figures = _figures(results)
  assert study.problem.setting.cut == '3-7'
  for cut in (3, 7):
    setting = study.problem.setting._replace(cut=f'3-7@{cut}')
    place = (setting, 'training', 'cut_grads', 'distance')
    # The last part sends a gradient, and the server passes its own on.
    assert figures[Cell(*place)]['mean'] > 0.5
    assert Cell(setting, 'inference', 'smashed', 'distance') in figures
  assert Cell(study.problem.setting, 'training', 'none', 'model') in figures
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
  config = engine.Config(
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
  config = engine.Config(
    augment=True,
    dtype='bfloat16',
    num_train=200,
    num_test=50,
    **{**SMALL, 'attacks': ('distance',)},
  )
  study, results = run(tmp_path, config)
  assert results.complete
  assert len(study.problem.dataset.train_labels) == 200


@pytest.mark.slow
def test_default_flags_show_what_the_readme_says(run, tmp_path):
  # The strongest attack compiles for long; an example of the README runs it.
  config = engine.Config(attacks=('distance', 'clustering'))
  study, results = run(tmp_path, config)
  figures = {cell: row['mean'] for cell, row in _figures(results).items()}
  read = lambda *cell: figures[Cell(study.problem.setting, *cell)]
  assert read('training', 'cut_grads', 'clustering') >= 0.99
  assert read('training', 'cut_grads', 'distance') >= 0.95
  for phase in ('training', 'inference'):
    smashed = read(phase, 'smashed', 'clustering')
    assert smashed >= read(phase, 'none', 'model') - 0.05
    assert smashed >= read(phase, 'untrained_smashed', 'clustering') + 0.3


@pytest.mark.slow
def test_binary_labels_are_read_from_gradients(run, tmp_path):
  config = engine.Config(dataset='breast_cancer', attacks=('clustering',))
  study, results = run(tmp_path, config)
  cell = Cell(study.problem.setting, 'training', 'cut_grads', 'clustering')
  assert _figures(results, 'macro_f1')[cell]['mean'] >= 0.95
