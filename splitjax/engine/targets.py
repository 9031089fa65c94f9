"""What is attacked: views for the attacker, truth for the metrics."""

from collections.abc import Collection, Sequence
import functools
from typing import Any, NamedTuple

import jax
import numpy as np

from splitjax.data.dataset import Dataset
from splitjax.engine.problems import Problem
from splitjax.engine.sources import Source
from splitjax.engine.trials import stack_views
from splitjax.records import viewing
from splitjax.records.intermediates import Name
from splitjax.records.intermediates import Phase
from splitjax.records.intermediates import granted_with
from splitjax.records.recording import Record
from splitjax.records.viewing import Auxiliary
from splitjax.records.viewing import View
from splitjax.training.countering import Counter


class Target(NamedTuple):
  """What is attacked, and what only the metrics may see.

  Attributes:
    view: all that an attacker may read, with leading axes of trials. What it
      knows of its `own` is granted attack by attack, see `grant`.
    truth: the true labels of the view's rows, `[S, 1, N]`.
    scored: which of them count, `[S, R, N]`.
  """

  view: View
  truth: np.ndarray
  scored: np.ndarray


def draw_auxiliary(problem: Problem, num_aux: int) -> list[Auxiliary]:
  """Draw auxiliary samples from the training set, anew for each seed.

  Canaries are not among them.

  Args:
    problem: what is trained.
    num_aux: samples of each class; of real targets, samples in all.

  Returns:
    One set of draws for each seed.
  """
  config, dataset = problem.config, problem.dataset
  ids, classes = dataset.train_ids, dataset.train_labels
  if problem.canaries is not None:
    known = ~np.isin(ids, problem.canaries.ids)
    ids, classes = ids[known], classes[known]
  if dataset.is_real:
    classes = np.zeros_like(ids)  # Any sample may be known, as of one class.
  drawn = [
    viewing.sample_auxiliary(
      (config.seed, index),
      ids,
      classes,
      num_classes=dataset.num_classes or 1,
      num_per_class=num_aux,
      num_draws=config.num_aux_draws,
    )
    for index in range(config.num_seeds)
  ]
  if not dataset.is_real:
    return drawn
  truth = dataset.labels_by_id.astype(np.float32)
  return [one.replace(labels=truth[one.ids]) for one in drawn]


def grant(view: View, granted: Sequence[Name]) -> View:
  """Return a view with only that of its own knowledge that is granted."""
  if view.own is None:
    return view
  fields = {
    name: getattr(view.own, name)
    for name in granted
    if getattr(view.own, name) is not None
  }
  if not fields:
    return view.replace(own=None)
  return view.replace(
    own=viewing.Own(
      **fields,
      aux_rows=view.own.aux_rows,
      new_samples=view.own.new_samples,
    )
  )


def make_target(
  dataset: Dataset,
  source: Source,
  phase: str,
  name: str,
  *,
  center_smashed: bool = False,
  granted: Collection[Name] = (),
) -> Target:
  """Return what an attacker reads in one place.

  Args:
    dataset: what was trained on.
    source: what was observed, and what the attacker knows.
    phase: 'training' or 'inference'.
    name: the intermediate. Raw inputs do not depend on the seed of the model:
      there, all draws count as of one seed.
    center_smashed: whether the attacker centres all but gradients.
    granted: fields of `viewing.Own` that some attack is granted.

  Returns:
    The target.
  """
  gradients = name == Name.CUT_GRADS
  records = source.records(dataset, phase, name)
  aux_records = (
    records
    if gradients
    else source.records(dataset, Phase.TRAINING.value, name)
  )
  if gradients and dataset.is_real:
    records = aux_records = [_per_sample(record) for record in records]
  auxiliary = source.auxiliary
  if len(records) == 1 and name in (Name.RAW_INPUTS, Name.NONE):
    auxiliary = [jax.tree.map(lambda *x: np.concatenate(x), *auxiliary)]
  views = [
    viewing.make_view(
      record,
      aux,
      num_classes=dataset.num_classes,
      aux_record=aux_record,
      center=center_smashed and not gradients,
    )
    for record, aux, aux_record in zip(
      records, auxiliary, aux_records, strict=True
    )
  ]
  known = frozenset(granted) & granted_with(name)
  if known:
    views = [
      view.replace(
        own=_own(dataset, source, name, index, aux_record, view, known).replace(
          new_samples=phase != Phase.TRAINING
        )
      )
      for index, (view, aux_record) in enumerate(
        zip(views, aux_records, strict=True)
      )
    ]
  view = stack_views(views)
  counted = np.isin(view.sample_ids, source.counted_ids(dataset, phase))
  return Target(
    view=view,
    truth=dataset.labels_by_id[view.sample_ids][:, None],
    scored=np.stack([viewing.scored_mask(one) for one in views])
    & counted[:, None],
  )


def _own(
  dataset: Dataset,
  source: Source,
  name: str,
  seed: int,
  features: Record,
  view: View,
  granted: Collection[Name],
) -> viewing.Own:
  """Return what a client knows of the training set, in the features' order."""
  ids = features.sample_ids
  kept = source.observed[seed]

  def in_order(record: Record) -> np.ndarray:
    return record.flat[viewing.rows_of(ids, record.sample_ids)[0]]

  def passes() -> viewing.Passes:
    found = source.passes_of(seed, ids, name)
    has_inputs = source.parties or source.model.num_parts == 2
    of_use = found.num_merged or Counter.MISSING in found.counters
    if not (of_use and has_inputs):
      return found  # In the middle of three parts there are no inputs.
    of_phase = functools.partial(source.records, dataset)
    (own,) = of_phase(Phase.TRAINING.value, Name.RAW_INPUTS)
    (new,) = of_phase(Phase.INFERENCE.value, Name.RAW_INPUTS)
    rows, are_new = viewing.rows_of(view.sample_ids, new.sample_ids)
    return found.replace(
      inputs=in_order(own), new_inputs=new.flat[rows] if are_new.all() else None
    )

  received = {
    Name.FEATURES: lambda: features.flat,
    Name.CUT_GRADS: lambda: in_order(source.cut_grads()[seed]),
    Name.PASSES: passes,
    Name.SENT: lambda: in_order(source.of_view(kept.sent[source.epoch])),
    Name.ONLINE: lambda: in_order(source.of_view(kept.online[source.epoch])),
    Name.SHARES: lambda: (
      np.bincount(dataset.train_labels, minlength=dataset.num_classes)
      / len(dataset.train_labels)
    ).astype(np.float32),
    Name.EXTRACTOR: functools.partial(
      source.extractor_of, dataset, name, seed, ids, view.sample_ids
    ),
  }
  fields: dict[str, Any] = {one.value: received[one]() for one in granted}
  fields['aux_rows'] = viewing.rows_of(view.aux_ids, ids)[0]
  return viewing.Own(**fields)


def _per_sample(record: Record) -> Record:
  """Return gradients of each sample's own loss, not of its batch's mean.

  The attacker made the batches. A last one of a single sample has gradients as
  many times as large as a batch has samples, which no linear attack survives.
  """
  sizes = np.bincount(record.steps)[record.steps]
  shape = (-1,) + (1,) * (record.vectors.ndim - 1)
  vectors = record.vectors * sizes.reshape(shape)
  return Record(
    intermediate=record.intermediate,
    vectors=vectors.astype(record.vectors.dtype),
    sample_ids=record.sample_ids,
    steps=record.steps,
    metadata=record.metadata,
  )
