"""Functions on columns, which pyarrow makes when it is imported."""

from typing import Any


def compute() -> Any:
  """Return `pyarrow.compute`, of whose functions type checkers know few."""
  import pyarrow.compute  # Slow to import, and needed for tables alone.

  return pyarrow.compute
