r"""Times a training step against PyTorch, on the CPU.

  python -m benchmarks.throughput --model=simple_net

trains the same network, cut at the same layer and with its cut gradients
recorded, as our compiled epoch and as a loop in PyTorch (images in its default
layout, and channels last), in turns in one run. It prints the median seconds of
a step of each, and their ratio to ours (above 1: ours is faster). Seven minutes
on two cores, ResNet18 one. With --json it prints one JSON object instead.
PyTorch comes with `pip install -e '.[bench]'`.
"""

from collections.abc import Callable, Sequence
import functools
import json
import os
import sys
import time
from typing import Any, NamedTuple

from absl import app
from absl import flags
import jax
import jax.numpy as jnp
import numpy as np
import optax
import tabulate

from benchmarks import torch_networks
from splitjax import models
from splitjax import training
from splitjax.models import layering
from splitjax.training import split

torch = torch_networks.torch

# Network, main cut, channels of an image.
_MODELS = {
  'simple_net': (models.simple_net, 50, 1),
  'resnet18': (models.resnet18, 12, 3),
}
_NUM_CLASSES = 10
_SIZE = 32
_LEARNING_RATE = 0.01

_MODEL = flags.DEFINE_enum('model', 'simple_net', list(_MODELS), 'The network.')
_BATCH_SIZE = flags.DEFINE_integer(
  'batch_size', 128, 'Images of a step.', lower_bound=2
)
# Each call of the compiled epoch takes memory for its temporaries anew, which
# costs up to a second. A pass of 10,240 images pays it once in 80 steps.
_NUM_STEPS = flags.DEFINE_integer(
  'num_steps',
  16,
  'Steps of an epoch. XLA would compile a single one without a loop.',
  lower_bound=2,
)
_ROUNDS = flags.DEFINE_integer(
  'rounds', 3, 'Timed epochs of each; the median counts.', lower_bound=1
)
_JSON = flags.DEFINE_boolean('json', False, 'Whether to print JSON.')

Layers = tuple[layering.Layer, ...]
Epoch = Callable[[], object]


class Timing(NamedTuple):
  """Seconds a step: median and range; and how many times ours that is."""

  case: str
  parameters: int
  median_s: float
  fastest_s: float
  slowest_s: float
  ratio: float


def make_images(
  num_images: int, channels: int
) -> tuple[np.ndarray, np.ndarray]:
  """Return random images `[N, H, W, C]` and labels `[N]`."""
  rng = np.random.default_rng(0)
  inputs = rng.normal(size=(num_images, _SIZE, _SIZE, channels))
  labels = rng.integers(0, _NUM_CLASSES, num_images)
  return inputs.astype(np.float32), labels.astype(np.int32)


def jax_epoch(
  network: Layers,
  cut: int,
  inputs: np.ndarray,
  labels: np.ndarray,
  batch_size: int,
) -> tuple[Epoch, int]:
  """Return our epoch, which continues the last one, and how many parameters."""
  model = split.SplitModel(network, (cut,))
  kwargs = dict(
    model=model, optimizers=(optax.sgd(_LEARNING_RATE),) * len(model.bounds)
  )
  init_fn = jax.jit(functools.partial(training.init, **kwargs))
  train_state = init_fn(jax.random.key(0), inputs[:1])
  epoch_fn = jax.jit(
    functools.partial(
      training.train_epoch,
      batch_size=batch_size,
      record_fn=lambda exchanges: exchanges[0].cut_grads,
      **kwargs,
    )
  )
  inputs, labels, key = (
    jnp.asarray(inputs),
    jnp.asarray(labels),
    jax.random.key(1),
  )

  def run() -> object:
    nonlocal train_state, key
    key, key_epoch = jax.random.split(key)
    train_state, log = epoch_fn(key_epoch, train_state, inputs, labels)
    return jax.block_until_ready((train_state, log))[1]

  return run, sum(x.size for x in jax.tree.leaves(train_state.params))


