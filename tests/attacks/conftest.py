"""What attacks that make up a top model are tried on."""

from typing import NamedTuple

import jax
import numpy as np
import pytest
from scipy import special

# Before pytest imports a module of splitjax/attacks/kmeans/ for its doctest: it
# would put the folder in the place of the function `attacks.kmeans`.
from splitjax import attacks as attacks

FORMS = ('noise', 'blobs', 'deep', 'tiny', 'unrelated')


class Problem(NamedTuple):
  """True gradients of a batch's mean loss, but for the form 'unrelated'.

  Attributes:
    seen: smashed data and cut gradients, each `[N, D]`.
    known: the same of one sample of each class, and its label.
    truth: the labels of what was seen, `[N]`.
  """

  seen: tuple[np.ndarray, np.ndarray]
  known: tuple[np.ndarray, np.ndarray, np.ndarray]
  truth: np.ndarray


def _draw(seed, form='noise', num=240, num_classes=3, width=8, shares=None):
  rng = np.random.default_rng(seed)
  truth = rng.choice(num_classes, num, p=shares)
  truth = np.concatenate([truth, np.arange(num_classes)])
  smashed = rng.normal(size=(len(truth), width))
  kernel = rng.normal(size=(width, num_classes)) / np.sqrt(width)
  if form == 'blobs':
    smashed += 2 * rng.normal(size=(num_classes, width))[truth]
  if form == 'deep':  # Two linear layers.
    kernel = rng.normal(size=(width, width)) / np.sqrt(width) @ kernel
  rest = special.softmax(smashed @ kernel, axis=1) - np.eye(num_classes)[truth]
  cut_grads = rest @ kernel.T / 32
  if form == 'unrelated':
    cut_grads = rng.normal(size=cut_grads.shape)
  if form == 'tiny':
    cut_grads = cut_grads * 1e-15
  arrays = np.float32(smashed), np.float32(cut_grads), truth
  seen, known = zip(*((x[:num], x[num:]) for x in arrays), strict=True)
  return Problem(seen[:2], known, seen[2])


@pytest.fixture(scope='session')
def draw_problem():
  """Draws a `Problem` of a seed, a form and sizes."""
  return _draw


@pytest.fixture(scope='session')
def all_forms():
  """Keys and a problem of each form, stacked; the last one tells nothing."""
  problems = [_draw(seed, form) for seed, form in enumerate(FORMS)]
  keys = jax.random.split(jax.random.key(0), len(FORMS))
  return keys, jax.tree.map(lambda *x: np.stack(x), *problems)
