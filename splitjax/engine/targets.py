"""What is attacked: views for the attacker, truth for the metrics."""

from collections.abc import Collection, Sequence
import functools
from typing import Any, NamedTuple

import jax
import numpy as np

from splitjax import attacks
from splitjax import data
from splitjax.defenses import plan as defense_plan
from splitjax.engine import extractors
from splitjax.engine import observations
from splitjax.engine import problems
from splitjax.engine import trials
from splitjax.records import recording
from splitjax.records import viewing
from splitjax.training import split


class Source(NamedTuple):
  """Where the figures of a setting come from.

  Attributes:
    observed: what crossed the cuts, one for each seed.
    auxiliary: the auxiliary samples of each seed.
    plan: the defenses that were at work.
    model: what was trained.
    extractor: a network that the attacker owns beside its client, if any.
    cut: which of the model's cuts, from 0.
    epoch: whose cut gradients, from 1.
    num_passes: from there on, over how many passes a sample's are averaged.
  """

  observed: Sequence[observations.Observed]
  auxiliary: Sequence[viewing.Auxiliary]
  plan: defense_plan.Plan
  model: split.SplitModel
  extractor: extractors.Extractor | None = None
  cut: int = 0
  epoch: int = 1
  num_passes: int = 1

  def monitored(self) -> Any:
    """What the label parties noted in that epoch; leaves `[S, T]`."""
    noted = [one.monitored.get(self.epoch) for one in self.observed]
    return jax.tree.map(lambda *x: np.stack(x), *noted)

  def client_fn(self) -> extractors.ApplyFn:
    """The client at that cut, as a function of its variables and inputs."""
    return extractors.client_fn(self.model, self.cut)

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


def _own(dataset, source, place, index, features, view, granted):
  """What a client knows of the training set, in the order of `features`."""
  ids = features.sample_ids
  in_order = lambda record: record.vectors[
    viewing.rows_of(ids, record.sample_ids)[0]
  ]
  received = {
    'features': lambda: features.vectors,
    'cut_grads': lambda: in_order(source.cut_grads()[index]),
    **{
      name: lambda kept=kept: in_order(kept[source.epoch][source.cut])
      for name, kept in (
        ('sent', source.observed[index].sent),
        ('online', source.observed[index].online),
      )
    },
    'extractor': lambda: _extractor(
      dataset, source, place, index, ids, view.sample_ids
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


def _extractor(dataset, source, place, index, ids, new_ids):
  """The network that made the features of a place, and inputs for it."""
  if place == 'extracted':
    variables, apply_fn = source.extractor.variables, source.extractor.apply_fn
  else:
    variables = source.observed[index].client(source.cut)
    apply_fn = source.client_fn()

  def inputs_of(ids):
    rows, found = viewing.rows_of(ids, dataset.train_ids)
    if found.all():
      return dataset.train_inputs[rows]
    return dataset.test_inputs[viewing.rows_of(ids, dataset.test_ids)[0]]

  return viewing.Extractor(
    variables, inputs_of(ids), inputs_of(new_ids), apply_fn
  )


@functools.lru_cache(maxsize=2)
def no_leak_records(
  dataset: data.Dataset, extractor: extractors.Extractor | None = None
) -> dict[str, recording.Record]:
  """What an attacker has without any split learning, as if it were smashed.

  Args:
    dataset: whose inputs.
    extractor: what makes features of them; by default the inputs themselves.

  Returns:
    A record for each phase.
  """
  if extractor is not None:
    vectors = extractor.extract(dataset)
  else:
    raw = data.raw_vectors(dataset)
    vectors = dict(zip(observations.PHASES, raw, strict=True))
  ids = {'training': dataset.train_ids, 'inference': dataset.test_ids}
  return {
    phase: recording.Record(
      intermediate='smashed',
      vectors=vectors[phase],
      sample_ids=ids[phase],
      steps=np.zeros(len(ids[phase]), dtype=np.int32),
      metadata={'dataset': dataset.name, 'phase': phase},
    )
    for phase in observations.PHASES
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
    intermediate: 'cut_grads' (training only), 'smashed', 'untrained_smashed',
      'raw_inputs' or 'extracted'. Raw inputs do not depend on the seed of the
      model: there, all draws count as of one seed.
    center_smashed: whether the attacker centres all but gradients.
    granted: fields of `viewing.Own` that some attack is granted.

  Returns:
    The target.
  """
  auxiliary = source.auxiliary
  if intermediate == 'cut_grads':
    records = aux_records = source.cut_grads()
  elif intermediate == 'raw_inputs':
    raw = no_leak_records(dataset)
    records, aux_records = [raw[phase]], [raw['training']]
    auxiliary = [jax.tree.map(lambda *x: np.concatenate(x), *auxiliary)]
  elif intermediate == 'extracted':
    found = no_leak_records(dataset, source.extractor)
    records, aux_records = (
      [found[which]] * len(auxiliary) for which in (phase, 'training')
    )
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
      view.replace(
        own=_own(
          dataset, source, intermediate, index, aux_record, view, granted
        )
      )
      for index, (view, aux_record) in enumerate(
        zip(views, aux_records, strict=True)
      )
    ]
  view = trials.stack_views(views)
  return Target(
    view=view,
    truth=dataset.labels_by_id[view.sample_ids][:, None],
    scored=np.stack([viewing.scored_mask(one) for one in views]),
  )
