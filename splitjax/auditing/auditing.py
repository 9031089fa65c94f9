"""The audit: arrays or records in, a verdict out."""

from collections.abc import Mapping, Sequence
import os
import time
from typing import Any

import numpy as np

from splitjax import metrics
from splitjax.attacks import choice
from splitjax.attacks.catalog import ATTACKS
from splitjax.attacks.catalog import Setup
from splitjax.attacks.choice import Choice
from splitjax.auditing import attacking
from splitjax.auditing import canaries as canaries_lib
from splitjax.auditing import content
from splitjax.auditing import files
from splitjax.auditing import from_records
from splitjax.auditing import guessing
from splitjax.auditing import judging
from splitjax.auditing import material
from splitjax.auditing import places
from splitjax.auditing import preparing
from splitjax.auditing.attacking import Read
from splitjax.auditing.material import Run
from splitjax.auditing.options import ARRAYS
from splitjax.auditing.options import TEXTS
from splitjax.auditing.options import Options
from splitjax.auditing.options import from_mapping
from splitjax.auditing.preparing import Prepared
from splitjax.auditing.result import AuditResult
from splitjax.engine import keys
from splitjax.engine.progress import SILENT
from splitjax.engine.progress import Progress
from splitjax.errors import ConfigError
from splitjax.errors import check_name
from splitjax.records.intermediates import Name
from splitjax.results import environment

_POINTS = 1000  # Points of the picture.


def audit(
  cut_grads: Any = None,
  labels: Any = None,
  *,
  smashed: Any = None,
  test_smashed: Any = None,
  test_labels: Any = None,
  inputs: Any = None,
  test_inputs: Any = None,
  untrained_smashed: Any = None,
  test_untrained_smashed: Any = None,
  sample_ids: Any = None,
  steps: Any = None,
  record: str | os.PathLike | Sequence[str | os.PathLike] | None = None,
  runs: Sequence[Mapping[str, Any]] = (),
  canaries: Any = None,
  progress: Progress = SILENT,
  **options: Any,
) -> AuditResult:
  """Attack what crossed a cut, and judge how much of the labels it gives away.

  Arrays may be NumPy's, JAX's or PyTorch's, or paths of `.npy` files, members
  of `.npz` files (`file.npz:name`) or patterns (`pass-*.npy`). `N` is the
  number of training samples, `M` that of test samples.

  Args:
    cut_grads: gradients at the cut, as the party with the inputs received them,
      `[N, ...]`; of several passes a list of arrays.
    labels: the true labels, `[N]`, `[N, 1]` or one-hot; only for scoring, and
      for the few that the attacker knows.
    smashed: the cut layer's output for the training samples, `[N, ...]`.
    test_smashed: the same for other samples, `[M, ...]`.
    test_labels: their labels, `[M]`.
    inputs: the inputs of the attacker, for a baseline, `[N, ...]`.
    test_inputs: the same of the test samples, `[M, ...]`.
    untrained_smashed: the cut layer's output before training, for a baseline.
    test_untrained_smashed: the same of the test samples.
    sample_ids: the sample of each row of the training arrays, `[N]`, or a list
      for several passes; label `i` is then of the sample `i`.
    steps: step at which each row crossed, likewise.
    record: a record folder in place of arrays, or several, one a run.
    runs: several runs (networks), each as arguments like the above.
    canaries: samples whose label a coin chose of two before the training, a row
      each of id and both labels, `[M, 3]`; they show an epsilon.
    progress: told of every attack.
    **options: fields of `Options`: `limit`, `attacks`, `num_aux`,
      `num_aux_draws`, `level`, `target`, `class_names`, `max_numbers`, `seed`.

  Returns:
    The result, with `verdict`, `summary()`, `to_dataframe()` and `save()`.

  Raises:
    ConfigError: naming the argument, its value and what was expected, before
      any attack runs.

  Example:
    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(2, size=200)
    >>> grads = np.where(labels, 1.0, -1.0)[:, None] * rng.random((200, 8))
    >>> result = audit(grads, labels, attacks=['clustering'], num_aux_draws=2)
    >>> result.verdict, result.content['strongest']['accuracy']['mean']
    ('fail', 100.0)
  """
  arrays = {
    'cut_grads': cut_grads,
    'labels': labels,
    'smashed': smashed,
    'test_smashed': test_smashed,
    'test_labels': test_labels,
    'inputs': inputs,
    'test_inputs': test_inputs,
    'untrained_smashed': untrained_smashed,
    'test_untrained_smashed': test_untrained_smashed,
    'sample_ids': sample_ids,
    'steps': steps,
  }
  chosen = from_mapping(options)
  start = time.monotonic()
  coins = canaries_lib.read(canaries)
  given = _runs_of(arrays, record, runs)
  prepared = preparing.prepare(given, chosen, coins)
  found = _audit(prepared, chosen, progress)
  paths = [path for run in given for path in run.paths]
  paths += coins.paths if coins is not None else ()
  found['versions'] = environment()['versions']
  found['digests'] = files.digests([x for x in paths if _is_file(x)])
  found['seconds'] = round(time.monotonic() - start, 1)
  return AuditResult(found)


def _is_file(path: str) -> bool:
  """Return whether a path is a file, and no record folder."""
  return not os.path.isdir(path)


