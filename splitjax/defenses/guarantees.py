"""What defenses promise: noise for an epsilon, and bounds on any attack.

A guarantee is `(facts, numbers, traced, monitored) -> {name: figures}`, where
`traced` is what the program was given and `monitored` what `Protection.monitor`
noted, `[S, T]`. `PROMISES` says what each figure holds for.
"""

from collections.abc import Callable, Mapping
import functools
import math
from typing import Any

import numpy as np

from splitjax import defenses
from splitjax.defenses import binding
from splitjax.defenses.defense import Facts
from splitjax.defenses.defense import Numbers

PyTree = Any
Figures = dict[str, Any]
EpsilonFn = Callable[..., float]

# Of what, for which neighbours, over what, and under which assumption.
_NORMAL = 'one pass, if gradients are normal'
PROMISES = {
  'epsilon': 'of a label in all that is sent in the training, if another '
  'label took its place; class shares are public',
  'message_epsilon': "of a sample's own cut gradients in the training, if "
  'another label took its place; given the weights',
  'update_epsilon': "of the label party's weights in the training, if a "
  'sample were added or removed; given the smashed data',
  'update_epsilon_if_poisson': 'the same, had batches been Poisson samples',
  'auc_bound': f'of all gradients of {_NORMAL}',
  'detection_error_bound': f'of all gradients of {_NORMAL}',
  'batch_auc_bound': f'among samples of a batch of both classes, {_NORMAL}',
  'one_class_share': 'of the samples, whose gradients get no noise',
  'keep_probability': 'of a label at one draw',
  'epsilon_lower': 'of a label in all that is sent in the training, measured '
  'with canaries',
}
# Gaussian noise, which promises an epsilon but for a delta.
WITH_DELTA = ('dp_message', 'dp_sgd')


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
  """Return epsilon of the weights, for real batches and for Poisson samples.

  Of a label in what is sent, it promises nothing.
  """
  del monitored
  noise = traced['noise_multiplier']
  # Noise for fewer passes than are made must not promise for these alone.
  passes = max(int(numbers['passes']), facts.epochs)
  shuffled, poisson = _epsilons(facts, {**numbers, 'passes': passes})
  return {
    'epsilon': math.inf,
    'update_epsilon': shuffled(noise_multiplier=noise),
    'update_epsilon_if_poisson': poisson(noise_multiplier=noise),
    'update_noise_multiplier': noise,
  }


def message_guarantee(
  facts: Facts, numbers: Numbers, traced: PyTree, monitored: PyTree
) -> Figures:
  """Return epsilon of a sample's own messages, given the weights.

  Of what its label moves in the messages of others, it promises nothing.
  """
  del facts, monitored
  return {
    'epsilon': math.inf,
    'message_epsilon': numbers['epsilon'],
    'message_noise_multiplier': traced['noise_multiplier'],
  }


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


def marvell_guarantee(
  facts: Facts, numbers: Numbers, traced: PyTree, monitored: PyTree
) -> Figures:
  """Return what bounds attacks on one pass, if gradients are normal.

  `auc_bound` and `detection_error_bound` are of all that is sent in the pass,
  batches of one class included, which get no noise (`one_class_share` of the
  samples). `batch_auc_bound` is the mean bound of the paper, and holds among
  samples of a batch that has both classes.
  """
  del facts, numbers, traced
  if not monitored:  # It is off, and promises nothing.
    return {'auc_bound': 1.0, 'detection_error_bound': 0.0}
  negatives, positives = monitored['negatives'], monitored['positives']
  distance = defenses.marvell.distance_of_pass(
    monitored['sum_kl'], negatives, positives
  )
  mixed = (negatives > 0) & (positives > 0)
  num_mixed = np.maximum(mixed.sum(-1), 1)
  mean_of = lambda x, none: np.where(
    mixed.any(-1), np.where(mixed, x, 0).sum(-1) / num_mixed, none
  )
  sizes = negatives + positives
  return {
    'auc_bound': 0.5 + distance - distance**2 / 2,
    'detection_error_bound': (1 - distance) / 2,
    'one_class_share': (sizes * ~mixed).sum(-1) / sizes.sum(-1),
    'batch_auc_bound': mean_of(monitored['auc_bound'], 1.0),
    'sum_kl': mean_of(monitored['sum_kl'], math.inf),
  }


def sent_epsilon(facts: Facts, message: Numbers, update: PyTree) -> float:
  """Return epsilon of a label, of all that is sent and of the weights.

  A label moves its own messages, and the others through the weights. So the
  epsilons add up of messages, and of the update for a label that is replaced,
  which is a removal and an addition: half of the noise. The deltas add up too.

  Args:
    facts: what the problem is like.
    message: numbers of `dp_message`.
    update: noise and clipping of `dp_sgd`.
  """
  return message['epsilon'] + defenses.accounting.epsilon_shuffled(
    noise_multiplier=update['noise_multiplier'] / 2,
    num_epochs=facts.epochs,
    delta=facts.delta,
  )


def in_words(found: Mapping[str, float]) -> list[str]:
  """Return the most important figures, as a table names them."""
  words = []
  if 'epsilon' in found:
    words.append(f'label epsilon {found["epsilon"]:.3g}')
  for place in ('message', 'update'):
    if f'{place}_epsilon' in found:
      epsilon = found[f'{place}_epsilon']
      noise = found[f'{place}_noise_multiplier']
      words.append(f'{place} epsilon {epsilon:.3g}, noise {noise:.3g}')
  if 'epsilon_limit' in found:
    delta = f' at delta {found["delta"]:.1g}' if found['delta'] else ''
    words.append(
      f'measured: at least {found["epsilon_lower"]:.2f}{delta}, of '
      f'{found["epsilon_limit"]:.2f} that canaries can show'
    )
  if 'auc_bound' in found:
    words.append(f'AUC of one pass at most {100 * found["auc_bound"]:.1f}')
  if 'keep_probability' in found:
    words.append(f'{100 * found["keep_probability"]:.1f}% of labels kept')
  return words
