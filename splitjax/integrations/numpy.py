"""A recorder for arrays of NumPy, or of anything that turns into them.

Example:
  >>> import tempfile
  >>> import numpy as np
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   with CutRecorder(f'{folder}/cut') as recorder:
  ...     recorder.append([7, 4], cut_grads=np.ones((2, 3)), labels=[0, 1])
"""

from splitjax.records import cut_writer

__all__ = ['CutRecorder']

CutRecorder = cut_writer.CutWriter
