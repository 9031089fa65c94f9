import os
import pathlib

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
