"""The documents: their width, their links, and the API reference."""

import importlib
import inspect
import pathlib
import re
import subprocess
import sys
import typing

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [
  *sorted(ROOT.glob('*.md')),
  *sorted(ROOT.glob('docs/*.md')),
  ROOT / 'benchmarks' / 'RESULTS.md',
]
ROOMS = (
  'data',
  'models',
  'training',
  'defenses',
  'records',
  'attacks',
  'metrics',
  'results',
  'reports',
  'engine',
  'integrations',
  'auditing',
)


def _titles(page: pathlib.Path) -> set[str]:
  """Returns the titles of a page, as links to them are written."""
  titles = re.findall('^#+ (.*)$', page.read_text(), re.MULTILINE)
  return {
    re.sub('[^a-z0-9_ -]', '', title.lower()).replace(' ', '-')
    for title in titles
  }


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_lines_are_under_120_columns(page):
  lines = page.read_text().splitlines()
  # A row of a table has to stay on one line.
  rest = [line for line in lines if not line.startswith('|')]
  assert [line for line in rest if len(line) >= 120] == []


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
  links = re.findall(r'\]\(([^)]*)\)', page.read_text())
  for link in [x for x in links if '://' not in x]:
    name, _, title = link.partition('#')
    target = page.parent / name if name else page
    assert target.exists(), link
    assert not title or title in _titles(target), link


def test_versions_agree():
  """Of the package, the citation and the first entry of the changelog."""
  project = (ROOT / 'pyproject.toml').read_text()
  version = re.search('^version = "(.*)"$', project, re.MULTILINE).group(1)
  citation = (ROOT / 'CITATION.cff').read_text()
  assert f'version: {version}\n' in citation
  changes = (ROOT / 'CHANGELOG.md').read_text()
  assert re.search(r'^## \[?([0-9.]+)', changes, re.M).group(1) == version
  assert importlib.import_module('splitjax').__version__ == version


def test_every_room_has_a_page_of_the_reference():
  pages = {path.stem for path in (ROOT / 'docs' / 'api').glob('*.rst')}
  assert pages == {'index', 'common', *ROOMS}


@pytest.mark.slow
def test_api_reference_builds_without_warnings(tmp_path):
  """Every public function and class of a room is in it, too."""
  reason = "the docs extra is not installed: pip install -e '.[docs]'"
  pytest.importorskip('sphinx', reason=reason)
  finished = subprocess.run(
    [
      *(sys.executable, '-m', 'sphinx', '-W', '--keep-going', '-q'),
      *('-d', str(tmp_path / 'doctrees'), '-b', 'html'),
      *(str(ROOT / 'docs' / 'api'), str(tmp_path / 'html')),
    ],
    cwd=ROOT,
    check=False,
    stderr=subprocess.STDOUT,
    stdout=subprocess.PIPE,
    text=True,
  )
  assert finished.returncode == 0, finished.stdout
  pages = (tmp_path / 'html').glob('*.html')
  anchors = {x for p in pages for x in re.findall('id="(.*?)"', p.read_text())}
  missing = []
  for room in ROOMS:
    module = importlib.import_module(f'splitjax.{room}')
    for name in module.__all__:
      value = getattr(module, name)
      is_type = typing.get_origin(value) is not None
      if is_type or not (callable(value) or inspect.ismodule(value)):
        continue  # What has no docstring: constants and names of types.
      path = f'splitjax.{room}.{name}'
      origin = getattr(value, '__module__', '')
      paths = {path, f'module-{path}', f'{origin}.{name}'}
      if not paths & anchors:
        missing.append(path)
  assert missing == []
