"""The engine: a configuration in, figures of what leaks out.

`run` trains split models, attacks what crosses their cuts and measures what is
read. Other questions than that of `label_inference` are in `studies`.
"""

from splitjax.engine import studies as studies
from splitjax.engine.config import Config as Config
from splitjax.engine.progress import Progress as Progress
from splitjax.engine.result import Result as Result
from splitjax.engine.run import run as run
from splitjax.engine.study import Study as Study
from splitjax.engine.timings import Timings as Timings
from splitjax.errors import ConfigError as ConfigError

__all__ = [
  'Config',
  'ConfigError',
  'Progress',
  'Result',
  'Study',
  'Timings',
  'run',
  'studies',
]
