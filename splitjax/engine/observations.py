"""What crossed the cuts in a run: records, and how they are saved."""

from collections.abc import Mapping, Sequence
import dataclasses
import itertools
import pathlib
import shutil
from typing import Any

import jax
import numpy as np

from splitjax import data
from splitjax import training
from splitjax.records import recording
from splitjax.training import inference
from splitjax.training import split

PHASES = ('training', 'inference')


@dataclasses.dataclass(frozen=True)
class Observed:
  """What crossed the cuts in one run, and how good the model is.

  Attributes:
    cut_grads: by epoch, counted from 1, a record for each cut.
    sent: the same of the smashed data that they answered, if it was kept.
    online: the same of the clusters that they fell into as they came, `[N, 1]`.
    smashed: of the training and of the test set through the trained client, by
      phase, a record for each cut.
    untrained_smashed: the same through the client before it was trained.
    logits: the trained model's, of both sets, by phase, `[N, C]`.
    clients: parameters and state of the trained model's parts but the last, if
      they were kept.
    monitored: what the label party noted, by epoch; leaves `[T, ...]`.
    diverged: whether the model ended in infinities; it answers class 0 then.
  """

  cut_grads: dict[int, tuple[recording.Record, ...]]
  sent: dict[int, tuple[recording.Record, ...]]
  online: dict[int, tuple[recording.Record, ...]]
  smashed: dict[str, tuple[recording.Record, ...]]
  untrained_smashed: dict[str, tuple[recording.Record, ...]]
  logits: dict[str, np.ndarray]
  monitored: dict[int, Any]
  clients: tuple[Any, Any] = ((), ())
  diverged: bool = False

  def client(self, cut: int) -> tuple[Any, Any]:
    """Parameters and state of all layers before a cut, numbered from 0."""
    join = lambda parts: tuple(itertools.chain(*parts[: cut + 1]))
    return join(self.clients[0]), join(self.clients[1])


def collect(
  index: int,
  logs: Mapping[int, training.EpochLog],
  passes: Mapping[tuple[str, str], inference.Pass],
  clients: Any,
  dataset: data.Dataset,
  model: split.SplitModel,
  metadata: Mapping[str, Any],
  *,
  may_diverge: bool = False,
) -> Observed:
  """What was observed of one run, out of the arrays of all.

  Args:
    index: of the run, on the first axis of every array.
    logs: of the epochs that were kept, by number.
    passes: of the clients, by phase and by 'smashed' or 'untrained_smashed'.
    clients: parameters and state of the trained ones.
    dataset: what was trained on.
    model: the split model.
    metadata: goes into every record.
    may_diverge: whether vectors that are not finite are kept as zeros.

  Returns:
    What was observed.

  Raises:
    ValueError: if something is not finite, and must be.
  """

  def records(intermediate, vectors, ids, steps, **where):
    return tuple(
      recording.Record(
        intermediate=intermediate,
        vectors=_finite(one[index]) if may_diverge else one[index],
        sample_ids=ids,
        steps=steps,
        metadata={**metadata, **where, 'cut': cut},
      )
      for cut, one in zip(model.cuts, vectors, strict=True)
    )

  def exchanged(name, intermediate):
    return {
      epoch: records(
        intermediate,
        log.recorded[name],
        dataset.train_ids[log.positions[index]],
        log.steps[index],
        phase='training',
        epoch=epoch,
      )
      for epoch, log in logs.items()
      if name in log.recorded
    }

  def smashed(name):
    ids = {'training': dataset.train_ids, 'inference': dataset.test_ids}
    return {
      phase: records(
        'smashed',
        one.recorded,
        ids[phase],
        np.zeros(len(ids[phase]), dtype=np.int32),
        phase=phase,
      )
      for (phase, found), one in passes.items()
      if found == name and one.recorded is not None
    }

  logits = {phase: passes[phase, 'smashed'].logits[index] for phase in PHASES}
  diverged = not all(np.isfinite(x).all() for x in logits.values())
  return Observed(
    cut_grads=exchanged('cut_grads', 'cut_grads'),
    sent=exchanged('sent', 'smashed'),
    online=exchanged('online', 'cut_grads'),
    smashed=smashed('smashed'),
    untrained_smashed=smashed('untrained_smashed'),
    logits=jax.tree.map(_finite, logits) if diverged else logits,
    diverged=diverged,
    clients=jax.tree.map(lambda x: x[index], clients),
    monitored={
      epoch: jax.tree.map(lambda x: x[index], log.monitored)
      for epoch, log in logs.items()
    },
  )


def _finite(vectors):
  """Zeros in place of every row that is not finite."""
  finite = np.isfinite(vectors).all(axis=-1, keepdims=True)
  return np.where(finite, vectors, 0).astype(vectors.dtype)


def save(observed: Sequence[Observed], folder: pathlib.Path) -> None:
  """Writes the records of every seed, in place of any of the same name.

  Args:
    observed: one for each seed.
    folder: where to write, one folder a record.
  """
  for index, one in enumerate(observed):
    found = {
      **{
        f'training-cut_grads-epoch{key}': value
        for key, value in one.cut_grads.items()
      },
      **{f'{key}-smashed': value for key, value in one.smashed.items()},
    }
    for name, records in found.items():
      for record in records:
        path = folder / f'{name}-cut{record.metadata["cut"]}-seed{index}'
        shutil.rmtree(path, ignore_errors=True)
        recording.save_record(path, record)
