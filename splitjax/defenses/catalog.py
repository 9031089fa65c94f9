"""Defenses by name: what `--defense` can say, and what it stands for."""

from collections.abc import Callable
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp

from splitjax import defenses
from splitjax.defenses import guarantees
from splitjax.defenses.defense import Defense
from splitjax.training.protection import Protection


def _at(place: str, fn: Callable[..., Any], *others: str):
  """Acts at one place; the strength and other numbers are keyword arguments."""

  def protect(facts, numbers, traced):
    del facts
    rest = {name: numbers[name] for name in others}
    return Protection(**{place: functools.partial(fn, **traced, **rest)})

  return protect


def _of_classes(place: str, fn: Callable[..., Any]):
  """The same for a function that needs the number of classes."""

  def protect(facts, numbers, traced):
    del numbers
    bound = functools.partial(fn, num_classes=facts.num_classes, **traced)
    return Protection(**{place: bound})

  return protect


def _drawn_labels(fn: Callable[..., Any]):
  """Other labels, once for all or (`per_use`) anew in every batch."""

  def protect(facts, numbers, traced):
    place = 'labels' if numbers.get('per_use') else 'stored_labels'
    return _of_classes(place, fn)(facts, numbers, traced)

  return protect


def _label_dp(facts, numbers, traced):
  prior = jnp.asarray(facts.prior, jnp.float32)
  draw = functools.partial(defenses.label_dp.rr_with_prior, prior=prior)
  return _drawn_labels(draw)(facts, numbers, traced)


def _dp_sgd(facts, numbers, traced):
  del numbers
  update = functools.partial(
    defenses.dp_sgd.server_update, microbatch=facts.microbatch, **traced
  )
  return Protection(server_grads=update)


def _second_stage(facts, key, labels, logits, traced):
  return defenses.label_dp.second_stage(
    key, labels, logits, num_classes=facts.num_classes, **traced
  )


def _alibi(facts, numbers, traced):
  del numbers
  return Protection(
    stored_labels=functools.partial(
      defenses.alibi.perturb, num_classes=facts.num_classes, **traced
    ),
    loss=functools.partial(defenses.alibi.loss, **traced),
  )


def _marvell(facts, numbers, traced):
  del facts, numbers
  return Protection(
    cut_grads=functools.partial(defenses.marvell.noise, **traced),
    monitor=functools.partial(defenses.marvell.bound, **traced),
  )


def _cae_fit(facts, numbers):
  key = jax.random.key(0)  # Not secret: what it hides is not drawn.
  fit = functools.partial(defenses.cae.fit, num_classes=facts.num_classes)
  params = jax.jit(fit)(key, entropy_weight=numbers['entropy_weight'])
  return {'params': params}


def _cae(facts, numbers, traced):
  del numbers
  encode = functools.partial(
    defenses.cae.encode, traced['params'], num_classes=facts.num_classes
  )
  return Protection(
    stored_labels=lambda key, labels: encode(labels),
    answers=functools.partial(defenses.cae.answers, params=traced['params']),
  )


