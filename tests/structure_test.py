"""The form of the code: rooms, sizes, docstrings, annotations, imports."""

import ast
from collections.abc import Iterator
import pathlib
import subprocess
import sys
from typing import NamedTuple

import numpy as np

ROOT = pathlib.Path(__file__).parents[1]
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class Source(NamedTuple):
  """A module of the package or of the binaries."""

  name: str
  text: str
  tree: ast.Module


def _sources(*folders: str) -> list[Source]:
  paths = [p for x in folders for p in sorted((ROOT / x).rglob('*.py'))]
  names = [path.relative_to(ROOT).as_posix() for path in paths]
  texts = [path.read_text() for path in paths]
  return [Source(n, t, ast.parse(t)) for n, t in zip(names, texts, strict=True)]


PACKAGE = _sources('splitjax')
SOURCES = [*PACKAGE, *_sources('experiments')]


def _is_function(node: ast.AST) -> bool:
  return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def _place(source: Source, node: ast.AST) -> str:
  return f'{source.name}:{node.lineno} {getattr(node, "name", "")}'.strip()


def _functions() -> Iterator[tuple[Source, ast.FunctionDef]]:
  """Yields every function: methods, private and inner ones too."""
  for source in SOURCES:
    for node in ast.walk(source.tree):
      if _is_function(node):
        yield source, node


def _body_length(source: Source, function: ast.FunctionDef) -> int:
  """Counts a body's lines, but no docstring, comment or empty line."""
  has_docstring = ast.get_docstring(function) is not None
  body = function.body[1:] if has_docstring else function.body
  if not body:
    return 0
  lines = source.text.splitlines()[body[0].lineno - 1 : function.end_lineno]
  code = [x for x in map(str.strip, lines) if x and not x.startswith('#')]
  return len(code)


def _public(node: ast.AST) -> Iterator[Definition]:
  """Yields public functions and classes, and the methods of the classes."""
  for child in ast.iter_child_nodes(node):
    is_class = isinstance(child, ast.ClassDef)
    if (is_class or _is_function(child)) and not child.name.startswith('_'):
      yield child
      if is_class:
        yield from _public(child)


def _not_annotated(function: ast.FunctionDef) -> list[str]:
  arguments = function.args
  named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
  named += [x for x in (arguments.vararg, arguments.kwarg) if x is not None]
  missing = [x.arg for x in named if x.annotation is None]
  missing = [x for x in missing if x not in ('self', 'cls')]
  return missing + ['return'] * (function.returns is None)


def _run(*arguments: str) -> subprocess.CompletedProcess:
  return subprocess.run(
    [sys.executable, *arguments],
    cwd=ROOT,
    check=False,
    stderr=subprocess.STDOUT,
    stdout=subprocess.PIPE,
    text=True,
  )


def _lint_imports(config: pathlib.Path) -> subprocess.CompletedProcess:
  return _run(
    '-c',
    'import importlinter.cli as x; raise SystemExit(x.lint_imports('
    f'config_filename={str(config)!r}, no_cache=True, no_logo=True))',
  )


def test_rooms_import_only_what_they_may():
  finished = _lint_imports(ROOT / 'pyproject.toml')
  assert finished.returncode == 0, finished.stdout


def test_an_import_the_other_way_is_found(tmp_path):
  """The contracts hold something: of a wrong room they say so."""
  settings = (ROOT / 'pyproject.toml').read_text()
  assert '  "results",\n  "metrics",\n' in settings
  wrong = settings.replace('"results",\n  "metrics"', '"metrics",\n  "results"')
  config = tmp_path / 'pyproject.toml'
  config.write_text(wrong)
  finished = _lint_imports(config)
  assert finished.returncode == 1
  assert 'splitjax.results is not allowed to import' in finished.stdout


def test_functions_are_short():
  lengths = {_place(*x): _body_length(*x) for x in _functions()}
  assert len(lengths) > 300
  assert {k: n for k, n in lengths.items() if n > 60} == {}
  assert np.percentile(list(lengths.values()), 90) <= 22


def test_modules_are_under_300_lines():
  lengths = {x.name: len(x.text.splitlines()) for x in SOURCES}
  assert {name: n for name, n in lengths.items() if n >= 300} == {}


def test_public_names_are_documented():
  found = [
    _place(source, node)
    for source in SOURCES
    for node in _public(source.tree)
    if ast.get_docstring(node) is None and node.name != 'main'
  ]
  assert found == []
  assert [x.name for x in SOURCES if not _is_documented(x)] == []


def _is_documented(source: Source) -> bool:
  return not source.tree.body or ast.get_docstring(source.tree) is not None


def test_all_arguments_and_returns_are_annotated():
  missing = {_place(*x): _not_annotated(x[1]) for x in _functions()}
  assert {place: names for place, names in missing.items() if names} == {}


# They print a verdict and leave with a status.
COMMANDS = (
  'splitjax/audit.py',
  'splitjax/commands.py',
  'splitjax/report.py',
  'splitjax/auditing/command.py',
  'splitjax/auditing/comparing.py',
)


def test_the_package_but_for_its_commands_neither_prints_nor_exits():
  calls = [
    (source, node)
    for source in PACKAGE
    if source.name not in COMMANDS
    for node in ast.walk(source.tree)
    if isinstance(node, ast.Call)
  ]
  forbidden = ('print', 'exit', 'quit', 'sys.exit', 'os._exit')
  found = [_place(s, n) for s, n in calls if ast.unparse(n.func) in forbidden]
  assert found == []
  raised = [n for s in PACKAGE for n in ast.walk(s.tree)]
  raised = [ast.unparse(n) for n in raised if isinstance(n, ast.Raise)]
  assert [x for x in raised if 'SystemExit' in x] == []


# Of absl the part with flags and a main function: optax and flax import others.
HEAVY = (
  'tensorflow_datasets',
  'orbax',
  'scipy.optimize',
  'scipy.stats',
  'sklearn',
  'matplotlib',
  'absl.app',
  'torch',
)


def test_imports_load_little_and_start_no_backend():
  """A program chooses its devices after the imports, and waits for little."""
  finished = _run(
    '-c',
    'import sys, jax, splitjax, splitjax.engine, splitjax.records\n'
    'import splitjax.integrations, splitjax.auditing.command\n'
    f'print("loaded:", [x for x in {HEAVY} if x in sys.modules])\n'
    '# This raises once a backend has started.\n'
    'jax.config.update("jax_num_cpu_devices", 3)\n'
    'print("devices:", jax.local_device_count("cpu"))\n',
  )
  assert finished.stdout.splitlines() == ['loaded: []', 'devices: 3']
