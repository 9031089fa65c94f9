"""What was observed in a setting, as records that an attacker reads."""

from collections.abc import Sequence
import functools
from typing import Any, NamedTuple

import jax
import numpy as np

from splitjax import attacks
from splitjax import data
from splitjax.data.dataset import Dataset
from splitjax.defenses.plan import Plan
from splitjax.engine import coalitions
from splitjax.engine import extractors
from splitjax.engine.canaries import Canaries
from splitjax.engine.extractors import Extractor
from splitjax.engine.observed import Observed
from splitjax.engine.observed import ids_of
from splitjax.records import viewing
from splitjax.records.intermediates import Name
from splitjax.records.intermediates import Phase
from splitjax.records.recording import Record
from splitjax.records.viewing import Auxiliary
from splitjax.training.party_model import PartyModel
from splitjax.training.split import Model

PyTree = Any


class Source(NamedTuple):
  """Where the figures of a setting come from.

  Attributes:
    observed: what crossed the cuts, one for each seed.
    auxiliary: the auxiliary samples of each seed.
    plan: the defenses that were at work.
    model: what was trained.
    extractor: a network that the attacker owns beside its client, if any.
    cut: index of the model's cut, from 0.
    epoch: the pass whose cut gradients are attacked, from 1.
    num_passes: over how many passes from there on gradients are averaged.
    optional: what was recorded for attacks beside what they need.
    parties: indices of the parties that work together; empty where the model
      has no parties.
    canaries: samples whose labels coins chose, if any; what is read of them is
      no leakage of true labels.
  """

  observed: Sequence[Observed]
  auxiliary: Sequence[Auxiliary]
  plan: Plan
  model: Model
  extractor: Extractor | None = None
  cut: int = 0
  epoch: int = 1
  num_passes: int = 1
  optional: frozenset[Name] = frozenset()
  parties: tuple[int, ...] = ()
  canaries: Canaries | None = None

  def counted_ids(self, dataset: Dataset, phase: str) -> np.ndarray:
    """Return the ids of a phase's samples whose labels are scored."""
    ids = ids_of(dataset, phase)
    if self.canaries is None:
      return ids
    return ids[~np.isin(ids, self.canaries.ids)]

  def of_view(self, records: Sequence[Record]) -> Record:
    """Return what the attacker has of records, one a cut or party."""
    if not self.parties:
      return records[self.cut]
    return _join([records[party] for party in self.parties])

  def monitored(self) -> PyTree:
    """Return what the label parties noted in that epoch; leaves `[S, T]`."""
    noted = [one.monitored.get(self.epoch) for one in self.observed]
    return jax.tree.map(lambda *x: np.stack(x), *noted)

  def cut_grads(self) -> list[Record]:
    """Return the cut gradients that are attacked, a record for each seed."""
    passes = range(self.epoch, self.epoch + self.num_passes)
    return [
      _average(
        [self.of_view(one.cut_grads[epoch]) for epoch in passes],
        self.plan.averaged or 'pass',
      )
      for one in self.observed
    ]

  def passes_of(self, seed: int, ids: np.ndarray, name: str) -> viewing.Passes:
    """Return what a client received in all passes that count for a place.

    Args:
      seed: index of the seed.
      ids: ids of the training samples, in the order of the rows.
      name: what is attacked: of gradients the passes of this source, else all
        that were recorded.

    Returns:
      The passes.
    """
    one = self.observed[seed]
    epochs = sorted(one.cut_grads)
    if name == Name.CUT_GRADS:
      epochs = list(range(self.epoch, self.epoch + self.num_passes))
    records = [self.of_view(one.cut_grads[epoch]) for epoch in epochs]
    rows = [viewing.rows_of(ids, x.sample_ids)[0] for x in records]
    arrays: dict[str, Any] = {
      'vectors': [x.flat[r] for x, r in zip(records, rows, strict=True)],
      'steps': [x.steps[r] for x, r in zip(records, rows, strict=True)],
    }
    if one.pairs:
      pairs = [one.pairs[epoch] for epoch in epochs]
      arrays['weights'] = [
        weights[r] for (weights, _), r in zip(pairs, rows, strict=True)
      ]
      arrays['partners'] = [
        viewing.rows_of(partners[r], ids)[0]
        for (_, partners), r in zip(pairs, rows, strict=True)
      ]
    stacked: dict[str, Any] = {k: np.stack(x) for k, x in arrays.items()}
    return viewing.Passes(
      **stacked,
      channel=self.plan.channel,
      counters=self.plan.counters,
      fresh_labels=self.plan.fresh_labels,
      num_merged=self.plan.num_merged,
    )

  def records(self, dataset: Dataset, phase: str, name: str) -> list[Record]:
    """Return what is read in one place, a record for each seed.

    Args:
      dataset: what was trained on.
      phase: 'training' or 'inference'.
      name: the intermediate.

    Returns:
      The records; one alone for raw inputs, which depend on no seed.
    """
    if name == Name.CUT_GRADS:
      return self.cut_grads()
    if name in (Name.RAW_INPUTS, Name.NONE):
      return [_no_leak_records(self._own_part(dataset), None)[phase]]
    if name == Name.EXTRACTED:
      found = _no_leak_records(dataset, self.extractor)[phase]
      return [found] * len(self.observed)
    return [self.of_view(getattr(one, name)[phase]) for one in self.observed]

  def extractor_of(
    self, dataset: Dataset, name: str, seed: int, ids: np.ndarray, new: PyTree
  ) -> viewing.Extractor:
    """Return the network that made features, and inputs to train it on.

    Args:
      dataset: what was trained on.
      name: the intermediate that the features are.
      seed: index of the seed.
      ids: ids of the training samples, in the order of the features.
      new: ids of the samples to label.

    Returns:
      The network with its inputs.
    """
    if name == Name.EXTRACTED:
      assert self.extractor is not None
      variables, apply_fn = self.extractor.variables, self.extractor.apply_fn
    elif isinstance(self.model, PartyModel):
      variables = self.observed[seed].bottoms(self.parties)
      apply_fn = coalitions.bottoms_fn(self.model, self.parties)
      dataset = self._own_part(dataset)
    else:
      variables = self.observed[seed].client(self.cut)
      apply_fn = extractors.client_fn(self.model, self.cut)
    return viewing.Extractor(
      variables,
      _inputs_by_id(dataset, ids),
      _inputs_by_id(dataset, new),
      apply_fn,
    )

  def _own_part(self, dataset: Dataset) -> Dataset:
    """Return a data set with the attacker's own features alone."""
    if not isinstance(self.model, PartyModel):
      return dataset
    return coalitions.dataset_of(dataset, self.model, self.parties)


