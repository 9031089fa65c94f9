"""Where the time of a run goes, by phase."""

from collections.abc import Iterator
import contextlib
import threading
import time
from typing import Any

from jax import monitoring

# In the order of a run. The last is what belongs to none.
PHASES = (
  'import',
  'load',
  'trace',
  'compile',
  'train',
  'evaluate',
  'attack',
  'report',
  'other',
)
_REST = PHASES[-1]
# What JAX reports, and the phase that it is.
_EVENTS = {
  '/jax/core/compile/jaxpr_trace_duration': 'trace',
  '/jax/core/compile/jaxpr_to_mlir_module_duration': 'trace',
  '/jax/core/compile/backend_compile_duration': 'compile',
}


class Timings:
  """Seconds of a run by phase: each second counts once, for one phase.

  What JAX takes to trace and to compile a program (or to read it, where it was
  kept) is not of the phase that runs it, but of `trace` and `compile`.
  """

  def __init__(self) -> None:
    self._seconds = dict.fromkeys(PHASES, 0.0)
    self._phases: list[str] = []  # What goes on, the innermost last.
    self._counted_to = 0.0
    # Ends and durations of what JAX reported, the parts of others left out.
    self._reported: list[tuple[float, float]] = []
    self._thread = threading.get_ident()

  def add(self, phase: str, seconds: float) -> None:
    """Count seconds that somebody else measured."""
    self._seconds[phase] += seconds

  @contextlib.contextmanager
  def counting(self) -> Iterator[None]:
    """Count the time until the block ends; within another such block, too."""
    is_outer = not self._phases
    if is_outer:
      monitoring.register_event_duration_secs_listener(self._report)
    try:
      with self.phase(_REST):
        yield
    finally:
      if is_outer:
        monitoring.unregister_event_duration_listener(self._report)

  @contextlib.contextmanager
  def phase(self, name: str) -> Iterator[None]:
    """Count the time until the block ends for a phase.

    Args:
      name: one of `PHASES`.

    Raises:
      ValueError: if it is none of them.
    """
    if name not in PHASES:
      raise ValueError(f'name must be one of {PHASES}, got {name!r}.')
    self._count()
    self._phases.append(name)
    try:
      yield
    finally:
      self._count()
      self._phases.pop()

  def seconds(self) -> dict[str, float]:
    """Return the seconds of all phases up to now, to a millisecond."""
    self._count()
    return {name: round(x, 3) for name, x in self._seconds.items()}

  def _count(self) -> None:
    """Count the time since this was called last for the innermost phase."""
    now = time.perf_counter()
    if self._phases:
      self._seconds[self._phases[-1]] += now - self._counted_to
    self._counted_to = now

  def _report(self, event: str, duration_secs: float, **about: Any) -> None:
    """Take what JAX reports out of the phase in which it happened."""
    del about
    # Other threads work while the phase goes on.
    if event not in _EVENTS or threading.get_ident() != self._thread:
      return
    self._count()
    start, own = self._counted_to - duration_secs, duration_secs
    while self._reported and self._reported[-1][0] > start:
      own -= self._reported.pop()[1]  # A part, which was reported before.
    self._reported.append((self._counted_to, duration_secs))
    # JAX looks at a clock that may be set meanwhile.
    own = min(max(own, 0.0), self._seconds[self._phases[-1]])
    self._seconds[self._phases[-1]] -= own
    self._seconds[_EVENTS[event]] += own
