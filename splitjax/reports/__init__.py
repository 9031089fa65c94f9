"""Tables, plots and pages of results, for a person to read."""

from splitjax.reports.audit_page import write_audit as write_audit
from splitjax.reports.frontier import Curve as Curve
from splitjax.reports.frontier import defense_frontier as defense_frontier
from splitjax.reports.known import by_known as by_known
from splitjax.reports.page import Line as Line
from splitjax.reports.page import Summary as Summary
from splitjax.reports.page import Sweep as Sweep
from splitjax.reports.page import to_text as to_text
from splitjax.reports.page import write as write
from splitjax.reports.plots import leakage as leakage
from splitjax.reports.plots import sweep as sweep

__all__ = [
  'Curve',
  'Line',
  'Summary',
  'Sweep',
  'by_known',
  'defense_frontier',
  'leakage',
  'sweep',
  'to_text',
  'write',
  'write_audit',
]
