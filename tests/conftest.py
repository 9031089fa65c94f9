import gc
from importlib import metadata
import os
import pathlib
import tempfile

# Most of the time goes to compiling programs that run once: half of it without
# optimisation. CI runs some again with XLA_FLAGS= , as users do.
_FLAGS = (
  '--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true'
  ' --xla_cpu_parallel_codegen_split_count=1'
)
if metadata.version('jaxlib').startswith('0.10.'):  # A later one aborts.
  _FLAGS += ' --xla_cpu_use_fusion_emitters=false'
os.environ.setdefault('XLA_FLAGS', _FLAGS)
# A program that another test of this run compiled already is read from a file,
# also by the workers of xdist and by commands, which inherit these.
if 'JAX_COMPILATION_CACHE_DIR' not in os.environ:
  _CACHE = tempfile.TemporaryDirectory()
  os.environ['JAX_COMPILATION_CACHE_DIR'] = _CACHE.name
  os.environ['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0.2'
  os.environ['JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES'] = '-1'

# ruff: noqa: E402
import hypothesis
import jax
import pytest

# Traced programs are millions of objects, which are looked through for nothing.
gc.set_threshold(50_000, 20, 50)
jax.config.update('jax_numpy_rank_promotion', 'raise')
hypothesis.settings.register_profile(
  # Most examples are a program of their own; fuzzers say how many they take.
  'splitjax',
  derandomize=True,
  deadline=None,
  max_examples=12,
)
hypothesis.settings.load_profile('splitjax')


def pytest_make_parametrize_id(config, val, argname):
  """Bytes are named by their argument: what they hold may be of the moment,
  such as the time in a header, and workers must agree on the names."""
  del config
  return argname if isinstance(val, bytes) else None


@pytest.fixture(scope='session')
def data_folder():
  """Where `tfds/` and `csv/` with real data sets are, for `needs_data`."""
  default = pathlib.Path(__file__).parents[1] / '../shared/data'
  folder = pathlib.Path(os.environ.get('SPLITJAX_DATA', default)).resolve()
  if not folder.is_dir():
    pytest.skip(f'no data sets in {folder}; set SPLITJAX_DATA')
  return folder


@pytest.fixture(scope='session')
def run_study():
  """Runs a study to its end, in a folder or in memory."""
  from splitjax import results
  from splitjax.engine.run import measure

  def run_to_end(study, out_dir=None, records_dir=None):
    found = results.Results(out_dir, {'study': study.name}, study.cells)
    measure(study, found, records_dir=records_dir)
    assert found.complete
    return found

  return run_to_end


@pytest.fixture(scope='session')
def untimed():
  """All rows of results but what was measured with a clock."""
  from splitjax import results

  def rows_of(found):
    return [
      {**row, 'seconds': None}
      for row in found.rows()
      if row['measure'] not in results.TIMES
    ]

  return rows_of
