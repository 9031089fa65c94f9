r"""Two feature parties in PyTorch, each with a half of the image.

  python docs/examples/torch_parties.py FOLDER

A third party has the labels and the top, which gets both outputs side by side.
Each feature party sees its own cut, so each has a recorder. Some seconds.
"""

import contextlib
import pathlib
import sys

from sklearn import datasets
import torch

from splitjax.integrations.torch import CutRecorder


def main(folder: str) -> None:
  """Train, and record what crosses the cut of each party into a folder."""
  torch.manual_seed(0)
  torch.set_num_threads(1)  # The fastest for so small a network.
  images, digits = datasets.load_digits(return_X_y=True)
  halves = torch.tensor(images / 16, dtype=torch.float32).split(32, dim=1)
  labels = torch.tensor(digits)
  train, test = torch.randperm(len(labels)).split([1437, 360])
  bottoms = torch.nn.ModuleList(
    torch.nn.Sequential(torch.nn.Linear(32, 16), torch.nn.ReLU())
    for _ in halves
  )
  top = torch.nn.Linear(32, 10)
  parameters = [*bottoms.parameters(), *top.parameters()]
  optimizer = torch.optim.SGD(parameters, lr=0.1, momentum=0.9)

  def logits_of(ids: torch.Tensor) -> torch.Tensor:
    for recorder in recorders:
      recorder.batch(ids, labels=labels[ids])
    sent = [
      bottom(half[ids]) for bottom, half in zip(bottoms, halves, strict=True)
    ]
    return top(torch.cat(sent, dim=1))

  with contextlib.ExitStack() as stack:
    recorders = [
      stack.enter_context(
        CutRecorder(pathlib.Path(folder, f'party{number}'), bottom)
      )
      for number, bottom in enumerate(bottoms, 1)
    ]
    for _ in range(5):
      bottoms.train()
      for recorder in recorders:
        recorder.new_pass()
      for ids in train[torch.randperm(len(train))].split(32):
        loss = torch.nn.functional.cross_entropy(logits_of(ids), labels[ids])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    bottoms.eval()
    with torch.no_grad():
      for ids in test.split(128):
        logits_of(ids)
  print(
    'The cuts of two parties are recorded. To see what they give away: '
    f'splitjax-audit --record={folder}/party1, and --record={folder}/party2'
  )


if __name__ == '__main__':
  if len(sys.argv) != 2:
    sys.exit('usage: python docs/examples/torch_parties.py FOLDER')
  main(sys.argv[1])
