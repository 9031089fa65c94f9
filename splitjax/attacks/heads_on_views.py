"""Attacks on a view that train a head on features; see `on_views`."""

from collections.abc import Callable
from typing import Any

import jax

from splitjax import attacks
from splitjax.attacks.on_views import own_of
from splitjax.attacks.on_views import with_logits
from splitjax.attacks.result import AttackResult
from splitjax.records.viewing import View


def _new_head(
  fn: Callable[..., AttackResult], key: jax.Array, view: View, **settings: Any
) -> AttackResult:
  """Train a head on frozen features."""
  result = fn(
    key,
    own_of(view).features,
    view.aux_vectors,
    view.aux_labels,
    view.vectors,
    num_classes=view.num_classes,
    **settings,
  )
  return with_logits(view, result)


def _tuned(
  fn: Callable[..., AttackResult], key: jax.Array, view: View, **settings: Any
) -> AttackResult:
  """Train a head, and the network that makes its features along."""
  own = own_of(view)
  extractor = own.extractor
  assert extractor is not None
  result = fn(
    key,
    extractor.apply_fn,
    extractor.params,
    extractor.inputs,
    extractor.inputs[own.aux_rows],
    view.aux_labels,
    extractor.new_inputs,
    num_classes=view.num_classes,
    **settings,
  )
  return with_logits(view, result)


def _from_gradients(key: jax.Array, view: View) -> jax.Array:
  """Return the labels that clustering reads from the training's gradients."""
  own = own_of(view)
  assert own.cut_grads is not None
  return attacks.cluster_labels(
    key,
    own.cut_grads,
    own.cut_grads[own.aux_rows],
    view.aux_labels,
    num_classes=view.num_classes,
  ).labels


def transfer(key: jax.Array, view: View, **settings: Any) -> AttackResult:
  """Train a head on features, with the labels that gradients gave away."""
  key_cluster, key_fit = jax.random.split(key)
  guess = _from_gradients(key_cluster, view)
  return _new_head(
    attacks.transfer_labels, key_fit, view, pseudo_labels=guess, **settings
  )


def transfer_hidden(
  key: jax.Array, view: View, **settings: Any
) -> AttackResult:
  """As `transfer`, with a hidden layer: for cuts before any nonlinearity."""
  return transfer(key, view, **({'hidden_size': 64} | settings))


def transfer_tuned(key: jax.Array, view: View, **settings: Any) -> AttackResult:
  """As `transfer`, and what makes the features is trained along."""
  key_cluster, key_fit = jax.random.split(key)
  guess = _from_gradients(key_cluster, view)
  return _tuned(
    attacks.tuned_transfer_labels,
    key_fit,
    view,
    pseudo_labels=guess,
    **settings,
  )


def transfer_similarity(
  key: jax.Array, view: View, **settings: Any
) -> AttackResult:
  """Train a head on features, with the nearest known sample's label."""
  return _new_head(attacks.transfer_labels, key, view, **settings)


def model_completion(
  key: jax.Array, view: View, **settings: Any
) -> AttackResult:
  """Train a head on features, with the few known labels, by MixMatch."""
  return _new_head(attacks.completion_labels, key, view, **settings)


def model_completion_tuned(
  key: jax.Array, view: View, **settings: Any
) -> AttackResult:
  """As `model_completion`, and what makes the features is trained along."""
  return _tuned(attacks.tuned_completion_labels, key, view, **settings)
