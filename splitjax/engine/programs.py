"""The compiled programs of a training, for many runs at once."""

from collections.abc import Callable, Sequence
import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from splitjax import attacks
from splitjax import losses
from splitjax import parallel
from splitjax import training
from splitjax.engine import keys
from splitjax.engine.sketches import SketchFn
from splitjax.engine.sketches import kept_shapes
from splitjax.records.intermediates import Name
from splitjax.training import protection
from splitjax.training.epochs import AugmentFn
from splitjax.training.protection import Protection
from splitjax.training.sending import side_by_side
from splitjax.training.split import Exchange
from splitjax.training.split import LossFn
from splitjax.training.split import Model

PyTree = Any


class Hyperparameters(NamedTuple):
  """What may differ between the runs of one program.

  Attributes:
    learning_rate: learning rate of every part.
    strengths: numbers of the defenses.
  """

  learning_rate: jax.typing.ArrayLike
  strengths: PyTree = ()


@dataclasses.dataclass(frozen=True)
class Recipe:
  """How to train, and what to keep.

  Attributes:
    optimizer_fn: makes a part's optimizer from the learning rate.
    num_epochs: passes over the training set.
    batch_size: samples of a step.
    read: the intermediates that are kept.
    recorded_epochs: passes whose cut gradients are kept, from 1.
    width: width of the random projection of what is wider; 0 for none.
    augment_fn: random changes of the inputs, if any.
    protect_fn: makes the defenses from their strengths.
    may_diverge: whether a run may end in infinities, as under strong noise:
      what is not finite of it is then kept as zeros, which carry nothing.
    relabel_fn: `(key, labels, logits, strengths) -> labels` for a defense in
      two stages: half of the samples train a model first, whose answers help
      to draw the labels of the rest. What is kept is of the second stage.
    num_classes: number of clusters that are found as gradients come.
    malicious_part: the part whose holder does not train it as agreed, if any,
      see `attacks.malicious_optimizer`.
    loss_fn: `(outputs, labels) -> losses [B]`.
  """

  optimizer_fn: Callable[[jax.typing.ArrayLike], optax.GradientTransformation]
  num_epochs: int
  batch_size: int
  read: frozenset[str]
  recorded_epochs: Sequence[int] = (1,)
  width: int = 0
  augment_fn: AugmentFn | None = None
  protect_fn: Callable[[PyTree], Protection] = lambda strengths: Protection()
  may_diverge: bool = False
  relabel_fn: Callable[..., jax.Array] | None = None
  num_classes: int = 2
  malicious_part: int | None = None
  loss_fn: LossFn = losses.cross_entropy

  def keeps_gradients(self, epoch: int) -> bool:
    """Return whether the gradients of an epoch, from 1, are kept."""
    return Name.CUT_GRADS in self.read and epoch in self.recorded_epochs


