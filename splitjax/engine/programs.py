"""The programs of an experiment: what is compiled, for many runs at once."""

from collections.abc import Callable, Sequence
import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from splitjax import attacks
from splitjax import parallel
from splitjax import training
from splitjax.records import projection
from splitjax.training import epochs
from splitjax.training import inference
from splitjax.training import protection
from splitjax.training import shapes
from splitjax.training import split

PyTree = Any


class Point(NamedTuple):
  """What may differ between the runs of one program.

  Attributes:
    learning_rate: of every part.
    strengths: numbers of the defenses.
  """

  learning_rate: float
  strengths: PyTree = ()


@dataclasses.dataclass(frozen=True)
class Recipe:
  """How to train, and what to keep.

  Attributes:
    optimizer_fn: makes a part's optimizer from the learning rate.
    num_epochs: passes over the training set.
    batch_size: samples of a step.
    read: what is kept: any of 'cut_grads', 'smashed', 'untrained_smashed',
      'sent', the smashed data that the cut gradients answered, 'online', the
      clusters that these fell into as they came, and 'client', the trained
      model without its last part.
    recorded_epochs: passes whose cut gradients are kept, from 1.
    width: of the random projection of what is wider; 0 for none.
    augment_fn: random changes of the inputs, if any.
    protect_fn: makes the defenses from their strengths.
    may_diverge: whether a run may end in infinities, as under strong noise:
      what is not finite of it is then kept as zeros, which carry nothing.
    relabel_fn: `(key, labels, logits, strengths) -> labels`, of a defense in
      two stages: half of the samples train a model first, whose answers help
      to draw the labels of the rest. What is kept is of the second stage.
    num_classes: clusters of 'online'.
    malicious_part: whose holder does not train it as agreed, if any, see
      `attacks.malicious_optimizer`.
  """

  optimizer_fn: Callable[[jax.Array], optax.GradientTransformation]
  num_epochs: int
  batch_size: int
  read: tuple[str, ...]
  recorded_epochs: tuple[int, ...] = (1,)
  width: int = 0
  augment_fn: epochs.AugmentFn | None = None
  protect_fn: Callable[[PyTree], protection.Protection] = lambda strengths: (
    protection.Protection()
  )
  may_diverge: bool = False
  relabel_fn: Callable[..., jax.Array] | None = None
  num_classes: int = 2
  malicious_part: int | None = None


