"""Seconds by phase: each counts once, whatever is nested in what."""

import time

import jax
from jax import monitoring
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax.engine import timings as timings_lib

_TRACE = '/jax/core/compile/jaxpr_trace_duration'
_COMPILE = '/jax/core/compile/backend_compile_duration'


@pytest.fixture
def clock(monkeypatch):
  """A clock that the test sets, `clock[0]`."""
  now = [100.0]
  monkeypatch.setattr(timings_lib.time, 'perf_counter', lambda: now[0])
  return now


def _positive(timings):
  return {name: x for name, x in timings.seconds().items() if x}


def test_a_second_counts_for_the_innermost_phase(clock):
  timings = timings_lib.Timings()
  timings.add('import', 0.5)
  with timings.counting():
    clock[0] += 1
    with timings.phase('train'):
      clock[0] += 2
      with timings.phase('evaluate'):
        clock[0] += 4
      clock[0] += 8
    with timings.counting(), timings.phase('report'):
      clock[0] += 16
  clock[0] += 32  # Of nothing that is counted.
  expected = {
    **{'import': 0.5, 'other': 1, 'train': 10},
    **{'evaluate': 4, 'report': 16},
  }
  assert _positive(timings) == expected


def test_programs_are_apart_and_count_once(clock):
  """A program that is traced while another is, is reported twice by JAX."""
  timings = timings_lib.Timings()
  with timings.counting(), timings.phase('train'):
    clock[0] += 3
    monitoring.record_event_duration_secs(_TRACE, 2.0)
    clock[0] += 2
    monitoring.record_event_duration_secs(_COMPILE, 1.5)
    clock[0] += 1
    # From 0.5 after the start to the end, both of the above included.
    monitoring.record_event_duration_secs(_TRACE, 5.5)
    monitoring.record_event_duration_secs('/jax/something/else', 3.0)
    clock[0] += 4
    monitoring.record_event_duration_secs(_COMPILE, 1.0)
  expected = {'train': 3.5, 'trace': 4.0, 'compile': 2.5}
  assert _positive(timings) == expected


def test_clock_that_is_set_takes_no_more_than_there_is(clock):
  timings = timings_lib.Timings()
  with timings.counting(), timings.phase('train'):
    clock[0] += 3
    monitoring.record_event_duration_secs(_COMPILE, 3600.0)
    monitoring.record_event_duration_secs(_COMPILE, -3600.0)
  assert _positive(timings) == {'compile': 3.0}


def test_nothing_listens_when_it_is_over():
  timings = timings_lib.Timings()
  with pytest.raises(KeyError), timings.counting():
    raise KeyError
  seconds = timings.seconds()
  monitoring.record_event_duration_secs(_COMPILE, 5.0)
  assert timings.seconds() == seconds


def test_jax_reports_what_it_compiles():
  """The events are named as JAX names them."""
  timings = timings_lib.Timings()
  start = time.perf_counter()
  with timings.counting(), timings.phase('train'):
    fn = jax.jit(lambda x: jnp.tanh(x) @ x)
    fn(np.full((17, 17), 0.5, np.float32)).block_until_ready()
  taken = time.perf_counter() - start
  found = timings.seconds()
  assert found['trace'] > 0 and found['compile'] > 0 and found['train'] > 0
  np.testing.assert_allclose(sum(found.values()), taken, atol=0.05)


def test_phase_that_there_is_not_is_refused():
  timings = timings_lib.Timings()
  with pytest.raises(ValueError, match="got 'lunch'"), timings.phase('lunch'):
    pass
