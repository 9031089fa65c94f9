r"""Time of a K-means iteration and of nearest labels, by samples and classes.

  python -m benchmarks.scaling --plot=benchmarks/scaling.png

prints the medians and draws them on logarithmic axes, beside a line of slope
one. About three minutes on two cores.
"""

from collections.abc import Sequence

from absl import app
from absl import flags
import jax
import jax.numpy as jnp
from matplotlib import axes as axes_lib
from matplotlib import figure
import numpy as np

from benchmarks import timing
from splitjax import attacks

_PLOT = flags.DEFINE_string('plot', None, 'PNG file to draw, if any.')
_WIDTH, _ITERS = 64, 10
_SAMPLES = (1_000, 3_162, 10_000, 31_623, 100_000, 316_228, 1_000_000)
_CLASSES = (2, 4, 8, 16, 32, 64, 128, 256)


def measure(num_samples: int, num_classes: int) -> dict[str, float]:
  """Return the milliseconds that both kernels take."""
  rng = np.random.default_rng(0)
  vectors = jnp.asarray(
    rng.standard_normal((num_samples, _WIDTH), dtype=np.float32)
  )
  init, labels = vectors[:num_classes], jnp.arange(num_classes)
  medians = timing.medians_ms(
    {
      'K-means iteration': lambda: attacks.kmeans(
        vectors, init, max_iters=_ITERS, tol=0.0
      ),
      'nearest labels': lambda: attacks.nearest_labels(vectors, init, labels),
    },
    timing.REPEATS.value,
  )
  medians['K-means iteration'] /= _ITERS  # Shuffled noise takes them all.
  return medians


def _draw(
  axes: axes_lib.Axes,
  sizes: Sequence[int],
  rows: Sequence[dict[str, float]],
  name: str,
) -> None:
  """Draw the times of all kernels against a size, called `name`."""
  for kernel in rows[0]:
    axes.loglog(sizes, [row[kernel] for row in rows], marker='o', label=kernel)
  last = rows[-1]['K-means iteration']
  line = [last * size / sizes[-1] for size in sizes]
  axes.loglog(sizes, line, color='gray', linestyle=':', label='linear')
  axes.set_xlabel(name)
  axes.set_ylabel('milliseconds')
  axes.spines[['top', 'right']].set_visible(False)


def _plot(
  path: str,
  by_samples: Sequence[dict[str, float]],
  by_classes: Sequence[dict[str, float]],
) -> None:
  """Draw both series of times into a PNG file."""
  canvas = figure.Figure(figsize=(9, 3.6), dpi=150, layout='constrained')
  left, right = canvas.subplots(1, 2)
  _draw(left, _SAMPLES, by_samples, f'samples (width {_WIDTH}, 10 classes)')
  _draw(right, _CLASSES, by_classes, f'classes (51,200 x {_WIDTH})')
  left.legend(frameon=False)
  device = jax.devices()[0].device_kind
  canvas.suptitle(f'Time of the kernels on {device}')
  canvas.savefig(path, metadata={'Software': None})


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError('Too many command-line arguments.')
  by_samples = [measure(size, 10) for size in _SAMPLES]
  by_classes = [measure(51_200, size) for size in _CLASSES]
  if _PLOT.value:
    _plot(_PLOT.value, by_samples, by_classes)
  sizes = [(size, 10) for size in _SAMPLES]
  sizes += [(51_200, size) for size in _CLASSES]
  timing.show(
    {'samples': samples, 'classes': classes, **row}
    for (samples, classes), row in zip(
      sizes, by_samples + by_classes, strict=True
    )
  )


if __name__ == '__main__':
  app.run(main)
