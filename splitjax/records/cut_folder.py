"""Claiming the folder of a cut record, and removing an old one from it."""

import os
import pathlib

from splitjax.records import cut_format


def claim(folder: pathlib.Path, *, overwrite: bool) -> None:
  """Make an empty folder; remove the cut record that is there if allowed to.

  Args:
    folder: folder to make.
    overwrite: whether a cut record in it is removed. Other files never are.

  Raises:
    FileExistsError: if something is there that may not be removed.

  Example:
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...   _ = pathlib.Path(folder, 'thesis.tex').write_text('')
    ...   claim(pathlib.Path(folder), overwrite=True)
    Traceback (most recent call last):
    FileExistsError: folder must be empty or hold a cut record alone, got ...
  """
  if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
    if not overwrite:
      raise FileExistsError(
        f'folder must be new or empty, got {folder}; overwrite=True replaces a '
        'cut record.'
      )
    _remove_record(folder)
  folder.mkdir(parents=True, exist_ok=True)


def remove_shards(folder: pathlib.Path) -> None:
  """Remove the shards in the folder of a pass, their ids first.

  Args:
    folder: folder of a pass; it need not exist. Other files stay in it.
  """
  if not folder.is_dir():
    return
  paths = [x for x in folder.iterdir() if cut_format.parse_shard(x.name)]
  for path in sorted(paths, key=lambda x: not x.name.startswith('sample_ids')):
    path.unlink()


def _remove_record(folder: pathlib.Path) -> None:
  """Remove a cut record, or raise FileExistsError and remove nothing."""
  try:
    cut_format.parse_manifest((folder / cut_format.MANIFEST).read_text())
  except (OSError, RecursionError, ValueError):
    raise FileExistsError(
      f'folder must be empty or hold a cut record alone, got {folder}, which '
      'holds something else.'
    ) from None
  files, folders = [], []
  for root, inner, names in os.walk(folder):
    files += [pathlib.Path(root, name) for name in names]
    folders += [pathlib.Path(root, name) for name in inner]
  for path in [*files, *folders]:
    if not _is_ours(path, path.relative_to(folder).parts):
      raise FileExistsError(
        f'folder must hold a cut record alone, got {path} in it.'
      )
  # The manifest last: what is left of a removal can be removed again.
  for path in sorted(files, key=lambda x: x.name == cut_format.MANIFEST):
    path.unlink()
  for path in reversed(folders):  # What is inside a folder comes after it.
    path.rmdir()


def _is_ours(path: pathlib.Path, parts: tuple[str, ...]) -> bool:
  """Return whether a path, with these parts in the folder, is a record's."""
  if path.is_symlink():
    return False
  for depth, part in enumerate(parts):
    # What a killed writer was writing: a folder `.NAME.SUFFIX` with a file.
    target = part[1:].rpartition('.')[0] if part.startswith('.') else ''
    if target and _is_name(parts[:depth], target):
      return depth == len(parts) - 1 or parts[depth + 1 :] == (target,)
  return _is_name(parts[:-1], parts[-1]) or (
    path.is_dir() and _is_folder(parts)
  )


def _is_folder(parts: tuple[str, ...]) -> bool:
  """Return whether a record has such a folder."""
  if len(parts) == 1:
    return parts[0] in (cut_format.TRAINING, cut_format.INFERENCE)
  return (
    len(parts) == 2
    and parts[0] == cut_format.TRAINING
    and cut_format.parse_pass(parts[1]) is not None
  )


def _is_name(folder: tuple[str, ...], name: str) -> bool:
  """Return whether a record has a file of that name in a folder."""
  if not folder:
    return name == cut_format.MANIFEST
  is_pass = _is_folder(folder) and folder != (cut_format.TRAINING,)
  return is_pass and cut_format.parse_shard(name) is not None
