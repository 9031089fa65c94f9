r"""Times the split step against the joined one, and many trainings as one.

  python -m benchmarks.training

prints the median time of a training step through the cut and of the joined
model's `jax.grad` step, also with eight parties, and of 16 small trainings as
one program and one after the other, timed in turns (ratio above 1: ours is
faster). The one program takes them side by side, all at once and four at a
time, on one device and on all of --cpu_devices. About two minutes on two cores.
"""

from collections.abc import Callable, Sequence
import functools
import os
from typing import Any

from absl import app
from absl import flags
import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks import timing
from splitjax import data
from splitjax import losses
from splitjax import models
from splitjax import parallel
from splitjax import training
from splitjax.data.feature_split import FeatureSplit
from splitjax.models import layering
from splitjax.training import split

_CPU_DEVICES = flags.DEFINE_integer(
  'cpu_devices', os.cpu_count(), 'Devices to make of the CPU.', lower_bound=1
)

PyTree = Any
JoinedFn = Callable[
  [PyTree, PyTree, jax.Array, jax.Array], tuple[jax.Array, PyTree]
]

_NUM_RUNS = 16
_NUM_PARTIES = 8
_AT_ONCE = 4
_STEPS = 20  # In one program: a single step is a matter of dispatch.


def _make_steps_fn(
  step_fn: Callable[[jax.Array, PyTree], PyTree], state: PyTree
) -> Callable[[], PyTree]:
  """Return several steps as one program."""
  return jax.jit(
    lambda: jax.lax.scan(
      lambda state, key: (step_fn(key, state), None),
      state,
      jax.random.split(jax.random.key(1), _STEPS),
    )[0]
  )


def step(
  name: str, model: split.Model, joined_fn: JoinedFn, inputs: jax.Array
) -> list[timing.Timing]:
  """Time a step that records what crosses, and one that knows of no cut.

  Args:
    name: of the network.
    model: the network, cut.
    joined_fn: `(params, state, inputs, key) -> (logits, state)`, the network as
      one function.
    inputs: of a batch, `[B, ...]`.

  Returns:
    The timings.
  """
  labels = jnp.asarray(np.arange(len(inputs)) % 10)
  optimizer = optax.sgd(0.01)
  optimizers = [optimizer] * model.num_parts
  state = training.init(
    jax.random.key(0), inputs, model=model, optimizers=optimizers
  )

  def split_step(key: jax.Array, state: PyTree) -> PyTree:
    return training.train_step(
      key, state, inputs, labels, model=model, optimizers=optimizers
    )[0]

  def joined_step(key: jax.Array, joined: PyTree) -> PyTree:
    params, model_state, opt_state = joined

    def loss_fn(params: PyTree) -> tuple[jax.Array, PyTree]:
      logits, new_state = joined_fn(params, model_state, inputs, key)
      return jnp.mean(losses.cross_entropy(logits, labels)), new_state

    grads, model_state = jax.grad(loss_fn, has_aux=True)(params)
    updates, opt_state = optimizer.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), model_state, opt_state

  joined = state.params, state.state, optimizer.init(state.params)
  return timing.compare(
    f'{_STEPS} steps of {name}, batch {len(inputs)}',
    _make_steps_fn(split_step, state),
    {'joined jax.grad': _make_steps_fn(joined_step, joined)},
    timing.REPEATS.value,
  )


def two_parties(
  name: str, layers: tuple[layering.Layer, ...], cut: int, inputs: jax.Array
) -> list[timing.Timing]:
  """Time a step of a network that is cut in two."""
  model = split.SplitModel(layers, (cut,))
  joined_fn = lambda params, state, inputs, key: model.apply(
    params, state, inputs, train=True, key=key
  )
  return step(name, model, joined_fn, inputs)


def many_parties(num_parties: int, inputs: jax.Array) -> list[timing.Timing]:
  """Time a step of perceptrons of several parties under one top."""
  columns = np.array_split(np.arange(inputs[0].size), num_parties)
  layers = models.mlp(10)
  model = training.PartyModel(
    FeatureSplit(tuple(columns), tuple(x.shape for x in columns)),
    (layers[:7],) * num_parties,
    layers[7:],
  )

  def run(layers: Any, params: PyTree, x: jax.Array) -> jax.Array:
    for layer, layer_params in zip(layers, params, strict=True):
      x, _ = layering.apply(layer, layer_params, {}, x, train=True, key=None)
    return x

  def joined_fn(
    params: PyTree, state: PyTree, inputs: jax.Array, key: jax.Array
  ) -> tuple[jax.Array, PyTree]:
    del key
    flat = inputs.reshape(len(inputs), -1)
    sent = [
      run(layers[:7], one, flat[:, held])
      for one, held in zip(params[:-1], columns, strict=True)
    ]
    return run(layers[7:], params[-1], jnp.concatenate(sent, axis=1)), state

  return step(f'perceptrons of {num_parties} parties', model, joined_fn, inputs)


def trainings() -> list[timing.Timing]:
  """Time sixteen seeds of the default network on digits, three epochs each."""
  digits = data.load_digits(seed=0)
  run = functools.partial(
    training.train,
    inputs=jnp.asarray(digits.train_inputs),
    labels=jnp.asarray(digits.train_labels),
    num_epochs=3,
    batch_size=32,
    model=split.SplitModel(models.mlp(10), (7,)),
    optimizers=[optax.sgd(0.05)] * 2,
    record_fn=lambda exchanges: exchanges[0].cut_grads,
  )
  keys = jax.random.split(jax.random.key(0), _NUM_RUNS)
  one, mesh = jax.jit(run), parallel.make_mesh()
  make_fn = lambda **kwargs: jax.jit(
    functools.partial(parallel.map_runs, run, **kwargs)
  )
  ways = {
    'vmapped': make_fn(),
    f'{_AT_ONCE} at a time': make_fn(at_once=_AT_ONCE),
  }
  if mesh is not None:
    ways[f'{mesh.size} devices, {_AT_ONCE} at a time'] = make_fn(
      at_once=_AT_ONCE, mesh=mesh
    )
  return [
    timed
    for name, many in ways.items()
    for timed in timing.compare(
      f'{_NUM_RUNS} trainings, {name}',
      lambda many=many: many(keys),
      {'one after the other': lambda: [one(key) for key in keys]},
      timing.REPEATS.value,
    )
  ]


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError('Too many command-line arguments.')
  jax.config.update('jax_num_cpu_devices', _CPU_DEVICES.value)
  rng = np.random.default_rng(0)
  draw = lambda *shape: jnp.asarray(rng.uniform(size=shape), jnp.float32)
  timing.show(
    [
      *two_parties('mlp on digits', models.mlp(10), 7, draw(256, 8, 8, 1)),
      *two_parties(
        'conv_net on digits', models.conv_net(10), 8, draw(64, 8, 8, 1)
      ),
      *many_parties(_NUM_PARTIES, draw(256, 8, 8, 1)),
      *trainings(),
    ]
  )


if __name__ == '__main__':
  app.run(main)
