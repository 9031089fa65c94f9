"""Old paths of public names: each warns and gives the objects of the new."""

import importlib
import pathlib
import sys
import types

import pytest

# What was public under each old path, and where it is now.
MOVED = {
  'split': {
    'training.split': (
      'Exchange LossFn PyTree SplitGrads SplitModel split_grads'
    )
  },
  'protection': {
    'training.protection': (
      'Place Protection PyTree compose draw_stored_labels'
    )
  },
  'inference': {'training.inference': 'Pass PyTree evaluate'},
  'layering': {'models.layering': 'Layer PyTree apply init name'},
  'sweeps': {
    'parallel': 'AXIS PyTree grid make_mesh map_runs on_every_device pad'
  },
  'recording': {
    'records.recording': 'INTERMEDIATES Record load_record save_record'
  },
  'viewing': {
    'records.viewing': (
      'Auxiliary Extractor Own View make_view rows_of sample_auxiliary '
      'scored_mask'
    )
  },
  'projection': {'records.projection': 'Projection draw project'},
  'report': {
    'results.rows': (
      'COLUMNS Cell Row Setting TIMES by_cell cell_of cell_rows to_csv'
    ),
    'results.store': 'RESULT_FILES Results',
  },
  'page': {
    'reports.page': ('HOW_TO_READ Line Summary Sweep pivot shown to_text write')
  },
  'plots': {
    'reports.canvas': 'COLORS',
    'reports.plots': 'intervals leakage sweep',
  },
  'regression_metrics': {'metrics.regression': 'measure_targets'},
  'evaluation': {
    'engine.trials': 'AttackFn Predictions predict stack_views',
  },
}
RENAMED = {
  'evaluation': {'Answer': ('attacks', 'AttackResult')},
  'page': {'percent': ('reports.page', 'shown')},
}


def _import_old(name: str) -> types.ModuleType:
  sys.modules.pop(f'splitjax.{name}', None)
  with pytest.warns(DeprecationWarning, match=f'splitjax.{name} goes') as seen:
    module = importlib.import_module(f'splitjax.{name}')
  assert len(seen) == 1
  # The line to blame is the importing one, not one of the old module.
  assert seen[0].filename != module.__file__
  return module


@pytest.mark.parametrize('old', sorted(MOVED))
def test_old_path_warns_and_gives_the_new_objects(old):
  module = _import_old(old)
  renamed = RENAMED.get(old, {})
  names = [x for names in MOVED[old].values() for x in names.split()]
  assert sorted(module.__all__) == sorted([*names, *renamed])
  for path, names in MOVED[old].items():
    new = importlib.import_module(f'splitjax.{path}')
    for name in names.split():
      assert getattr(module, name) is getattr(new, name), name
  for name, (path, new_name) in renamed.items():
    new = importlib.import_module(f'splitjax.{path}')
    assert getattr(module, name) is getattr(new, new_name)


def test_old_paths_are_left_out_of_the_doctests(pytestconfig):
  ignored = {pathlib.Path(path).stem for path in pytestconfig.option.ignore}
  assert ignored == set(MOVED)


@pytest.mark.parametrize('name', ['training', 'metrics'])
def test_modules_that_are_packages_now_do_not_warn(name):
  module = importlib.import_module(f'splitjax.{name}')
  assert hasattr(module, {'training': 'train', 'metrics': 'accuracy'}[name])
