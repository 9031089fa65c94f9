r"""Two parties in PyTorch: the pixels at the client, the labels at the server.

  python docs/examples/torch_two_party.py FOLDER

Trains on scikit-learn's digits for five epochs and records what crosses the
cut, in some seconds: smashed data, the gradients that come back, and what an
audit compares them with.
"""

import pathlib
import sys

from sklearn import datasets
import torch

from splitjax.integrations.torch import CutRecorder


def main(folder: str) -> None:
  """Train, and record what crosses the cut into a folder."""
  torch.manual_seed(0)
  torch.set_num_threads(1)  # The fastest for so small a network.
  images, digits = datasets.load_digits(return_X_y=True)
  inputs = torch.tensor(images / 16, dtype=torch.float32)
  labels = torch.tensor(digits)
  train, test = torch.randperm(len(inputs)).split([1437, 360])
  bottom = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU())
  top = torch.nn.Linear(32, 10)
  parameters = [*bottom.parameters(), *top.parameters()]
  optimizer = torch.optim.SGD(parameters, lr=0.1, momentum=0.9)

  with CutRecorder(
    pathlib.Path(folder, 'cut'),
    bottom,
    metadata={'data': 'digits', 'framework': f'torch {torch.__version__}'},
    record=('smashed', 'cut_grads', 'untrained_smashed', 'inputs'),
  ) as recorder:
    for _ in range(5):
      recorder.new_pass()
      bottom.train()
      for ids in train[torch.randperm(len(train))].split(32):
        recorder.batch(ids, labels=labels[ids])
        smashed = bottom(inputs[ids])  # The client sends this to the server,
        received = smashed.detach().requires_grad_()
        loss = torch.nn.functional.cross_entropy(top(received), labels[ids])
        optimizer.zero_grad()
        loss.backward()
        smashed.backward(received.grad)  # which sends this back.
        optimizer.step()
    bottom.eval()
    correct = 0
    for ids in test.split(128):
      recorder.batch(ids, labels=labels[ids])
      with torch.no_grad():
        correct += int(
          (top(bottom(inputs[ids])).argmax(1) == labels[ids]).sum()
        )
  print(
    f'{correct / len(test):.0%} of the test digits are right. To see what the '
    f'cut gives away: splitjax-audit --record={folder}/cut'
  )


if __name__ == '__main__':
  if len(sys.argv) != 2:
    sys.exit('usage: python docs/examples/torch_two_party.py FOLDER')
  main(sys.argv[1])