class Programs:
  """What is compiled, once for each shape; the first axis is that of runs."""

  def __init__(
    self,
    model: split.SplitModel,
    recipe: Recipe,
    sketch_fn: Callable[[Sequence[jax.Array]], PyTree],
    at_once: int,
    mesh: jax.sharding.Mesh | None = None,
  ):
    """Nothing is compiled yet.

    Args:
      model: the split model.
      recipe: how to train, and what to keep.
      sketch_fn: of what crosses the cuts, see `make_sketch`.
      at_once: how many runs may go side by side on a device.
      mesh: of devices that share the runs, if there are several.
    """
    self._model = model
    self._recipe = recipe
    self._sketch_fn = sketch_fn
    self._at_once = at_once
    self._mesh = mesh
    self.stored_labels = jax.jit(self._stored_labels)
    self.relabel = jax.jit(self._relabel)
    self.init = jax.jit(self._init)
    self.train = jax.jit(self._train, static_argnames='kept')
    self.evaluate = jax.jit(self._evaluate, static_argnames='kept')

  def _over_runs(self, fn, runs):
    return parallel.map_runs(fn, runs, at_once=self._at_once, mesh=self._mesh)

  def gather(self, tree: PyTree) -> PyTree:
    """What is spread over devices, in the memory of the host."""
    gather_fn = jax.jit(lambda x: parallel.on_every_device(x, self._mesh))
    return jax.device_get(gather_fn(tree))

  def _optimizers(self, point):
    optimizer = self._recipe.optimizer_fn(point.learning_rate)
    optimizers = [optimizer] * len(self._model.bounds)
    part = self._recipe.malicious_part
    if part is not None:
      optimizers[part] = attacks.malicious_optimizer(optimizer)
    return optimizers

  def _protection(self, point):
    return self._recipe.protect_fn(point.strengths)

  def _stored_labels(self, runs, labels):
    one_fn = lambda run: protection.draw_stored_labels(
      run[0], labels, self._protection(run[1])
    )
    return self._over_runs(one_fn, runs)

  def _relabel(self, runs, inputs, truth, rows):
    """Draws the labels of the rows that the first stage did not use.

    Their true labels are used here for the first time, so that every label goes
    through one mechanism.
    """

    def one_fn(run):
      key, point, train_state, labels = run
      logits = inference.evaluate(train_state, inputs, model=self._model).logits
      key = training.epoch_key(key, 2 * self._recipe.num_epochs)
      drawn = self._recipe.relabel_fn(key, truth[rows], logits, point.strengths)
      return labels.at[rows].set(drawn)

    return self._over_runs(one_fn, runs)

  def _init(self, runs, example):
    one_fn = lambda run: training.init(
      training.init_key(run[0]),
      example,
      model=self._model,
      optimizers=self._optimizers(run[1]),
    )
    return self._over_runs(one_fn, runs)

  def _train(self, runs, epoch, inputs, *, kept):
    """An epoch of every run."""
    read, online = self._recipe.read, ()
    if kept and 'online' in read:
      online = self._start_online(inputs[:1])

    def observe_fn(online, exchanges):
      crossing = {'cut_grads': [one.cut_grads for one in exchanges]}
      if 'sent' in read:
        crossing['sent'] = [one.smashed for one in exchanges]
      found = {name: self._sketch_fn(one) for name, one in crossing.items()}
      steps = [
        attacks.cluster_batch(clusters, vectors)
        for clusters, vectors in zip(online, found['cut_grads'], strict=False)
      ]
      if steps:
        online, assignments = zip(*steps, strict=True)
        found['online'] = [x[:, None].astype(jnp.float32) for x in assignments]
      return online, found

    def one_fn(run):
      key, point, train_state, labels = run
      return training.train_epoch(
        training.epoch_key(key, epoch),
        train_state,
        inputs,
        labels,
        model=self._model,
        optimizers=self._optimizers(point),
        batch_size=min(self._recipe.batch_size, len(inputs)),
        augment_fn=self._recipe.augment_fn,
        observe_fn=observe_fn if kept else None,
        seen=online if kept else None,
        protection=self._protection(point),
      )

    states, log = self._over_runs(one_fn, runs)
    return states, parallel.on_every_device(log, self._mesh)

  def _start_online(self, example):
    """What clusters each cut's gradients as they come, before the first."""
    widths = shapes.cut_widths(self._model, example)
    most = self._recipe.width or max(widths)
    return tuple(
      attacks.start_online(
        jax.random.key(index),
        num_clusters=self._recipe.num_classes,
        width=min(width, most),
      )
      for index, width in enumerate(widths)
    )

  def _evaluate(self, runs, inputs, *, kept):
    """A pass of every run's model in evaluation mode."""

    def one_fn(run):
      key, point, train_state = run
      return inference.evaluate(
        train_state,
        inputs,
        model=self._model,
        record_fn=self._sketch_fn if kept else None,
        protection=self._protection(point),
        key=key,
      )

    return parallel.on_every_device(self._over_runs(one_fn, runs), self._mesh)


def make_sketch(
  key: jax.Array, model: split.SplitModel, example: jax.Array, width: int
) -> Callable[[Sequence[jax.Array]], tuple[jax.Array, ...]]:
  """A function that flattens what crosses the cuts, and projects what is wide.

  The same for gradients and smashed data, for all runs, epochs and phases.

  Args:
    key: of the projections.
    model: the split model.
    example: inputs `[B, ...]`; only their shape matters.
    width: what is wider is projected to it; 0 for no projection.

  Returns:
    From what crosses each cut, `[B, ...]`, to as many `[B, D]`, float32.
  """
  drawn = []
  for cut, features in zip(
    model.cuts, shapes.cut_widths(model, example), strict=True
  ):
    wide = 0 < width < features
    key_cut = jax.random.fold_in(key, cut)
    drawn.append(
      projection.draw(key_cut, num_features=features, width=width)
      if wide
      else None
    )

  def sketch_fn(vectors):
    return tuple(
      x.reshape(len(x), -1).astype(jnp.float32)
      if one is None
      else projection.project(one, x)
      for one, x in zip(drawn, vectors, strict=True)
    )

  return sketch_fn
