r"""A U-shaped network in PyTorch: the client has both ends, labels and pixels.

  python docs/examples/torch_u_shape.py FOLDER

The server holds the middle alone, and attacks: it gets the smashed data of the
bottom and the gradients of the head. Both cuts are recorded, in some seconds.
"""

import pathlib
import sys

from sklearn import datasets
import torch

from splitjax.integrations.torch import CutRecorder


def main(folder: str) -> None:
  """Train, and record what crosses both cuts into a folder."""
  torch.manual_seed(0)
  torch.set_num_threads(1)  # The fastest for so small a network.
  images, digits = datasets.load_digits(return_X_y=True)
  inputs = torch.tensor(images / 16, dtype=torch.float32)
  labels = torch.tensor(digits)
  train, test = torch.randperm(len(inputs)).split([1437, 360])
  bottom = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU())
  middle = torch.nn.Sequential(torch.nn.Linear(32, 32), torch.nn.ReLU())
  head = torch.nn.Linear(32, 10)
  network = torch.nn.Sequential(bottom, middle, head)
  optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)

  # A module sends its output over a cut, and gets the gradient back.
  lower = CutRecorder(pathlib.Path(folder, 'lower_cut'), bottom)
  upper = CutRecorder(pathlib.Path(folder, 'upper_cut'), middle)
  with lower, upper:
    for _ in range(5):
      network.train()
      lower.new_pass()
      upper.new_pass()
      for ids in train[torch.randperm(len(train))].split(32):
        lower.batch(ids, labels=labels[ids])
        upper.batch(ids, labels=labels[ids])
        loss = torch.nn.functional.cross_entropy(
          network(inputs[ids]), labels[ids]
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()
    with torch.no_grad():
      for ids in test.split(128):
        lower.batch(ids, labels=labels[ids])
        upper.batch(ids, labels=labels[ids])
        network(inputs[ids])
  print(
    'Two cuts are recorded. To see what they give away: splitjax-audit '
    f'--record={folder}/lower_cut, and --record={folder}/upper_cut'
  )


if __name__ == '__main__':
  if len(sys.argv) != 2:
    sys.exit('usage: python docs/examples/torch_u_shape.py FOLDER')
  main(sys.argv[1])
