"""What the tests of the binaries share."""

import pytest

from experiments import common
from splitjax.engine import jobs
from splitjax.results import report


@pytest.fixture(scope='session')
def run_job():
  """Runs a job to its end; without an old file in its way it is complete."""

  def run(job, out_dir, config=None, **kwargs):
    results = report.Results(out_dir, config or {}, job.cells)
    with common.Progress(1) as progress:
      jobs.run(job, results, progress, **kwargs)
    assert results.complete
    return results

  return run


@pytest.fixture(scope='session')
def untimed():
  """All rows of results but what was measured with a clock."""

  def rows_of(results):
    return [
      {**row, 'seconds': None}
      for row in results.rows()
      if row['measure'] not in report.TIMES
    ]

  return rows_of