class Programs:
  """What is compiled, once for each shape; the first axis is that of runs."""

  def __init__(
    self,
    model: Model,
    recipe: Recipe,
    sketch_fn: SketchFn,
    at_once: int,
    mesh: jax.sharding.Mesh | None = None,
  ) -> None:
    """Prepare the programs; each is compiled when it is first called.

    Args:
      model: the split model.
      recipe: how to train, and what to keep.
      sketch_fn: makes records of what crosses the cuts, see `sketches`.
      at_once: how many runs may go side by side on a device.
      mesh: the devices that share the runs, if there are several.
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

  def _over_runs(self, fn: Callable[[PyTree], PyTree], runs: PyTree) -> PyTree:
    """Apply a function to every run."""
    return parallel.map_runs(fn, runs, at_once=self._at_once, mesh=self._mesh)

  def gather(self, tree: PyTree) -> PyTree:
    """Return what is spread over devices, in the memory of the host."""
    gather_fn = jax.jit(lambda x: parallel.on_every_device(x, self._mesh))
    return jax.device_get(gather_fn(tree))

  def _optimizers(
    self, point: Hyperparameters
  ) -> list[optax.GradientTransformation]:
    """Make one optimizer for each part."""
    optimizer = self._recipe.optimizer_fn(point.learning_rate)
    optimizers = [optimizer] * self._model.num_parts
    part = self._recipe.malicious_part
    if part is not None:
      optimizers[part] = attacks.malicious_optimizer(optimizer)
    return optimizers

  def _protection(self, point: Hyperparameters) -> Protection:
    """Make the defenses of a run."""
    return self._recipe.protect_fn(point.strengths)

  def _stored_labels(self, runs: PyTree, inputs: jax.Array) -> jax.Array:
    """Draw the labels that each run trains on."""

    def one_fn(run: PyTree) -> jax.Array:
      key, point, train_state, labels = run
      smashed_fn = lambda: (
        training.evaluate(
          train_state, inputs, model=self._model, record_fn=side_by_side
        ).recorded
      )
      return protection.draw_stored_labels(
        key, labels, self._protection(point), smashed_fn
      )

    return self._over_runs(one_fn, runs)

  def _relabel(
    self, runs: PyTree, inputs: jax.Array, rows: jax.Array
  ) -> jax.Array:
    """Draw the labels of the rows that the first stage did not use.

    Their true labels are used here for the first time, so that every label goes
    through one mechanism.
    """
    relabel_fn = self._recipe.relabel_fn
    assert relabel_fn is not None
    epoch = keys.relabel_epoch(self._recipe.num_epochs)

    def one_fn(run: PyTree) -> jax.Array:
      key, point, train_state, labels, truth = run
      logits = training.evaluate(train_state, inputs, model=self._model).logits
      key = training.epoch_key(key, epoch)
      drawn = relabel_fn(key, truth[rows], logits, point.strengths)
      return labels.at[rows].set(drawn)

    return self._over_runs(one_fn, runs)

  def _init(self, runs: PyTree, example: jax.Array) -> training.TrainState:
    """Draw the model of every run."""
    one_fn = lambda run: training.init(
      training.init_key(run[0]),
      example,
      model=self._model,
      optimizers=self._optimizers(run[1]),
    )
    return self._over_runs(one_fn, runs)

  def _train(
    self, runs: PyTree, epoch: int, inputs: jax.Array, *, kept: bool
  ) -> tuple[training.TrainState, training.EpochLog]:
    """Train every run for an epoch."""
    online = ()
    if kept and Name.ONLINE in self._recipe.read:
      online = self._start_online(inputs[:1])

    def one_fn(run: PyTree) -> tuple[training.TrainState, training.EpochLog]:
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
        observe_fn=self._observe if kept else None,
        seen=online if kept else None,
        protection=self._protection(point),
        loss_fn=self._recipe.loss_fn,
      )

    states, log = self._over_runs(one_fn, runs)
    return states, parallel.on_every_device(log, self._mesh)

  def _observe(
    self, online: PyTree, exchanges: tuple[Exchange, ...]
  ) -> tuple[PyTree, PyTree]:
    """Keep what crossed in a step, and cluster the gradients as they come."""
    crossing = {Name.CUT_GRADS: [one.cut_grads for one in exchanges]}
    if Name.SENT in self._recipe.read:
      crossing[Name.SENT] = [one.smashed for one in exchanges]
    found: PyTree = {
      name.value: self._sketch_fn(one) for name, one in crossing.items()
    }
    steps = [
      attacks.cluster_batch(clusters, vectors)
      for clusters, vectors in zip(online, found['cut_grads'], strict=False)
    ]
    if steps:
      online, assignments = zip(*steps, strict=True)
      found[Name.ONLINE.value] = [
        x[:, None].astype(jnp.float32) for x in assignments
      ]
    return online, found

  def _start_online(self, example: jax.Array) -> PyTree:
    """Return each cut's clusters before the first gradients come."""
    kept = kept_shapes(self._model, example, self._recipe.width)
    return tuple(
      attacks.start_online(
        jax.random.key(index),
        num_clusters=self._recipe.num_classes,
        width=math.prod(shape),
      )
      for index, shape in enumerate(kept)
    )

  def _evaluate(
    self, runs: PyTree, inputs: jax.Array, *, kept: bool
  ) -> training.Pass:
    """Send inputs through every run's model in evaluation mode."""

    def one_fn(run: PyTree) -> training.Pass:
      key, point, train_state = run
      return training.evaluate(
        train_state,
        inputs,
        model=self._model,
        record_fn=self._sketch_fn if kept else None,
        protection=self._protection(point),
        key=key,
      )

    return parallel.on_every_device(self._over_runs(one_fn, runs), self._mesh)