def _runs_of(
  arrays: Mapping[str, Any], record: Any, runs: Sequence[Mapping[str, Any]]
) -> list[Run]:
  """Return what was given as runs."""
  given = {name: one for name, one in arrays.items() if one is not None}
  if runs:
    if given or record is not None:
      name = next(iter(given), 'record')
      raise ConfigError(name, '', 'all arrays within runs')
    if not isinstance(runs, list | tuple):
      raise ConfigError('runs', runs, 'a list of runs')
    return [_run_of(one) for one in runs]
  if record is None:
    return [material.from_arrays(given)]
  folders = [record] if isinstance(record, str | os.PathLike) else record
  if not isinstance(folders, list | tuple) or not folders:
    raise ConfigError('record', record, 'a record folder, or several')
  return [from_records.from_folder(one, given) for one in folders]


def _run_of(arrays: Mapping[str, Any]) -> Run:
  """Return one of several runs."""
  if not isinstance(arrays, Mapping):
    raise ConfigError('runs', arrays, 'arrays by name in each run')
  arrays = dict(arrays)
  for name in arrays:
    check_name('runs', name, (*ARRAYS, *TEXTS))
  folder = arrays.pop('record', None)
  if folder is None:
    return material.from_arrays(arrays)
  return from_records.from_folder(folder, arrays)


def _audit(
  prepared: Prepared, options: Options, progress: Progress
) -> dict[str, Any]:
  """Attack and judge what was prepared."""
  attacks, not_tried = _attacks_of(prepared, options)
  not_tried += _not_given(prepared)
  reads: list[Read] = []
  seed_keys = keys.from_seed(options.seed)
  for found in attacking.read_all(
    prepared, attacks, seed_keys.attacks, progress
  ):
    if isinstance(found, Read):
      reads.append(found)
    else:
      not_tried.append(found)
  phases = dict.fromkeys(one.place.phase for one in reads)
  sizes = None
  if prepared.num_classes is not None:
    sizes = np.bincount(prepared.labels[0], minlength=prepared.num_classes)
  guesses = {
    phase: attacking.guesses(prepared, phase) if sizes is not None else {}
    for phase in phases
  }
  if not any(one.place.leaks for one in reads):
    raise ConfigError(
      'attacks', options.attacks, 'one that reads what was given'
    )
  finding = judging.judge(
    reads,
    guesses,
    metrics.judged_by(sizes),
    limit=options.limit / 100,
    level=options.level,
  )
  made = content.make(prepared, options, reads, finding, not_tried)
  guessing.add_to(made, reads, prepared.canaries, options.level)
  picture = _picture(prepared, finding.deciding.read)
  return made | ({'picture': picture} if picture else {})


def _attacks_of(
  prepared: Prepared, options: Options
) -> tuple[tuple[Choice, ...], list[tuple[str, str]]]:
  """Return the attacks that are asked for, and which do not apply."""
  run = prepared.runs[0]
  widths = [one.width for one in (*run.passes, *run.arrays.values())]
  setup = Setup(prepared.num_classes or 0, widths, 0)
  if tuple(options.attacks) == ('default',):
    names = choice.DEFAULTS[setup.target]
    return tuple(choice.parse(x) for x in names), _beside(names, setup)
  found, _ = choice.find_attacks(options.attacks, setup)
  return found, _beside([one.name for one in found], setup)


def _beside(names: Sequence[str], setup: Setup) -> list[tuple[str, str]]:
  """List the attacks that were not asked for, or do not apply, by reason."""
  left: dict[str, list[str]] = {}
  for name, attack in ATTACKS.items():
    if name not in names:
      # Advice in brackets is for those who choose the data.
      lacking, _, _ = attack.lacks(setup).partition(' (')
      why = f'not applicable: needs {lacking}' if lacking else 'not asked for'
      left.setdefault(why, []).append(name)
  return [(', '.join(found), why) for why, found in left.items()]


def _not_given(prepared: Prepared) -> list[tuple[str, str]]:
  """List what could have been read, had it been given."""
  run = prepared.runs[0]
  missing = []
  if not run.passes:
    missing.append(('cut gradients', 'cut_grads was not given'))
  elif len(run.passes) == 1:
    missing.append(
      ('several passes of gradients', 'one pass of cut_grads was given')
    )
  if 'smashed' not in run.arrays:
    missing.append(('smashed data in training', 'smashed was not given'))
  if 'smashed' not in run.test_arrays:
    missing.append(('smashed data in inference', 'test_smashed was not given'))
  if not {'inputs', 'untrained_smashed'} & set(run.arrays):
    missing.append(
      (
        'what is read without the cut',
        'neither inputs nor untrained_smashed was given: what exceeds guessing '
        'counts as leakage',
      )
    )
  if len(prepared.runs) == 1:
    missing.append(('other networks', 'one run was given'))
  missing.append(('active attackers', 'an audit of arrays is passive'))
  return missing


def _picture(prepared: Prepared, read: Read) -> dict[str, Any] | None:
  """Return a picture of what was read, in the two directions that vary most."""
  if prepared.num_classes is None:
    return None
  target = places.target_of(prepared, read.place)
  vectors = np.asarray(target.view.vectors[0])
  rng = np.random.default_rng(0)
  rows = np.sort(rng.permutation(len(vectors))[:_POINTS])
  part = vectors[rows].astype(np.float64)
  if read.place.name == Name.CUT_GRADS:  # Directions carry the class.
    lengths = np.linalg.norm(part, axis=1, keepdims=True)
    part = part / np.where(lengths > 0, lengths, 1)
  if min(part.shape) < 2 or not part.std():
    return None
  from sklearn import decomposition  # Slow to import, and needed here alone.

  points = decomposition.PCA(2, random_state=0).fit_transform(part)
  labels = {'true': target.truth[0, 0][rows], 'read': read.labels[rows]}
  picture = content.picture_of(points, labels)
  return {'place': read.place.title, **picture}
