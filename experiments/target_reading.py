"""How near an attacker comes to real targets: views, attacks, figures."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from experiments import regressors
from splitjax import attacks
from splitjax import data
from splitjax import metrics
from splitjax.engine import trials
from splitjax.records import recording
from splitjax.records import viewing
from splitjax.results import report

# What can be read, by phase; raw inputs are no leak.
PLACES: tuple[regressors.Place, ...] = (
  ('training', 'cut_grads'),
  ('training', 'smashed'),
  ('training', 'raw_inputs'),
  ('inference', 'smashed'),
  ('inference', 'raw_inputs'),
)


def nearest(key, view):
  """The target of the nearest known sample, by Euclidean distance."""
  del key
  which = attacks.nearest_labels(
    view.vectors,
    view.aux_vectors,
    jnp.arange(len(view.aux_labels)),
    metric='euclidean',
  )
  return trials.Answer(view.aux_labels[which])


def ridge(key, view):
  """Ridge regression on the known samples; of gradients with what was sent."""
  del key
  vectors, aux_vectors = view.vectors, view.aux_vectors
  if view.own is not None:
    aux_sent = view.own.sent[view.own.aux_rows]
    vectors = jnp.concatenate([view.own.sent, vectors], axis=1)
    aux_vectors = jnp.concatenate([aux_sent, aux_vectors], axis=1)
  return trials.Answer(
    attacks.ridge_targets(vectors, aux_vectors, view.aux_labels)
  )


def learning_based(key, view):
  """Xie et al.: dummy targets and a linear top fitted to gradients."""
  return trials.Answer(
    attacks.learning_based_targets(
      key,
      view.own.sent,
      view.vectors,
      view.own.sent[view.own.aux_rows],
      view.aux_vectors,
      view.aux_labels,
    ).targets
  )


ATTACKS: dict[str, trials.AttackFn] = {
  'nearest': nearest,
  'ridge': ridge,
  'learning_based': learning_based,
}


def attacks_of(place: regressors.Place) -> tuple[str, ...]:
  """The attacks that apply: gradients are what the learning-based one reads."""
  without = () if place[1] == 'cut_grads' else ('learning_based',)
  return tuple(name for name in ATTACKS if name not in without)


class Reader:
  """Measures what is read of the runs of one defense at one strength."""

  def __init__(
    self,
    key: jax.Array,
    dataset: data.RegressionDataset,
    observed: Sequence[regressors.Observed],
    draw_fn: Callable[[int], np.ndarray],
  ):
    """Nothing is attacked yet.

    Args:
      key: of the attacks' draws.
      dataset: what was trained on.
      observed: one for each seed.
      draw_fn: from a number of known samples to their ids, `[S, R, A]`.
    """
    self._key = key
    self._dataset = dataset
    self._observed = observed
    self._draw_fn = draw_fn

  def rows(self, cell: report.Cell) -> list[report.Row]:
    """The rows of a cell: of an attack, of the mean, or of the model."""
    seconds = None
    if cell.attack == 'model':
      predictions, truth, scored = self._model(cell.phase)
    else:
      views = self._views(cell)
      view = trials.stack_views(views)
      truth = self._dataset.targets_by_id[view.sample_ids][:, None]
      scored = np.stack([viewing.scored_mask(one) for one in views])
      if cell.attack == 'mean':
        means = view.aux_labels.mean(-1, keepdims=True)
        predictions = np.broadcast_to(means, scored.shape)
      else:
        place = PLACES.index((cell.phase, cell.intermediate))
        predictions, _, seconds, _ = trials.predict(
          ATTACKS[cell.attack], jax.random.fold_in(self._key, place), view
        )
    return report.cell_rows(
      cell,
      metrics.measure_targets(predictions, truth, scored),
      num_scored=scored[0, 0].sum(),
      seconds=seconds,
    )

  def _model(self, phase):
    """The model's own predictions, `[S, 1, N]`."""
    found = np.stack([one.answers[phase] for one in self._observed])[:, None]
    ids = _ids(self._dataset, phase)
    predictions = self._dataset.in_units(found)
    return predictions, self._dataset.targets_by_id[ids], found == found

  def _views(self, cell):
    """One for each seed; raw inputs depend on none, so all draws are of one."""
    aux_ids = self._draw_fn(cell.setting.num_aux)
    dataset, name = self._dataset, cell.intermediate
    if name in ('raw_inputs', 'none'):
      aux_ids = aux_ids.reshape(1, -1, aux_ids.shape[-1])
      records = aux_records = [_raw_inputs(dataset, cell.phase)]
      if cell.phase != 'training':
        aux_records = [_raw_inputs(dataset, 'training')]
      sent = [None]
    else:
      records, aux_records = (
        [one.records[phase, name] for one in self._observed]
        for phase in (cell.phase, 'training')
      )
      is_grads = name == 'cut_grads'
      sent = [
        one.records['training', 'sent'] if is_grads else None
        for one in self._observed
      ]
    return [
      make_view(*args, dataset)
      for args in zip(records, aux_records, sent, aux_ids, strict=True)
    ]


def make_view(
  record: recording.Record,
  aux_record: recording.Record,
  sent: recording.Record | None,
  aux_ids: np.ndarray,
  dataset: data.RegressionDataset,
) -> viewing.View:
  """Shows an attacker a record and the targets of its known samples.

  Args:
    record: what the attacker is to predict from.
    aux_record: where the known samples are found.
    sent: of cut gradients, the smashed data that they answered, in their order.
    aux_ids: the known samples, `[R, A]`.
    dataset: where their targets are taken from, and nothing else.

  Returns:
    The view; its labels are real targets in their own units.
  """
  rows, _ = viewing.rows_of(aux_ids, aux_record.sample_ids)
  own = None
  vectors, aux_source = record.vectors, aux_record.vectors
  if sent is not None:
    vectors = aux_source = per_sample(record)
    own = viewing.Own(sent=sent.vectors, aux_rows=rows)
  return viewing.View(
    vectors=vectors,
    aux_vectors=aux_source[rows],
    aux_labels=dataset.targets_by_id[aux_ids].astype(np.float32),
    sample_ids=record.sample_ids,
    aux_ids=aux_ids,
    num_classes=0,
    own=own,
  )


def per_sample(record: recording.Record) -> np.ndarray:
  """Gradients of each sample's own loss, out of those of its batch's mean.

  The attacker made the batches. A last one of a single sample has gradients as
  many times as large as a batch has samples, which no linear attack survives.

  Args:
    record: cut gradients as received.

  Returns:
    `[N, D]`.
  """
  return record.vectors * np.bincount(record.steps)[record.steps, None]


def _ids(dataset, phase):
  return {'training': dataset.train_ids, 'inference': dataset.test_ids}[phase]


def _raw_inputs(dataset, phase):
  inputs = {
    'training': dataset.train_inputs,
    'inference': dataset.test_inputs,
  }[phase]
  ids = _ids(dataset, phase)
  return recording.Record(
    intermediate='smashed',
    vectors=inputs.reshape(len(inputs), -1),
    sample_ids=ids,
    steps=np.zeros(len(ids), dtype=np.int32),
    metadata={},
  )
