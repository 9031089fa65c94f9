"""What crossed the cuts in a run: records, and how they are saved."""

from collections.abc import Mapping, Sequence
import dataclasses
import itertools
import math
import pathlib
import shutil
from typing import Any

import jax
import numpy as np

from splitjax import files
from splitjax import training
from splitjax.data.dataset import Dataset
from splitjax.records import recording
from splitjax.records.intermediates import Name
from splitjax.records.intermediates import Phase
from splitjax.records.recording import Record
from splitjax.training.split import Model

PyTree = Any
ByEpoch = dict[int, tuple[Record, ...]]
ByPhase = dict[str, tuple[Record, ...]]


@dataclasses.dataclass(frozen=True)
class Observed:
  """What crossed the cuts in one run, and how good the model is.

  Attributes:
    cut_grads: by epoch, counted from 1, a record for each cut.
    sent: the smashed data that these answered, by epoch, if they were kept.
    online: the clusters that these fell into as they came, `[N, 1]` by epoch.
    smashed: smashed data of the training and of the test set through the
      trained client, by phase, a record for each cut.
    untrained_smashed: smashed data of the client before it was trained.
    logits: the trained model's answers to both sets, by phase, `[N, C]`.
    clients: parameters and state of the trained model's parts but the last, if
      they were kept.
    pairs: weights and ids of partners of the samples that were mixed, by epoch,
      rows as in `cut_grads`.
    monitored: what the label party noted, by epoch; leaves `[T, ...]`.
    diverged: whether the model ended in infinities; its answers are zeros then.
  """

  cut_grads: ByEpoch
  sent: ByEpoch
  online: ByEpoch
  smashed: ByPhase
  untrained_smashed: ByPhase
  logits: dict[str, np.ndarray]
  monitored: dict[int, PyTree]
  pairs: dict[int, tuple[np.ndarray, np.ndarray]] = dataclasses.field(
    default_factory=dict
  )
  clients: tuple[PyTree, PyTree] = ((), ())
  diverged: bool = False

  def client(self, cut: int) -> tuple[PyTree, PyTree]:
    """Return parameters and state of all layers before a cut, from 0."""
    join = lambda parts: tuple(itertools.chain(*parts[: cut + 1]))
    return join(self.clients[0]), join(self.clients[1])

  def bottoms(self, parties: Sequence[int]) -> tuple[PyTree, PyTree]:
    """Return parameters and state of the bottoms of parties, one each."""
    pick = lambda parts: tuple(parts[party] for party in parties)
    return pick(self.clients[0]), pick(self.clients[1])


