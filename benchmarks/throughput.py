r"""Times a training step of the binaries against PyTorch, on the CPU.

  python -m benchmarks.throughput --model=simple_net

trains 1, 2 and 5 seeds of a network by the programs that the binaries run
(`splitjax.engine`), cut at its main cut and with its cut gradients recorded as
by default, and as a loop in PyTorch (images in its default layout, and channels
last), in turns in one run. It prints the median milliseconds of a step for one
network, and the ratio of PyTorch to ours (above 1: ours is faster). PyTorch
trains one network after the other, so its step is that of one.

--ways=one_by_one,side_by_side times several seeds both ways, whatever the
engine would choose. SimpleNet takes twenty minutes on two cores, the small
networks one. With --json it prints one JSON object instead. PyTorch comes with
`pip install -e '.[bench]'`.
"""

from collections.abc import Callable, Sequence
import os
import sys
import time
from typing import Any, NamedTuple

from absl import app
from absl import flags
import jax
import numpy as np

from benchmarks import timing
from benchmarks import torch_networks
from splitjax import data
from splitjax import engine
from splitjax.engine import problems
from splitjax.engine import programs
from splitjax.engine import recipes
from splitjax.engine import sketches
from splitjax.training import shapes

torch = torch_networks.torch

# Height and width of an image, its channels, and samples of a step.
_MODELS = {
  'mlp': (8, 1, 32),
  'conv_net': (8, 1, 32),
  'resnet18': (32, 3, 128),
  'simple_net': (32, 1, 128),
}
_NUM_CLASSES = 10
_CHOSEN = 'as chosen'
_WAYS = (_CHOSEN, 'one_by_one', 'side_by_side')

_MODEL = flags.DEFINE_enum('model', 'simple_net', list(_MODELS), 'The network.')
_BATCH_SIZE = flags.DEFINE_integer(
  'batch_size',
  None,
  'Images of a step; 32 of 8x8 pixels or 128 of 32x32 by default.',
  lower_bound=2,
)
# Each call of the compiled epoch takes memory for its temporaries anew, which
# costs up to a second. A pass of 10,240 images pays it once in 80 steps.
_NUM_STEPS = flags.DEFINE_integer(
  'num_steps',
  16,
  'Steps of an epoch. XLA would compile a single one without a loop.',
  lower_bound=2,
)
_SEEDS = flags.DEFINE_list('seeds', ['1', '2', '5'], 'Numbers of networks.')
_WAYS_ASKED = flags.DEFINE_list(
  'ways', [_CHOSEN], 'How several seeds are trained; a single one has one way.'
)

Epoch = Callable[[], object]


class Timing(NamedTuple):
  """Milliseconds of a step for one network; and PyTorch's in terms of ours."""

  case: str
  seeds: int
  way: str
  median_ms: float
  fastest_ms: float
  slowest_ms: float
  pytorch_ms: float
  ratio: float


def make_problem(model: str, batch_size: int, num_steps: int) -> Any:
  """Return a problem of random images, with enough for the steps."""
  size, channels, _ = _MODELS[model]
  rng = np.random.default_rng(0)
  num_images = batch_size * num_steps
  inputs = rng.normal(size=(num_images, size, size, channels))
  labels = np.arange(num_images) % _NUM_CLASSES
  dataset = data.from_arrays(
    inputs.astype(np.float32),
    labels,
    test_inputs=inputs[:_NUM_CLASSES].astype(np.float32),
    test_labels=labels[:_NUM_CLASSES],
  )
  return problems.check(
    engine.Config(dataset=dataset, model=model, batch_size=batch_size, epochs=1)
  )


def our_epoch(problem: Any, num_seeds: int, way: str) -> Epoch:
  """Return the engine's recorded epoch, which continues the last one."""
  recipe = recipes.recipe_of(problem)
  inputs = jax.numpy.asarray(problem.dataset.train_inputs)
  at_once = {'one_by_one': 1, 'side_by_side': num_seeds}.get(
    way, shapes.runs_at_once(problem.model, inputs[: recipe.batch_size])
  )
  key = jax.random.key(0)
  ours = programs.Programs(
    problem.model,
    recipe,
    sketches.make_sketch(key, problem.model, inputs[:1], recipe.width),
    at_once,
  )
  rates = jax.numpy.full(num_seeds, problem.config.learning_rate)
  runs = jax.random.split(key, num_seeds), programs.Hyperparameters(rates)
  states = ours.init(runs, inputs[:1])
  truth = jax.numpy.tile(problem.dataset.train_labels, (num_seeds, 1))
  labels = ours.stored_labels((*runs, states, truth), inputs)

  def run() -> object:
    nonlocal states
    states, log = ours.train((*runs, states, labels), 0, inputs, kept=True)
    return jax.block_until_ready((states, log))[1]

  return run


def torch_epoch(problem: Any, memory_format: Any) -> Epoch:
  """Return an epoch in PyTorch of both parties.

  The two exchange the smashed data and their gradients, as ours do.
  """
  inputs, config = problem.dataset.train_inputs, problem.config
  (cut,) = problem.model.cuts
  translated = torch_networks.to_torch(problem.model.layers, inputs.shape[1:])
  parties = translated[:cut], translated[cut:]
  for party in parties:
    party.to(memory_format=memory_format).train()
  optimizers = [
    torch.optim.SGD(party.parameters(), lr=config.learning_rate)
    for party in parties
  ]
  loss_fn = torch.nn.CrossEntropyLoss()
  images = torch.from_numpy(inputs).permute(0, 3, 1, 2)
  images = images.contiguous(memory_format=memory_format)
  labels = torch.from_numpy(np.asarray(problem.dataset.train_labels)).long()

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
    batches = torch.randperm(len(labels)).split(config.batch_size)
    return torch.cat([step(batch) for batch in batches])

  return run


def time_in_turns(
  epochs: dict[tuple[str, int, str], Epoch], num_steps: int, rounds: int
) -> list[Timing]:
  """Run each once unmeasured, then all in turns, and return a row for each."""
  times = {case: [] for case in epochs}
  for run in epochs.values():
    run()
  for _ in range(rounds):
    for case, run in epochs.items():
      start = time.perf_counter()
      run()
      taken = 1000 * (time.perf_counter() - start)
      times[case].append(taken / (num_steps * case[1]))
  medians = {case: float(np.median(found)) for case, found in times.items()}
  peer = min(x for case, x in medians.items() if case[0] != 'ours')
  return [
    Timing(
      *case, medians[case], min(found), max(found), peer, peer / medians[case]
    )
    for case, found in times.items()
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
  batch_size = _BATCH_SIZE.value or _MODELS[_MODEL.value][2]
  problem = make_problem(_MODEL.value, batch_size, _NUM_STEPS.value)
  epochs = {
    ('ours', num_seeds, way): our_epoch(problem, num_seeds, way)
    for num_seeds in map(int, _SEEDS.value)
    for way in (_WAYS_ASKED.value if num_seeds > 1 else [_CHOSEN])
  }
  for name, memory_format in (
    ('PyTorch', torch.contiguous_format),
    ('PyTorch, channels last', torch.channels_last),
  ):
    epochs[name, 1, ''] = torch_epoch(problem, memory_format)
  timing.show(
    time_in_turns(epochs, _NUM_STEPS.value, timing.REPEATS.value),
    torch=torch.__version__,
    cores=str(num_cores),
    model=_MODEL.value,
    batch_size=str(batch_size),
    num_steps=str(_NUM_STEPS.value),
  )
  return None


if __name__ == '__main__':
  app.run(main)