def torch_epoch(
  network: Layers,
  cut: int,
  inputs: np.ndarray,
  labels: np.ndarray,
  batch_size: int,
  memory_format: Any,
) -> tuple[Epoch, int]:
  """Return an epoch in PyTorch of both parties, and how many parameters.

  The two exchange the smashed data and their gradients, as ours do.
  """
  translated = torch_networks.to_torch(network, inputs.shape[1:])
  parties = translated[:cut], translated[cut:]
  for party in parties:
    party.to(memory_format=memory_format).train()
  optimizers = [
    torch.optim.SGD(party.parameters(), lr=_LEARNING_RATE) for party in parties
  ]
  loss_fn = torch.nn.CrossEntropyLoss()
  images = torch.from_numpy(inputs).permute(0, 3, 1, 2)
  images = images.contiguous(memory_format=memory_format)
  labels = torch.from_numpy(labels).long()

  def step(batch: 'torch.Tensor') -> 'torch.Tensor':
    for optimizer in optimizers:
      optimizer.zero_grad()
    smashed = parties[0](images[batch])
    received = smashed.detach().requires_grad_()
    loss_fn(parties[1](received), labels[batch]).backward()
    smashed.backward(received.grad)
    for optimizer in optimizers:
      optimizer.step()
    return received.grad

  def run() -> object:
    batches = torch.randperm(len(labels)).split(batch_size)
    return torch.cat([step(batch) for batch in batches])

  return run, sum(p.numel() for party in parties for p in party.parameters())


def time_in_turns(
  epochs: dict[str, tuple[Epoch, int]], num_steps: int, rounds: int
) -> list[Timing]:
  """Run each once unmeasured, then all in turns, and return a row for each."""
  seconds = {case: [] for case in epochs}
  for run, _ in epochs.values():
    run()
  for _ in range(rounds):
    for case, (run, _) in epochs.items():
      start = time.perf_counter()
      run()
      seconds[case].append((time.perf_counter() - start) / num_steps)
  medians = {case: float(np.median(found)) for case, found in seconds.items()}
  ours = next(iter(medians.values()))
  return [
    Timing(
      case,
      epochs[case][1],
      medians[case],
      min(seconds[case]),
      max(seconds[case]),
      medians[case] / ours,
    )
    for case in epochs
  ]


def use_all_cores() -> int:
  """Run both on the CPU, on as many cores as this process may use."""
  jax.config.update('jax_platforms', 'cpu')
  affinity = getattr(os, 'sched_getaffinity', None)
  num_cores = len(affinity(0)) if affinity else os.cpu_count()
  torch.set_num_threads(num_cores)
  return num_cores


def main(argv: Sequence[str]) -> int | None:
  if len(argv) > 1:
    raise app.UsageError('Too many command-line arguments.')
  if torch is None:
    print(torch_networks.MISSING, file=sys.stderr)
    return 2
  num_cores = use_all_cores()
  torch.manual_seed(0)
  make_network, cut, channels = _MODELS[_MODEL.value]
  num_images = _NUM_STEPS.value * _BATCH_SIZE.value
  images = make_images(num_images, channels)
  args = (make_network(_NUM_CLASSES), cut, *images, _BATCH_SIZE.value)
  timings = time_in_turns(
    {
      'ours': jax_epoch(*args),
      'PyTorch': torch_epoch(*args, torch.contiguous_format),
      'PyTorch, channels last': torch_epoch(*args, torch.channels_last),
    },
    _NUM_STEPS.value,
    _ROUNDS.value,
  )
  rows = [timing._asdict() for timing in timings]
  if not _JSON.value:
    print(tabulate.tabulate(rows, headers='keys', floatfmt='.3g'))
    return None
  about = {
    'jax': jax.__version__,
    'torch': torch.__version__,
    'cores': num_cores,
  } | {f.name: f.value for f in (_MODEL, _BATCH_SIZE, _NUM_STEPS, _ROUNDS)}
  print(json.dumps(about | {'timings': rows}))
  return None


if __name__ == '__main__':
  app.run(main)
