"""What a run found: rows, a data frame, a summary, files."""

import os
import pathlib
import typing

from splitjax.engine.study import Study
from splitjax.reports import page
from splitjax.reports.page import Summary
from splitjax.results import Results
from splitjax.results import Row

if typing.TYPE_CHECKING:
  import pandas


class Result:
  """The figures of a study, with a table, plots and files of them.

  Attributes:
    study: what was run.
    results: the rows, and the folder that keeps them, if there is one.
  """

  def __init__(self, study: Study, results: Results) -> None:
    self.study = study
    self.results = results

  def rows(self) -> list[Row]:
    """Return the figures in long form, see `splitjax.results.COLUMNS`."""
    return self.results.rows()

  def to_dataframe(self) -> 'pandas.DataFrame':
    """Return the rows as a data frame, one column a key."""
    import pandas  # Slow to import, and needed here alone.

    return pandas.DataFrame(self.rows())

  def to_summary(self) -> Summary:
    """Return title, facts and lines of the table, for `splitjax.reports`."""
    return self.study.summarise_fn(self.study, self.rows())

  def summary(self) -> str:
    """Return what was run and a table of what was read, as text."""
    return page.to_text(self.to_summary())

  def save(self, folder: str | os.PathLike) -> None:
    """Write rows, configuration, plots and the page to a folder.

    Args:
      folder: gets `results.csv`, `results.jsonl`, `config.json`,
        `leakage.png`, `leakage.svg` and `report.html`; made if it is not
        there.
    """
    folder = pathlib.Path(folder)
    self.results.save(folder)
    self.save_report(folder)

  def save_report(self, folder: pathlib.Path) -> None:
    """Write plots and the page beside rows that are there."""
    summary = self.to_summary()
    self.study.draw_fn(self.study, summary, folder / 'leakage.png')
    page.write(summary, folder)
