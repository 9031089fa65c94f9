"""What defenses promise: noise for an epsilon, and bounds on any attack.

A guarantee is `(facts, numbers, traced, monitored) -> {name: figures}`, where
`traced` is what the program was given and `monitored` what `Protection.monitor`
noted, `[S, T]`.
"""

from collections.abc import Callable
import functools
import math
from typing import Any

from splitjax import defenses
from splitjax.defenses import binding
from splitjax.defenses.defense import Facts
from splitjax.defenses.defense import Numbers

PyTree = Any
Figures = dict[str, Any]
EpsilonFn = Callable[..., float]


def _epsilons(facts: Facts, numbers: Numbers) -> tuple[EpsilonFn, EpsilonFn]:
  """Return accountants for shuffled and for Poisson-sampled batches."""
  # Noise may be meant for more passes than this training makes.
  epochs = int(numbers['passes']) or facts.epochs
  shuffled = functools.partial(
    defenses.accounting.epsilon_shuffled,
    num_epochs=epochs,
    delta=facts.delta,
  )
  steps = math.ceil(facts.num_samples / facts.batch_size)
  poisson = functools.partial(
    defenses.accounting.epsilon_poisson,
    sampling_rate=facts.batch_size / facts.num_samples,
    num_steps=epochs * steps,
    delta=facts.delta,
  )
  return shuffled, poisson


def dp_sgd_noise(facts: Facts, numbers: Numbers) -> PyTree:
  """Return noise and clipping of the server's update for an epsilon."""
  shuffled, poisson = _epsilons(facts, numbers)
  epsilon_fn = poisson if numbers['poisson'] else shuffled
  return _noise_for(numbers, epsilon_fn)


def message_noise(facts: Facts, numbers: Numbers) -> PyTree:
  """Return noise and clipping of the cut gradients for an epsilon."""
  epsilon_fn = functools.partial(
    defenses.accounting.epsilon_message,
    num_epochs=facts.epochs,
    delta=facts.delta,
  )
  return _noise_for(numbers, epsilon_fn)


def _noise_for(numbers: Numbers, epsilon_fn: EpsilonFn) -> PyTree:
  """Return the least noise with which an accountant finds the epsilon."""
  epsilon = numbers['epsilon']
  if math.isinf(epsilon):
    return {'noise_multiplier': 0.0, 'clip_norm': math.inf}
  noise = defenses.accounting.noise_multiplier_for(epsilon, epsilon_fn)
  return {'noise_multiplier': noise, 'clip_norm': numbers['clip_norm']}


def dp_sgd_guarantee(
  facts: Facts, numbers: Numbers, traced: PyTree, monitored: PyTree
) -> Figures:
  """Return epsilon for the batches really used, and for Poisson sampling."""
  del monitored
  noise = traced['noise_multiplier']
  if not noise:
    return {'epsilon': math.inf, 'noise_multiplier': 0.0}
  shuffled, poisson = _epsilons(facts, numbers)
  return {
    'epsilon': shuffled(noise_multiplier=noise),
    'epsilon_if_poisson': poisson(noise_multiplier=noise),
    'noise_multiplier': noise,
  }


def message_guarantee(
  facts: Facts, numbers: Numbers, traced: PyTree, monitored: PyTree
) -> Figures:
  """Return epsilon of a sample's own messages."""
  del facts, monitored
  noise = traced['noise_multiplier']
  return {'epsilon': numbers['epsilon'], 'noise_multiplier': noise}


def label_dp_guarantee(
  facts: Facts,
  numbers: Numbers,
  traced: PyTree,
  monitored: PyTree,
  *,
  with_prior: bool,
) -> Figures:
  """Return epsilon of all draws, and how often a drawn label is true."""
  del traced, monitored
  channel = binding.channel_of(facts, numbers, with_prior=with_prior)
  return {
    'epsilon': defenses.label_dp.composed_epsilon(
      numbers['epsilon'], facts.epochs if numbers['per_use'] else 1
    ),
    'keep_probability': defenses.label_dp.keep_probability(*channel),
  }


def own_epsilon(
  facts: Facts, numbers: Numbers, traced: PyTree, monitored: PyTree
) -> Figures:
  """Return the epsilon asked for."""
  del facts, traced, monitored
  return {'epsilon': numbers['epsilon']}


def detection_error(
  facts: Facts, numbers: Numbers, traced: PyTree, monitored: PyTree
) -> Figures:
  """Return the error asked for: no test of a label errs less often."""
  del facts, traced, monitored
  return {'detection_error_bound': numbers['error']}


def marvell_guarantee(
  facts: Facts, numbers: Numbers, traced: PyTree, monitored: PyTree
) -> Figures:
  """Return what was noted, on average over the steps."""
  del facts, numbers, traced
  return {name: values.mean(-1) for name, values in monitored.items()}
