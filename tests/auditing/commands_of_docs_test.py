"""Every command of the documents that audits, as written."""

import pathlib
import re
import shlex

import numpy as np
import pytest

from splitjax.auditing import command
from splitjax.auditing import comparing
from splitjax.records import CutWriter

ROOT = pathlib.Path(__file__).parents[2]
_AUDIT = re.compile(r'^(splitjax-\w+|python -m splitjax\.\w+) (.*)$', re.M)


def _commands():
  found = []
  for page in (ROOT / 'README.md', ROOT / 'docs' / 'audit.md'):
    text = page.read_text()
    for block in re.findall(r'```bash\n(.*?)```', text, re.DOTALL):
      found += _AUDIT.findall(block.replace('\\\n', ''))
  return found


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp('audit')
  rng = np.random.default_rng(0)
  labels = np.arange(120) % 3
  means = rng.normal(size=(3, 6))
  for name, rows, part in (('', 120, labels), ('_test', 60, labels[:60])):
    vectors = means[part] + 0.1 * rng.normal(size=(rows, 6))
    np.save(folder / f'y{name}.npy', part)
    np.save(folder / f'h{name}.npy', vectors)
    np.save(folder / f'x{name}.npy', rng.normal(size=(rows, 6)))
  np.save(folder / 'g.npy', means[labels] + 0.1 * rng.normal(size=(120, 6)))
  coins = np.stack([np.arange(9), labels[:9], (labels[:9] + 1) % 3], axis=1)
  np.save(folder / 'canaries.npy', coins)
  with CutWriter(folder / 'cut') as writer:
    writer.append(np.arange(120), cut_grads=means[labels], labels=labels)
  toml = re.search(
    r'```toml\n(.*?)```', (ROOT / 'docs' / 'audit.md').read_text(), re.DOTALL
  )
  (folder / 'audit.toml').write_text(toml[1])
  for run in ('run1', 'run2'):
    (folder / run).mkdir()
    np.save(folder / run / 'g.npy', np.load(folder / 'g.npy'))
  return folder


def test_documents_have_commands_to_run():
  assert len(_commands()) >= 5


@pytest.mark.slow
@pytest.mark.parametrize(('name', 'rest'), _commands())
def test_commands_of_the_documents_run(name, rest, folder, monkeypatch):
  monkeypatch.chdir(folder)
  words = shlex.split(rest)
  if name in ('splitjax-report', 'python -m splitjax.report'):
    for run in words[:2]:
      assert command.main(
        ['--cut_grads=g.npy', '--labels=y.npy', f'--out_dir={run}']
      ) in (0, 1, 3)
    assert comparing.main(words) == 0
    return
  assert command.main(words) == 1  # These arrays give their labels away.
  if any(word.startswith('--out_dir') for word in words):
    assert (folder / 'audit' / 'report.html').exists()
    assert (folder / 'audit' / 'audit.json').exists()
