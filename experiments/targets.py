"""What is attacked: views for the attacker, truth for the metrics."""

from collections.abc import Collection, Sequence
import functools
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments import defense_plan
from experiments import observations
from experiments import problems
from splitjax import attacks
from splitjax import data
from splitjax import evaluation
from splitjax import recording
from splitjax import viewing


class Source(NamedTuple):
  """Where the figures of a setting come from.

  Attributes:
    observed: what crossed the cuts, one for each seed.
    auxiliary: the auxiliary samples of each seed.
    plan: the defenses that were at work.
    cut: which of the model's cuts, from 0.
    epoch: whose cut gradients, from 1.
    num_passes: from there on, over how many passes a sample's are averaged.
  """

  observed: Sequence[observations.Observed]
  auxiliary: Sequence[viewing.Auxiliary]
  plan: defense_plan.Plan
  cut: int = 0
  epoch: int = 1
  num_passes: int = 1

  def monitored(self) -> Any:
    """What the label parties noted in that epoch; leaves `[S, T]`."""
    noted = [one.monitored.get(self.epoch) for one in self.observed]
    return jax.tree.map(lambda *x: np.stack(x), *noted)

  def cut_grads(self) -> list[recording.Record]:
    """The cut gradients that are attacked, one record for each seed."""
    passes = range(self.epoch, self.epoch + self.num_passes)
    return [
      _average(
        [one.cut_grads[epoch][self.cut] for epoch in passes],
        self.plan.averaged or 'pass',
      )
      for one in self.observed
    ]


class Target(NamedTuple):
  """What is attacked, and what only the metrics may see.

  Attributes:
    view: all that an attacker may read, with leading axes of trials. What it
      knows of its `own` is granted attack by attack, see `grant`.
    truth: the true labels of the view's rows, `[S, 1, N]`.
    scored: which of them count, `[S, R, N]`.
  """

  view: viewing.View
  truth: np.ndarray
  scored: np.ndarray


def _own(source, index, features, view, granted):
  """What a client knows of the training set, in the order of `features`."""
  ids = features.sample_ids
  in_order = lambda record: record.vectors[
    viewing.rows_of(ids, record.sample_ids)[0]
  ]
  received = {
    'features': lambda: features.vectors,
    'cut_grads': lambda: in_order(source.cut_grads()[index]),
    'sent': lambda: in_order(
      source.observed[index].sent[source.epoch][source.cut]
    ),
  }
  return viewing.Own(
    **{name: received[name]() for name in granted},
    aux_rows=viewing.rows_of(view.aux_ids, ids)[0],
  )


def _average(records, unit):
  """The mean of each sample over passes; a single pass is left as it is."""
  first = records[0]
  if len(records) == 1:
    return first
  ids, vectors = attacks.average_by_sample(
    np.stack([one.vectors for one in records]),
    np.stack([one.sample_ids for one in records]),
    unit=unit,
  )
  return recording.Record(
    intermediate=first.intermediate,
    vectors=np.asarray(vectors),
    sample_ids=np.asarray(ids),
    steps=np.zeros(len(ids), dtype=np.int32),
    metadata={**first.metadata, 'num_passes': len(records)},
  )


@functools.lru_cache(maxsize=1)
def raw_inputs(dataset: data.Dataset) -> dict[str, recording.Record]:
  """The inputs themselves as if they were smashed data: a baseline.

  Args:
    dataset: whose inputs.

  Returns:
    A record for each phase.
  """
  ids = (dataset.train_ids, dataset.test_ids)
  return {
    phase: recording.Record(
      intermediate='smashed',
      vectors=vectors,
      sample_ids=sample_ids,
      steps=np.zeros(len(sample_ids), dtype=np.int32),
      metadata={'dataset': dataset.name, 'phase': phase},
    )
    for phase, vectors, sample_ids in zip(
      observations.PHASES, data.raw_vectors(dataset), ids, strict=True
    )
  }


def draw_auxiliary(
  problem: problems.Problem, num_per_class: int | None = None
) -> list[viewing.Auxiliary]:
  """Auxiliary samples from the training set, one set of draws for each seed.

  Args:
    problem: whose.
    num_per_class: the configuration's own by default.

  Returns:
    One for each seed.
  """
  config, dataset = problem.config, problem.dataset
  return [
    viewing.sample_auxiliary(
      (config.seed, index),
      dataset.train_ids,
      dataset.train_labels,
      num_classes=dataset.num_classes,
      num_per_class=num_per_class or config.num_aux,
      num_draws=config.num_aux_draws,
    )
    for index in range(config.num_seeds)
  ]


def grant(view: viewing.View, granted: Sequence[str]) -> viewing.View:
  """A view with only that of its `own` knowledge that an attack is granted."""
  if view.own is None or not granted:
    return view.replace(own=None)
  fields = {name: getattr(view.own, name) for name in granted}
  return view.replace(own=viewing.Own(**fields, aux_rows=view.own.aux_rows))


def make_target(
  dataset: data.Dataset,
  source: Source,
  phase: str,
  intermediate: str,
  *,
  center_smashed: bool = False,
  granted: Collection[str] = (),
) -> Target:
  """What an attacker reads in one place.

  Args:
    dataset: what was trained on.
    source: what was observed, and what the attacker knows.
    phase: 'training' or 'inference'.
    intermediate: 'cut_grads' (training only), 'smashed', 'untrained_smashed' or
      'raw_inputs'. Raw inputs do not depend on the seed of the model: there,
      all draws count as of one seed.
    center_smashed: whether the attacker centres all but gradients.
    granted: fields of `viewing.Own` that some attack is granted.

  Returns:
    The target.
  """
  auxiliary = source.auxiliary
  if intermediate == 'cut_grads':
    records = aux_records = source.cut_grads()
  elif intermediate == 'raw_inputs':
    raw = raw_inputs(dataset)
    records, aux_records = [raw[phase]], [raw['training']]
    auxiliary = [jax.tree.map(lambda *x: np.concatenate(x), *auxiliary)]
  else:
    records, aux_records = (
      [getattr(one, intermediate)[which][source.cut] for one in source.observed]
      for which in (phase, 'training')
    )
  views = [
    viewing.make_view(
      record,
      aux,
      num_classes=dataset.num_classes,
      aux_record=aux_record,
      center=center_smashed and intermediate != 'cut_grads',
    )
    for record, aux, aux_record in zip(
      records, auxiliary, aux_records, strict=True
    )
  ]
  if intermediate in ('untrained_smashed', 'raw_inputs'):
    granted = {'features'}.intersection(granted)  # No leak: no gradients.
  if granted:
    views = [
      view.replace(own=_own(source, index, aux_record, view, granted))
      for index, (view, aux_record) in enumerate(
        zip(views, aux_records, strict=True)
      )
    ]
  view = evaluation.stack_views(views)
  return Target(
    view=view,
    truth=dataset.labels_by_id[view.sample_ids][:, None],
    scored=np.stack([viewing.scored_mask(one) for one in views]),
  )