def _inputs_by_id(dataset: Dataset, ids: np.ndarray) -> Any:
  """Return the inputs of samples that are all of one part."""
  rows, found = viewing.rows_of(ids, dataset.train_ids)
  if found.all():
    return dataset.train_inputs[rows]
  return dataset.test_inputs[viewing.rows_of(ids, dataset.test_ids)[0]]


def _join(records: Sequence[Record]) -> Record:
  """Return what parties hold together, their numbers side by side."""
  first = records[0]
  if len(records) == 1:
    return first
  return Record(
    intermediate=first.intermediate,
    vectors=np.concatenate([one.flat for one in records], axis=1),
    sample_ids=first.sample_ids,
    steps=first.steps,
    metadata=first.metadata,
  )


def _average(records: Sequence[Record], unit: str) -> Record:
  """Return each sample's mean over passes; a single pass is left as it is."""
  first = records[0]
  if len(records) == 1:
    return first
  ids, vectors = attacks.average_by_sample(
    np.stack([one.flat for one in records]),
    np.stack([one.sample_ids for one in records]),
    unit=unit,
  )
  return Record(
    intermediate=first.intermediate,
    vectors=np.asarray(vectors).reshape(-1, *first.vectors.shape[1:]),
    sample_ids=np.asarray(ids),
    steps=np.zeros(len(ids), dtype=np.int32),
    metadata={**first.metadata, 'num_passes': len(records)},
  )


@functools.lru_cache(maxsize=2)
def _no_leak_records(
  dataset: Dataset, extractor: Extractor | None
) -> dict[str, Record]:
  """Return what an attacker has without split learning, by phase.

  Args:
    dataset: whose inputs.
    extractor: makes features of them; None for the inputs themselves.

  Returns:
    A record for each phase, as if it were smashed data.
  """
  if extractor is not None:
    vectors = extractor.extract(dataset)
  else:
    vectors = dict(zip(Phase, data.raw_vectors(dataset), strict=True))
  return {
    phase: Record(
      intermediate=Name.SMASHED.value,
      vectors=vectors[phase],
      sample_ids=ids_of(dataset, phase),
      steps=np.zeros(len(vectors[phase]), dtype=np.int32),
      metadata={'dataset': dataset.name, 'phase': phase.value},
    )
    for phase in Phase
  }
