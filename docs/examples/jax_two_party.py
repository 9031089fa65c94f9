r"""Two parties in JAX: the pixels at the client, the labels at the server.

  python docs/examples/jax_two_party.py FOLDER

Trains on scikit-learn's digits for five epochs and records what crosses the
cut, in some seconds.
"""

import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn import datasets

from splitjax.integrations.jax import CutRecorder
from splitjax.integrations.jax import split_grads


def client_fn(params: jax.Array, inputs: jax.Array) -> jax.Array:
  """Return what the client sends."""
  return jax.nn.relu(inputs @ params)


def server_loss_fn(
  params: jax.Array, smashed: jax.Array, labels: jax.Array
) -> jax.Array:
  """Return the mean loss, which the server computes."""
  return optax.softmax_cross_entropy_with_integer_labels(
    smashed @ params, labels
  ).mean()


@jax.jit
def step(
  params: tuple[jax.Array, jax.Array], inputs: jax.Array, labels: jax.Array
) -> tuple[tuple[jax.Array, jax.Array], jax.Array, jax.Array]:
  """Take a step; return the parameters and what crossed."""
  crossed = split_grads(client_fn, server_loss_fn, *params, inputs, labels)
  grads = crossed.client_grads, crossed.server_grads
  params = jax.tree.map(lambda p, g: p - 0.5 * g, params, grads)
  return params, crossed.smashed, crossed.cut_grads


def main(folder: str) -> None:
  """Train, and record what crosses the cut into a folder."""
  images, labels = datasets.load_digits(return_X_y=True)
  inputs = (images / 16).astype(np.float32)
  rng = np.random.default_rng(0)
  train, test = np.split(rng.permutation(len(inputs)), [1437])
  keys = jax.random.split(jax.random.key(0))
  params = (
    jax.random.normal(keys[0], (64, 32)) / 8,
    jax.random.normal(keys[1], (32, 10)) / 6,
  )
  metadata = {'data': 'digits', 'framework': f'jax {jax.__version__}'}
  with CutRecorder(pathlib.Path(folder, 'cut'), metadata=metadata) as recorder:
    for _ in range(5):
      recorder.new_pass()
      for ids in np.array_split(rng.permutation(train), 45):
        params, smashed, grads = step(params, inputs[ids], labels[ids])
        recorder.record(
          ids, smashed=smashed, cut_grads=grads, labels=labels[ids]
        )
    smashed = client_fn(params[0], jnp.asarray(inputs[test]))
    recorder.record_inference(test, smashed=smashed, labels=labels[test])
  correct = (smashed @ params[1]).argmax(1) == labels[test]
  print(
    f'{correct.mean():.0%} of the test digits are right. To see what the cut '
    f'gives away: splitjax-audit --record={folder}/cut'
  )


if __name__ == '__main__':
  if len(sys.argv) != 2:
    sys.exit('usage: python docs/examples/jax_two_party.py FOLDER')
  main(sys.argv[1])
