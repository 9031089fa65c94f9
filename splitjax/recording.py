"""Old path of `splitjax.records.recording`; use the new one; goes in 0.3."""

import warnings

from splitjax.records.recording import INTERMEDIATES as INTERMEDIATES
from splitjax.records.recording import Record as Record
from splitjax.records.recording import load_record as load_record
from splitjax.records.recording import save_record as save_record

__all__ = ['INTERMEDIATES', 'Record', 'load_record', 'save_record']

warnings.warn(
  f'{__name__} goes in 0.3: use splitjax.records.recording.',
  DeprecationWarning,
  stacklevel=2,
)
