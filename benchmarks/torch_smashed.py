r"""Train SimpleNet in PyTorch, as published, and read its smashed data.

  python -m benchmarks.torch_smashed --data_dir=...

SimpleNet as its own authors' code has it differs from ours in what the paper
of the attacks leaves open: the gain of the weights (the square root of two),
the momentum of the moving averages (.05) and dropout of whole channels. Here
the attack is ours, the training is not, and the known samples are drawn
hundreds of times rather than five: where these figures are ours as well, those
five draws are what differs. About seven minutes a network on two cores.
"""

from collections.abc import Sequence
import math
import sys

from absl import app
from absl import flags
import jax
import numpy as np
import tabulate

from benchmarks import torch_networks
from splitjax import attacks
from splitjax import data
from splitjax import models
from splitjax.models import layering
from splitjax.records import viewing

torch = torch_networks.torch

_DATA_DIR = flags.DEFINE_string(
  'data_dir', None, 'Where fashion_mnist was prepared.'
)
_NUM_NETWORKS = flags.DEFINE_integer(
  'num_networks', 3, 'Networks to train, from other seeds.', lower_bound=1
)
_NUM_DRAWS = flags.DEFINE_integer(
  'num_draws', 400, 'Draws of the known samples.', lower_bound=2
)
_EPOCHS = flags.DEFINE_integer(
  'epochs', 5, 'Passes over the training images.', lower_bound=1
)
_NUM_TRAIN = flags.DEFINE_integer(
  'num_train', 5120, 'Training images.', lower_bound=128
)
_CUTS = (33, 46, 50, 54)
_NUM_CLASSES = 10
_BATCH_SIZE = 128
_LEARNING_RATE = 0.05


def as_published(
  layers: tuple[layering.Layer, ...], shape: tuple[int, ...]
) -> 'torch.nn.Sequential':
  """Return SimpleNet as in its authors' code, Coderx7/SimpleNet_Pytorch."""
  network = torch_networks.to_torch(layers, shape)
  last = max(
    at for at, m in enumerate(network) if isinstance(m, torch.nn.Dropout)
  )
  for at, module in enumerate(network):
    if isinstance(module, torch.nn.Conv2d):
      torch.nn.init.xavier_uniform_(module.weight, gain=math.sqrt(2))
    if isinstance(module, torch.nn.BatchNorm2d):
      module.momentum = 0.05
    if isinstance(module, torch.nn.Dropout) and at < last:
      network[at] = torch.nn.Dropout2d(module.p)
  return network


def train(
  network: 'torch.nn.Sequential',
  images: 'torch.Tensor',
  labels: 'torch.Tensor',
) -> None:
  """Train a network by SGD on images `[N, C, H, W]`."""
  optimizer = torch.optim.SGD(network.parameters(), lr=_LEARNING_RATE)
  loss_fn = torch.nn.CrossEntropyLoss()
  network.train()
  for _ in range(_EPOCHS.value):
    for batch in torch.randperm(len(labels)).split(_BATCH_SIZE):
      optimizer.zero_grad()
      loss_fn(network(images[batch]), labels[batch]).backward()
      optimizer.step()


def outputs(
  network: 'torch.nn.Sequential', images: 'torch.Tensor'
) -> dict[int, np.ndarray]:
  """Return what crosses each cut, `[N, D]`, and the logits as the last cut."""
  found = {cut: [] for cut in (*_CUTS, len(network))}
  network.eval()
  with torch.no_grad():
    for x in images.split(4 * _BATCH_SIZE):
      for at, module in enumerate(network, start=1):
        x = module(x)
        if at in found:
          found[at].append(x.flatten(1).numpy().copy())  # relu is in place
  return {cut: np.concatenate(parts) for cut, parts in found.items()}


def attack(
  vectors: np.ndarray,
  labels: np.ndarray,
  train_vectors: np.ndarray,
  auxiliary: viewing.Auxiliary,
  is_train: bool,
) -> np.ndarray:
  """Return the accuracy of the distance attack in each draw, in percent."""
  predict_fn = jax.vmap(attacks.nearest_labels, in_axes=(None, 0, 0))
  guesses = predict_fn(vectors, train_vectors[auxiliary.ids], auxiliary.labels)
  hits = np.asarray(guesses) == labels
  scored = np.ones(hits.shape, bool)
  if is_train:
    np.put_along_axis(scored, auxiliary.ids, False, axis=1)
  return 100 * np.mean(hits, axis=1, where=scored)


def run(seed: int, dataset: data.Dataset) -> tuple[tuple, dict]:
  """Train one network; return its accuracies, and those of the attack."""
  torch.manual_seed(seed)
  layers = models.simple_net(_NUM_CLASSES)
  to_nchw = lambda x: torch.from_numpy(np.asarray(x)).permute(0, 3, 1, 2)
  sets = {
    'training': (dataset.train_inputs, dataset.train_labels),
    'inference': (dataset.test_inputs, dataset.test_labels),
  }
  network = as_published(layers, dataset.train_inputs.shape[1:])
  inputs, labels = sets['training']
  train(network, to_nchw(inputs), torch.from_numpy(np.int64(labels)))
  sent = {phase: outputs(network, to_nchw(x)) for phase, (x, _) in sets.items()}
  auxiliary = viewing.sample_auxiliary(
    seed,
    np.arange(len(labels)),
    labels,
    num_classes=_NUM_CLASSES,
    num_draws=_NUM_DRAWS.value,
  )
  answers = tuple(
    100 * np.mean(sent[phase][len(network)].argmax(1) == y)
    for phase, (_, y) in sets.items()
  )
  read = {
    (phase, cut): attack(
      sent[phase][cut],
      y,
      sent['training'][cut],
      auxiliary,
      phase == 'training',
    )
    for phase, (_, y) in sets.items()
    for cut in _CUTS
  }
  return answers, read


def main(argv: Sequence[str]) -> int | None:
  if len(argv) > 1:
    raise app.UsageError('Too many command-line arguments.')
  if torch is None:
    print(torch_networks.MISSING, file=sys.stderr)
    return 2
  try:
    dataset = data.load_tfds(
      'fashion_mnist',
      seed=0,
      data_dir=_DATA_DIR.value,
      image_size=32,
      num_train=_NUM_TRAIN.value,
      num_test=2048,
    )
  except (ValueError, OSError) as error:
    print(error, file=sys.stderr)
    return 2
  rows = []
  for seed in range(_NUM_NETWORKS.value):
    answers, read = run(seed, dataset)
    print('network {}: {:.1f} / {:.1f}'.format(seed, *answers), flush=True)
    rows.append(read)
  table = [
    (
      *key,
      np.mean([read[key] for read in rows]),
      np.std([read[key].mean() for read in rows]),
      np.mean([read[key].std() for read in rows]),
    )
    for key in rows[0]
  ]
  headers = ('phase', 'cut', 'distance', 'sd of networks', 'sd of draws')
  print(tabulate.tabulate(table, headers=headers, floatfmt='.1f'))
  return None


if __name__ == '__main__':
  app.run(main)
