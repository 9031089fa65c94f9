"""What crossed a cut, and what an attacker may read of it."""

from splitjax.records.cut_record import CutRecord as CutRecord
from splitjax.records.cut_record import Pass as Pass
from splitjax.records.cut_record import read_cut_record as read_cut_record
from splitjax.records.cut_writer import CutWriter as CutWriter
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
  'CutRecord',
  'CutWriter',
  'Pass',
  'Record',
  'View',
  'load_record',
  'make_view',
  'read_cut_record',
  'sample_auxiliary',
  'save_record',
  'scored_mask',
]