def collect(
  index: int,
  logs: Mapping[int, training.EpochLog],
  passes: Mapping[tuple[str, str], training.Pass],
  clients: PyTree,
  dataset: Dataset,
  model: Model,
  metadata: Mapping[str, Any],
  *,
  shapes: Sequence[tuple[int, ...]],
  may_diverge: bool = False,
) -> Observed:
  """Take what was observed of one run out of the arrays of all.

  Args:
    index: index of the run on the first axis of every array.
    logs: logs of the epochs that were kept, by number.
    passes: passes of the clients, by phase and by 'smashed' or
      'untrained_smashed'.
    clients: parameters and state of the trained clients.
    dataset: what was trained on.
    model: the split model.
    metadata: goes into every record.
    shapes: the shape in which a sample of each cut is kept.
    may_diverge: whether vectors that are not finite are kept as zeros.

  Returns:
    What was observed.

  Raises:
    ValueError: if something is not finite, and must be.
  """

  def records(
    name: str, vectors: PyTree, ids: np.ndarray, steps: np.ndarray, **where: Any
  ) -> tuple[Record, ...]:
    found = []
    for at, one, shape in zip(model.crossings, vectors, shapes, strict=True):
      rows = _finite(one[index]) if may_diverge else one[index]
      if rows.shape[1:] == (math.prod(shape),):  # Clusters are one number.
        rows = rows.reshape(-1, *shape)
      found.append(Record(name, rows, ids, steps, {**metadata, **where, **at}))
    return tuple(found)

  def exchanged(name: Name, kind: Name) -> ByEpoch:
    return {
      epoch: records(
        kind.value,
        log.recorded[name.value],
        dataset.train_ids[log.positions[index]],
        np.asarray(log.steps[index]),
        phase=Phase.TRAINING.value,
        epoch=epoch,
      )
      for epoch, log in logs.items()
      if name.value in log.recorded
    }

  def smashed(name: Name) -> ByPhase:
    found = {}
    for (phase, which), one in passes.items():
      if which == name and one.recorded is not None:
        ids = ids_of(dataset, phase)
        steps = np.zeros(len(ids), dtype=np.int32)
        found[phase] = records(
          Name.SMASHED.value, one.recorded, ids, steps, phase=str(phase)
        )
    return found

  logits = {
    phase.value: np.asarray(passes[phase, Name.SMASHED].logits[index])
    for phase in Phase
  }
  diverged = not all(np.isfinite(x).all() for x in logits.values())
  if diverged and not may_diverge:
    raise ValueError("the model's answers must be finite.")
  return Observed(
    cut_grads=exchanged(Name.CUT_GRADS, Name.CUT_GRADS),
    sent=exchanged(Name.SENT, Name.SMASHED),
    online=exchanged(Name.ONLINE, Name.CUT_GRADS),
    smashed=smashed(Name.SMASHED),
    untrained_smashed=smashed(Name.UNTRAINED_SMASHED),
    logits=jax.tree.map(_finite, logits) if diverged else logits,
    diverged=diverged,
    pairs=_pairs_of(index, logs, dataset),
    clients=jax.tree.map(lambda x: x[index], clients),
    monitored={
      epoch: jax.tree.map(lambda x: x[index], log.monitored)
      for epoch, log in logs.items()
    },
  )


def _pairs_of(
  index: int, logs: Mapping[int, training.EpochLog], dataset: Dataset
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
  """Return weights and ids of partners in a run, by epoch."""
  return {
    epoch: (
      np.asarray(log.pairs[0][index]),
      dataset.train_ids[log.pairs[1][index]],
    )
    for epoch, log in logs.items()
    if log.pairs is not None
  }


def ids_of(dataset: Dataset, phase: str) -> np.ndarray:
  """Return the sample ids of a phase: of the training or of the test part."""
  return dataset.train_ids if phase == Phase.TRAINING else dataset.test_ids


def inputs_of(dataset: Dataset, phase: str) -> np.ndarray:
  """Return the inputs of a phase: of the training or of the test part."""
  if phase == Phase.TRAINING:
    return dataset.train_inputs
  return dataset.test_inputs


def _finite(vectors: np.ndarray) -> np.ndarray:
  """Put zeros in place of every row that is not finite."""
  finite = np.isfinite(vectors).all(axis=-1, keepdims=True)
  return np.where(finite, vectors, 0).astype(vectors.dtype)


def save(runs: Sequence[Observed], folder: pathlib.Path) -> None:
  """Write the records of every seed, in place of any of the same name.

  Args:
    runs: what was observed, one for each seed.
    folder: where to write, one folder a record.
  """
  for index, one in enumerate(runs):
    found = {
      **{
        f'training-cut_grads-epoch{key}': value
        for key, value in one.cut_grads.items()
      },
      **{f'{key}-smashed': value for key, value in one.smashed.items()},
    }
    for name, records in found.items():
      for record in records:
        cut, party = map(record.metadata.get, ('cut', 'party'))
        where = f'cut{cut}' + (
          f'-party{party}' if isinstance(party, int) else ''
        )
        path = folder / f'{name}-{where}-seed{index}'
        files.remove_leftovers(path)
        shutil.rmtree(path, ignore_errors=True)
        recording.save_record(path, record)
