"""What the engine tells whoever waits for it."""


class Progress:
  """Told of every epoch and cell; this one stays silent.

  A binary passes one that draws a bar.
  """

  def start(self, text: str) -> None:
    """Say what is being done now."""

  def advance(self, text: str | None = None) -> None:
    """Count one unit of the total as done, with a word on it."""

  def warn(self, text: str) -> None:
    """Say something that the user should know."""


SILENT = Progress()
