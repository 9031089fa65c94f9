"""The worked examples of docs/records.md."""

import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from splitjax.records import read_cut_record

ROOT = pathlib.Path(__file__).parents[2]
CUTS = {
  'torch_two_party': {'cut': 32},
  'torch_u_shape': {'lower_cut': 32, 'upper_cut': 32},
  'torch_parties': {'party1': 16, 'party2': 16},
  'jax_two_party': {'cut': 32},
}


def test_the_page_shows_every_example():
  page = (ROOT / 'docs' / 'records.md').read_text()
  shown = set(re.findall(r'python docs/examples/(\w+)\.py', page))
  files = {path.stem for path in (ROOT / 'docs' / 'examples').glob('*.py')}
  assert shown == files == set(CUTS)


@pytest.mark.parametrize(
  'name',
  [
    # With several cuts PyTorch trains for long.
    pytest.param(x, marks=[pytest.mark.slow] * (len(CUTS[x]) > 1))
    for x in CUTS
  ],
)
@pytest.mark.slow
def test_example_writes_what_it_says(tmp_path, name):
  if name.startswith('torch'):
    pytest.importorskip('torch')
  path = ROOT / 'docs' / 'examples' / f'{name}.py'
  assert len(path.read_text().splitlines()) < 80
  finished = subprocess.run(
    [sys.executable, str(path), str(tmp_path)],
    check=True,
    env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)},
    stdout=subprocess.PIPE,
    text=True,
  )
  assert finished.stdout.count('\n') == 1
  said = re.findall(r'--record=(\S+?)(?=[,\s])', finished.stdout)
  assert said == [str(tmp_path / cut) for cut in CUTS[name]]
  for cut, width in CUTS[name].items():
    record = read_cut_record(tmp_path / cut)
    assert len(record.passes) == 5
    ids = np.sort(record.passes[0].sample_ids)
    for one in record.passes:
      assert one.smashed.shape == one.cut_grads.shape == (1437, width)
      np.testing.assert_array_equal(np.sort(one.sample_ids), ids)
    assert len(record.inference) == 360
    assert not np.isin(record.inference.sample_ids, ids).any()
