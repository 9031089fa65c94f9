"""Pages in a browser: they fit the window, light and dark, and load all."""

import html
import json
import re
import shutil
import subprocess

import pytest

from splitjax.reports import audit_page
from splitjax.reports import compare

CHROMIUM = shutil.which('chromium')
FLAGS = (
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
)
# A browser's window cannot be as narrow as a telephone, a frame can. The script
# stands around the page, which has none.
FRAME = """<iframe id="frame" style="width: {width}px; height: 900px; border: 0"
 srcdoc="{page}"></iframe><pre id="found"></pre><script>
document.getElementById('frame').onload = (event) => {{
  const inner = event.target.contentDocument;
  for (const one of inner.querySelectorAll('details')) one.open = true;
  const images = [...inner.images];
  Promise.all(images.map((image) => image.decode())).then(() => {{
    document.getElementById('found').textContent = JSON.stringify({{
      width: inner.documentElement.scrollWidth,
      window: inner.documentElement.clientWidth,
      images: images.map((image) => image.naturalWidth),
      shown: images.map((image) => image.clientWidth),
      dark: matchMedia('(prefers-color-scheme: dark)').matches,
      paper: inner.defaultView.getComputedStyle(inner.body).backgroundColor,
    }});
  }});
}};
</script>"""


def _look(page, folder, width, dark):
  frame = folder / 'frame.html'
  text = html.escape(page.read_text())
  frame.write_text(FRAME.format(width=width, page=text))
  finished = subprocess.run(
    [
      CHROMIUM,
      *FLAGS,
      *(['--force-dark-mode'] if dark else []),
      f'--user-data-dir={folder / f"user-{width}-{dark}"}',
      f'--window-size={max(500, width)},1000',
      '--virtual-time-budget=10000',
      '--dump-dom',
      frame.as_uri(),
    ],
    check=True,
    capture_output=True,
    text=True,
    timeout=120,
  )
  found = re.search('<pre id="found">(.+?)</pre>', finished.stdout)
  assert found, finished.stdout[-500:]
  return json.loads(html.unescape(found[1]))


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason='needs chromium')
@pytest.mark.parametrize('kind', ['audit', 'compare'])
def test_pages_fit_their_window(audit, tmp_path, kind):
  audit['audited']['files'] += ['a' * 200]
  if kind == 'audit':
    audit_page.write_audit(audit, tmp_path)
    page = tmp_path / 'report.html'
  else:
    compare.write({'before': audit, 'b' * 100: audit}, tmp_path)
    page = tmp_path / 'compare.html'
  papers = set()
  for width in (1200, 400):
    for dark in (False, True):
      found = _look(page, tmp_path, width, dark)
      assert width - 20 <= found['window'] <= width  # A bar to scroll with.
      assert found['width'] <= found['window']
      assert found['images']
      assert all(0 < shown <= width for shown in found['shown'])
      assert min(found['images']) > 0
      assert found['dark'] == dark
      papers.add(found['paper'])
  assert len(papers) == 2
