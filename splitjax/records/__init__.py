"""What crossed a cut, and what an attacker may read of it."""

from splitjax.records.recording import Record as Record
from splitjax.records.recording import load_record as load_record
from splitjax.records.recording import save_record as save_record
from splitjax.records.viewing import Auxiliary as Auxiliary
from splitjax.records.viewing import View as View
from splitjax.records.viewing import make_view as make_view
from splitjax.records.viewing import sample_auxiliary as sample_auxiliary
from splitjax.records.viewing import scored_mask as scored_mask

__all__ = [
  'Auxiliary',
  'Record',
  'View',
  'load_record',
  'make_view',
  'sample_auxiliary',
  'save_record',
  'scored_mask',
]
