"""What is attacked: views for the attacker, truth for the metrics."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from experiments import pipeline
from splitjax import data
from splitjax import evaluation
from splitjax import metrics
from splitjax import recording


def raw_inputs(dataset: data.Dataset) -> dict[str, recording.Record]:
  """The inputs themselves as if they were smashed data: a baseline.

  Args:
    dataset: whose inputs.

  Returns:
    A record for each phase.
  """
  rows = {
    'training': (dataset.train_inputs, dataset.train_ids),
    'inference': (dataset.test_inputs, dataset.test_ids),
  }
  return {
    phase: recording.Record(
      intermediate='smashed',
      vectors=inputs,
      sample_ids=ids,
      steps=np.zeros(len(ids), dtype=np.int32),
      metadata={'dataset': dataset.name, 'phase': phase},
    )
    for phase, (inputs, ids) in rows.items()
  }


def draw_auxiliary(
  dataset: data.Dataset,
  *,
  seed: int,
  num_seeds: int,
  num_per_class: int,
  num_draws: int,
) -> list[recording.Auxiliary]:
  """Auxiliary samples from the training set, one set of draws for each seed."""
  return [
    recording.sample_auxiliary(
      (seed, index),
      dataset.train_ids,
      dataset.train_labels,
      num_classes=dataset.num_classes,
      num_per_class=num_per_class,
      num_draws=num_draws,
    )
    for index in range(num_seeds)
  ]


class Target(NamedTuple):
  """What is attacked, and what only the metrics may see.

  Attributes:
    view: all that the attacker may read, with leading axes of trials.
    truth: the true labels of the view's rows, `[S, 1, N]`.
    scored: which of them count, `[S, R, N]`.
  """

  view: recording.View
  truth: np.ndarray
  scored: np.ndarray


def make_targets(
  dataset: data.Dataset,
  observed: Sequence[pipeline.Observed],
  auxiliary: Sequence[recording.Auxiliary],
  *,
  center_smashed: bool = False,
) -> dict[tuple[str, str], Target]:
  """All that can be attacked of what was observed, and the two baselines.

  Args:
    dataset: what was trained on.
    observed: one for each seed.
    auxiliary: the auxiliary samples of each seed.
    center_smashed: whether the attacker centres smashed data.

  Returns:
    Targets by phase and intermediate: 'cut_grads' (training only), 'smashed',
    'untrained_smashed', 'raw_inputs'. Raw inputs do not depend on the seed of
    the model: there, all draws count as of one seed.
  """

  def target(records, aux_records, auxiliary, center):
    views = [
      recording.make_view(
        record,
        aux,
        num_classes=dataset.num_classes,
        aux_record=aux_record,
        center=center,
      )
      for record, aux, aux_record in zip(
        records, auxiliary, aux_records, strict=True
      )
    ]
    view = evaluation.stack_views(views)
    return Target(
      view=view,
      truth=dataset.labels_by_id[view.sample_ids][:, None],
      scored=np.stack([recording.scored_mask(one) for one in views]),
    )

  grads = [one.cut_grads for one in observed]
  raw = raw_inputs(dataset)
  together = [jax.tree.map(lambda *draws: np.concatenate(draws), *auxiliary)]
  result = {('training', 'cut_grads'): target(grads, grads, auxiliary, False)}
  for phase in pipeline.PHASES:
    for name in ('smashed', 'untrained_smashed'):
      records, aux_records = (
        [getattr(one, name)[which] for one in observed]
        for which in (phase, 'training')
      )
      result[phase, name] = target(
        records, aux_records, auxiliary, center_smashed
      )
    result[phase, 'raw_inputs'] = target(
      [raw[phase]], [raw['training']], together, center_smashed
    )
  return result


def utility(
  dataset: data.Dataset, observed: Sequence[pipeline.Observed], phase: str
) -> np.ndarray:
  """The trained models' own confusion matrices, `[S, 1, C, C]`."""
  matrices = [
    metrics.confusion_matrices(
      one.predictions[phase],
      dataset.labels_by_id[one.smashed[phase].sample_ids],
      num_classes=dataset.num_classes,
    )
    for one in observed
  ]
  return np.stack(matrices)[:, None]
