"""From a kernel of a defense to a `Protection`: what binds its arguments.

Each function here is the `protect_fn` of an entry in the catalog, or makes one;
see `defense.Defense`.
"""

from collections.abc import Callable
import functools
from typing import Any

import jax
import jax.numpy as jnp

from splitjax import defenses
from splitjax.defenses.defense import Facts
from splitjax.defenses.defense import Numbers
from splitjax.defenses.defense import ProtectFn
from splitjax.training.countering import Channel
from splitjax.training.protection import Protection

PyTree = Any


def at(place: str, fn: Callable[..., Any], *others: str) -> ProtectFn:
  """Act at one place; the strength and `others` are keyword arguments."""

  def protect(facts: Facts, numbers: Numbers, traced: PyTree) -> Protection:
    del facts
    rest = {name: numbers[name] for name in others}
    return Protection(**{place: functools.partial(fn, **traced, **rest)})

  return protect


def of_classes(place: str, fn: Callable[..., Any]) -> ProtectFn:
  """Act at one place with a function that needs the number of classes."""

  def protect(facts: Facts, numbers: Numbers, traced: PyTree) -> Protection:
    del numbers
    bound = functools.partial(fn, num_classes=facts.num_classes, **traced)
    return Protection(**{place: bound})

  return protect


def drawn_labels(fn: Callable[..., Any]) -> ProtectFn:
  """Draw other labels, once for all or (`per_use`) anew in every batch."""

  def protect(facts: Facts, numbers: Numbers, traced: PyTree) -> Protection:
    place = 'labels' if numbers.get('per_use') else 'stored_labels'
    return of_classes(place, fn)(facts, numbers, traced)

  return protect


def label_dp(facts: Facts, numbers: Numbers, traced: PyTree) -> Protection:
  """Draw labels by randomized response with the classes' shares as prior."""
  prior = jnp.asarray(facts.prior, jnp.float32)
  draw = functools.partial(defenses.label_dp.rr_with_prior, prior=prior)
  return drawn_labels(draw)(facts, numbers, traced)


def channel_of(facts: Facts, numbers: Numbers, *, with_prior: bool) -> Channel:
  """Return the channel of randomized response, with a prior or without."""
  prior = jnp.asarray(facts.prior, jnp.float32)
  if with_prior:
    channel = defenses.label_dp.rr_with_prior_channel(
      prior, epsilon=numbers['epsilon']
    )
  else:
    channel = defenses.label_dp.randomized_response_channel(
      num_classes=facts.num_classes, epsilon=numbers['epsilon']
    )
  return Channel(channel, prior)


def mixup(facts: Facts, numbers: Numbers, traced: PyTree) -> Protection:
  """Mix the samples of a batch in pairs, which both parties know."""
  mixed = of_classes('batch', defenses.mixup.mix)(facts, numbers, traced)
  pairs = functools.partial(defenses.mixup.pairs, **traced)
  return mixed._replace(pairs=pairs)


def dp_sgd(facts: Facts, numbers: Numbers, traced: PyTree) -> Protection:
  """Clip and noise the label party's own update."""
  del numbers
  update = functools.partial(
    defenses.dp_sgd.server_update, microbatch=facts.microbatch, **traced
  )
  return Protection(server_grads=update)


def second_stage(
  facts: Facts,
  key: jax.Array,
  labels: jax.Array,
  logits: jax.Array,
  traced: PyTree,
) -> jax.Array:
  """Draw labels with the answers of the first stage as prior."""
  return defenses.label_dp.second_stage(
    key, labels, logits, num_classes=facts.num_classes, **traced
  )


def alibi(facts: Facts, numbers: Numbers, traced: PyTree) -> Protection:
  """Noise one-hot labels, and correct the loss for it."""
  del numbers
  return Protection(
    stored_labels=functools.partial(
      defenses.alibi.perturb, num_classes=facts.num_classes, **traced
    ),
    loss=functools.partial(defenses.alibi.loss, **traced),
  )


def marvell(facts: Facts, numbers: Numbers, traced: PyTree) -> Protection:
  """Noise the cut gradients by class, and note the bound on the AUC."""
  del facts, numbers
  return Protection(
    cut_grads=functools.partial(defenses.marvell.noise, **traced),
    monitor=functools.partial(defenses.marvell.bound, **traced),
  )


def marvell_dynamic(
  facts: Facts, numbers: Numbers, traced: PyTree
) -> Protection:
  """Noise the cut gradients by class for an error, and note what it leaves."""
  del facts, numbers
  return Protection(
    cut_grads=functools.partial(defenses.marvell.dynamic_noise, **traced),
    monitor=functools.partial(defenses.marvell.dynamic_bound, **traced),
  )


def cae_fit(facts: Facts, numbers: Numbers) -> PyTree:
  """Fit the autoencoder of the labels."""
  key = jax.random.key(0)  # Not secret: what it hides is not drawn.
  fit = functools.partial(defenses.cae.fit, num_classes=facts.num_classes)
  params = jax.jit(fit)(key, entropy_weight=numbers['entropy_weight'])
  return {'params': params}


def cae(facts: Facts, numbers: Numbers, traced: PyTree) -> Protection:
  """Train on encoded labels, and decode the answers."""
  del numbers
  encode = functools.partial(
    defenses.cae.encode, traced['params'], num_classes=facts.num_classes
  )
  return Protection(
    stored_labels=lambda key, labels: encode(labels),
    answers=functools.partial(defenses.cae.answers, params=traced['params']),
  )


def label_compression(
  facts: Facts, numbers: Numbers, traced: PyTree
) -> Protection:
  """Train a second top on merged classes, and send back its gradients only."""
  compression = defenses.label_compression
  return Protection(
    first_labels=functools.partial(
      compression.compress, num_classes=facts.num_classes, **traced
    ),
    loss=functools.partial(
      compression.loss, center_weight=numbers['center_weight']
    ),
    answers=compression.answers,
  )


def rle_like(facts: Facts, numbers: Numbers, traced: PyTree) -> Protection:
  """Extend real labels by random entries."""
  del facts
  extend = functools.partial(
    defenses.label_extension.extend,
    num_extra=int(numbers['num_extra']),
    **traced,
  )
  return Protection(
    stored_labels=extend, answers=defenses.label_extension.answers
  )


def mle_like(facts: Facts, numbers: Numbers, traced: PyTree) -> Protection:
  """Extend real labels by entries that follow the model."""
  del facts
  extension = defenses.label_extension
  num_extra = int(numbers['num_extra'])
  return Protection(
    stored_labels=functools.partial(extension.extend, num_extra=num_extra),
    loss=functools.partial(extension.adaptive_loss, **traced),
    answers=extension.answers,
  )