_EPSILON = dict(strength='epsilon', off=math.inf, within=(1e-3, math.inf))
_LABEL_EPSILONS = (0.1, 0.5, 1.0, 5.0, 10.0)
_UPDATE_EPSILONS = (0.1, 10.0, 30.0, 50.0, 100.0)
DEFENSES = {
  'dp_sgd': Defense(
    _dp_sgd,
    strengths=_UPDATE_EPSILONS,
    numbers={'clip_norm': 1.0, 'poisson': 0.0, 'passes': 0.0},
    prepare_fn=guarantees.dp_sgd_noise,
    guarantee_fn=guarantees.dp_sgd_guarantee,
    **_EPSILON,
  ),
  'dp_message': Defense(
    _at('cut_grads', defenses.dp_sgd.message),
    strengths=_UPDATE_EPSILONS,
    numbers={'clip_norm': 1.0},
    prepare_fn=guarantees.message_noise,
    guarantee_fn=guarantees.message_guarantee,
    averaged='pass',
    **_EPSILON,
  ),
  'label_dp': Defense(
    _label_dp,
    strengths=_LABEL_EPSILONS,
    numbers={'per_use': 0.0},
    guarantee_fn=functools.partial(
      guarantees.label_dp_guarantee, with_prior=True
    ),
    averaged='vector',
    replaces_labels=True,
    **_EPSILON,
  ),
  'randomized_response': Defense(
    _drawn_labels(defenses.label_dp.randomized_response),
    strengths=_LABEL_EPSILONS,
    numbers={'per_use': 0.0},
    guarantee_fn=functools.partial(
      guarantees.label_dp_guarantee, with_prior=False
    ),
    averaged='vector',
    replaces_labels=True,
    **_EPSILON,
  ),
  'lp_2st': Defense(
    # Of the first stage; `relabel_fn` draws the labels of the second.
    _drawn_labels(defenses.label_dp.randomized_response),
    strengths=_LABEL_EPSILONS,
    guarantee_fn=guarantees.own_epsilon,
    relabel_fn=_second_stage,
    replaces_labels=True,
    **_EPSILON,
  ),
  'alibi': Defense(
    _alibi,
    strengths=_LABEL_EPSILONS,
    guarantee_fn=guarantees.own_epsilon,
    replaces_labels=True,
    **_EPSILON,
  ),
  'compression': Defense(
    _at('cut_grads', defenses.compression.per_batch),
    strength='ratio',
    strengths=(0.1, 0.3, 0.5, 0.7, 0.9),
    within=(0.0, 0.999999),
  ),
  'compression_per_sample': Defense(
    _at('cut_grads', defenses.compression.per_sample),
    strength='ratio',
    strengths=(0.1, 0.3, 0.5, 0.7, 0.9),
    within=(0.0, 0.999999),
  ),
  'marvell': Defense(
    _marvell,
    strength='power',
    strengths=(0.1, 0.5, 1.0, 5.0, 10.0),
    guarantee_fn=guarantees.marvell_guarantee,
    two_classes=True,
    averaged='pass',
  ),
  'marvell_dynamic': Defense(
    _at('cut_grads', defenses.marvell.dynamic_noise),
    strength='error',
    guarantee_fn=guarantees.detection_error,
    strengths=(0.1, 0.2, 0.3, 0.4),
    within=(0.0, 0.499),
    two_classes=True,
    averaged='pass',
  ),
  'marvell_multiclass': Defense(
    _of_classes('cut_grads', defenses.marvell.multiclass_noise),
    strength='power',
    strengths=(0.1, 0.5, 1.0, 5.0, 10.0),
    averaged='pass',
  ),
  'max_norm': Defense(
    _at('cut_grads', defenses.max_norm.noise),
    strength='strength',
    strengths=(1.0,),
    within=(0.0, 1.0),
    averaged='pass',
  ),
  'isotropic': Defense(
    _at('cut_grads', defenses.isotropic.noise),
    strength='ratio',
    strengths=(0.1, 0.5, 1.0, 2.0, 5.0),
    averaged='pass',
  ),
  'gradient_averaging': Defense(
    _at('cut_grads', defenses.gradient_averaging.average),
    strength='weight',
    strengths=(0.1, 0.5, 0.9, 0.99, 1.0),
    within=(0.0, 1.0),
  ),
  'discrete_sgd': Defense(
    _at('cut_grads', defenses.discrete_sgd.discretize),
    strength='num_bins',
    strengths=(2, 6, 12, 24),
  ),
  'mixup': Defense(
    _of_classes('batch', defenses.mixup.mix),
    strength='alpha',
    strengths=(0.1, 0.2, 0.5, 1.0),
    averaged='vector',
  ),
  'distance_correlation': Defense(
    _at('loss', defenses.distance_correlation.loss),
    strength='weight',
    strengths=(0.01, 0.1, 0.3, 1.0),
    mixes_examples=True,
  ),
  'potential_energy': Defense(
    _at('loss', defenses.potential_energy.loss),
    strength='weight',
    strengths=(0.01, 0.1, 1.0, 10.0),
    mixes_examples=True,
  ),
  'cae': Defense(
    _cae,
    strength='entropy_weight',
    strengths=(0.1, 0.5, 1.0, 2.0),
    prepare_fn=_cae_fit,
    replaces_labels=True,
  ),
  'kdk': Defense(
    _at('loss', defenses.kdk.loss, 'k'),
    strength='smoothing',
    strengths=(0.1, 0.3, 0.5, 0.7),
    within=(0.0, 1.0),
    numbers={'k': 3.0},
  ),
}
