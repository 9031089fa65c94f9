"""What goes wrong, as one line on standard error and an exit status."""

from collections.abc import Iterator
import contextlib
import os
import pathlib
import sys
import traceback

from absl import flags
import jax

from splitjax.errors import INTERRUPTED
from splitjax.errors import ConfigError

flags.DEFINE_boolean(
  'debug', False, 'Whether errors show where in the program they arose.'
)

# Of which flag a part of the package works, innermost first.
_FLAGS = (
  ('engine/extractors', 'extractor'),
  ('engine/pretraining', 'weights'),
  ('attacks/', 'attacks'),
  ('defenses/', 'defense'),
  ('data/', 'dataset'),
  ('models/', 'model'),
  ('results/', 'out_dir'),
  ('reports/', 'out_dir'),
  ('files', 'out_dir'),
)
_MEMORY = (
  'out of memory: fewer of --num_seeds or --num_aux_draws need less, and so '
  'does a smaller --project_to'
)


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
  """Show whatever is raised as one line, and exit.

  A mistake of the user's is status 2, an interruption 130, and all else 1. With
  --debug the traceback comes before the line.
  """
  try:
    yield
  except KeyboardInterrupt as error:
    _quit(error, 'interrupted; what was finished is kept', INTERRUPTED)
  except ConfigError as error:
    _quit(error, f'--{error}', 2)
  except flags.Error as error:
    _quit(error, str(error), 2)
  except OSError as error:
    what = error.filename or _flag_of(error)
    _quit(error, f'{what}: {error.strerror or error}', 1)
  except MemoryError as error:
    _quit(error, _MEMORY, 1)
  except jax.errors.JaxRuntimeError as error:
    full = 'RESOURCE_EXHAUSTED' in str(error)
    _quit(error, _MEMORY if full else _unforeseen(error), 1)
  except Exception as error:  # Nobody who runs a command wants a traceback.
    _quit(error, _unforeseen(error), 1)


def _unforeseen(error: Exception) -> str:
  """Return what is known of an error that nobody thought of."""
  return (
    f'{_flag_of(error)}: {type(error).__name__}: {error} (not foreseen; '
    '--debug shows where)'
  )


def _flag_of(error: Exception) -> str:
  """Return the flag that the innermost known part of the package works for."""
  for frame in reversed(traceback.extract_tb(error.__traceback__)):
    _, found, module = frame.filename.rpartition('splitjax/')
    for start, name in _FLAGS:
      if found and module.startswith(start) and name in flags.FLAGS:
        return f'--{name}={flags.FLAGS[name].value}'
  return 'error in the program'


def _quit(error: BaseException, text: str, status: int) -> None:
  """Print an error and exit."""
  # Flags that come after a mistake are not parsed.
  if flags.FLAGS['debug'].value or '--debug' in sys.argv:
    traceback.print_exception(error)
  program = pathlib.Path(sys.argv[0]).stem
  print(f'{program}: error: {" ".join(text.split())}', file=sys.stderr)
  if status == INTERRUPTED:
    # Threads that still compile would crash while the process is taken down.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
  sys.exit(status)
