r"""What the random projection of wide cuts costs, in time and in accuracy.

  python -m benchmarks.projection

prints how long the projection of vectors as wide as SimpleNet's cut 18 takes,
against the incremental PCA of scikit-learn that the authors' code uses. With
--record=DIR, a record that `--save_records` left, it also prints what the
attacks read of it through projections of several widths, and unprojected.
"""

from collections.abc import Sequence
import dataclasses
import json
import time

from absl import app
from absl import flags
import jax
import jax.numpy as jnp
import numpy as np
from sklearn import decomposition
import tabulate

from splitjax import data
from splitjax import metrics
from splitjax.attacks import catalog as attack_catalog
from splitjax.data import sets
from splitjax.engine import trials
from splitjax.records import projection
from splitjax.records import recording
from splitjax.records import viewing

_JSON = flags.DEFINE_boolean('json', False, 'Whether to print JSON.')
_NUM_VECTORS = flags.DEFINE_integer('num_vectors', 1024, 'How many vectors.')
_FEATURES = flags.DEFINE_integer('num_features', 32768, 'How wide they are.')
_RECORD = flags.DEFINE_string('record', None, 'Folder of a record to attack.')
_WIDTHS = flags.DEFINE_list(
  'widths', ['256', '512', '1024', '2048', '3072'], 'Widths to project it to.'
)
_REPEATS = flags.DEFINE_integer(
  'num_projections', 3, 'Projections drawn for each width.', lower_bound=1
)
_DRAWS = flags.DEFINE_integer('num_aux_draws', 20, 'Draws of known samples.')
_BATCH = 128
_PCA_WIDTH = 512  # The authors' choice.


def time_projection() -> list[dict]:
  """Time ours, batch by batch, and the authors' PCA, once each."""
  shape = (_NUM_VECTORS.value, _FEATURES.value)
  vectors = np.random.default_rng(0).normal(size=shape).astype(np.float32)
  rows = []
  for width in (_PCA_WIDTH, 4096):
    drawn = projection.draw(
      jax.random.key(0), num_features=shape[1], width=width
    )
    batches = jnp.asarray(vectors).reshape(-1, _BATCH, shape[1])
    project_fn = jax.jit(
      lambda x, drawn=drawn: jax.lax.map(
        lambda batch: projection.project(drawn, batch), x
      )
    )
    jax.block_until_ready(project_fn(batches))
    start = time.perf_counter()
    jax.block_until_ready(project_fn(batches))
    rows.append(
      {
        'what': f'random projection to {width}',
        'seconds': time.perf_counter() - start,
      }
    )
  pca = decomposition.IncrementalPCA(_PCA_WIDTH, batch_size=_PCA_WIDTH)
  start = time.perf_counter()
  pca.fit(vectors)
  pca.transform(vectors)
  seconds = time.perf_counter() - start
  rows.append({'what': f'incremental PCA to {_PCA_WIDTH}', 'seconds': seconds})
  return [{**row, 'ratio': seconds / row['seconds']} for row in rows]


def load_data(record: recording.Record) -> data.Dataset:
  """Load the data set that a record was made of."""
  flag_values = record.metadata['flags']
  config = sets.DataConfig(
    **{
      field.name: tuple(value) if isinstance(value, list) else value
      for field in dataclasses.fields(sets.DataConfig)
      if field.name in flag_values
      for value in [flag_values[field.name]]
    }
  )
  return sets.load(config, flag_values['seed'])


def project(vectors: np.ndarray, width: int, seed: int) -> np.ndarray:
  """Return vectors `[N, D]` through a random projection to a width."""
  drawn = projection.draw(
    jax.random.key(seed), num_features=vectors.shape[1], width=width
  )
  return np.asarray(jax.jit(projection.project)(drawn, vectors))


def accuracy_by_width() -> list[dict]:
  """Return what the attacks read of a record, by the width of its vectors."""
  record = recording.load_record(_RECORD.value)
  dataset = load_data(record)
  truth = dataset.labels_by_id[record.sample_ids]
  auxiliary = viewing.sample_auxiliary(
    0,
    record.sample_ids,
    truth,
    num_classes=dataset.num_classes,
    num_draws=_DRAWS.value,
  )
  full = np.asarray(record.vectors)
  rows = []
  for width in [*map(int, _WIDTHS.value), full.shape[1]]:
    projected = [full]
    if width < full.shape[1]:
      projected = [project(full, width, i) for i in range(_REPEATS.value)]
    views = [
      viewing.make_view(
        dataclasses.replace(record, vectors=vectors),
        auxiliary,
        num_classes=dataset.num_classes,
      )
      for vectors in projected
    ]
    found = attack(views, truth, dataset.num_classes)
    rows.append({'width': width} | found)
  return rows


def attack(
  views: list[viewing.View], truth: np.ndarray, num_classes: int
) -> dict[str, str]:
  """Return the accuracy of each attack, and its interval, in percent."""
  view = trials.stack_views(views)
  scored = np.stack([viewing.scored_mask(one) for one in views])
  row = {}
  for name in ('distance', 'clustering'):
    answer = trials.predict(
      attack_catalog.ATTACKS[name].fn, jax.random.key(0), view
    )
    confusion = metrics.confusion_matrices(
      answer.labels, truth, scored, num_classes=num_classes
    )
    values = metrics.accuracy(confusion)
    low, high = metrics.interval(values)
    row[name] = f'{100 * values.mean():.1f} [{100 * low:.1f}, {100 * high:.1f}]'
  return row


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError('Too many command-line arguments.')
  tables = {'time': time_projection()}
  if _RECORD.value:
    tables['accuracy'] = accuracy_by_width()
  if _JSON.value:
    print(json.dumps(tables))
    return
  for rows in tables.values():
    print(tabulate.tabulate(rows, headers='keys', floatfmt='.3g'), '\n')


if __name__ == '__main__':
  app.run(main)
