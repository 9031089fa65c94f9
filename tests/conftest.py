import os
import pathlib

# Most of the time goes to compiling programs that run once: a third less of it
# unoptimised. The slow tests of CI run with XLA_FLAGS= , as users do.
os.environ.setdefault('XLA_FLAGS', '--xla_backend_optimization_level=0')

# ruff: noqa: E402
import hypothesis
import jax
import pytest

jax.config.update('jax_numpy_rank_promotion', 'raise')
hypothesis.settings.register_profile(
  'splitjax', derandomize=True, deadline=None, max_examples=25
)
hypothesis.settings.load_profile('splitjax')


@pytest.fixture(scope='session')
def data_folder():
  """Where `tfds/` and `csv/` with real data sets are, for `needs_data`."""
  default = pathlib.Path(__file__).parents[1] / '../shared/data'
  folder = pathlib.Path(os.environ.get('SPLITJAX_DATA', default)).resolve()
  if not folder.is_dir():
    pytest.skip(f'no data sets in {folder}; set SPLITJAX_DATA')
  return folder
