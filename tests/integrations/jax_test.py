import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax.integrations.jax import CutRecorder
from splitjax.integrations.jax import split_grads
from splitjax.integrations.numpy import CutRecorder as NumpyRecorder
from splitjax.records import read_cut_record


def _client(params, inputs):
  return jnp.tanh(inputs @ params)


def _server_loss(params, smashed, labels):
  logits = smashed @ params
  chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1)
  return -chosen.mean()


def _problem():
  keys = jax.random.split(jax.random.key(0), 3)
  client = jax.random.normal(keys[0], (4, 3))
  server = jax.random.normal(keys[1], (3, 2))
  inputs = jax.random.normal(keys[2], (6, 4))
  return client, server, inputs, jnp.arange(6) % 2


def test_split_gradients_equal_those_of_the_joined_model():
  client, server, inputs, labels = _problem()
  crossed = jax.jit(split_grads, static_argnums=(0, 1))(
    _client, _server_loss, client, server, inputs, labels
  )

  def joined(client, server):
    return _server_loss(server, _client(client, inputs), labels)

  expected = jax.grad(joined, argnums=(0, 1))(client, server)
  np.testing.assert_allclose(crossed.client_grads, expected[0], rtol=1e-5)
  np.testing.assert_allclose(crossed.server_grads, expected[1], rtol=1e-5)
  np.testing.assert_allclose(crossed.loss, joined(client, server), rtol=1e-6)
  cut_grads = jax.grad(lambda h: _server_loss(server, h, labels))(
    _client(client, inputs)
  )
  np.testing.assert_allclose(crossed.cut_grads, cut_grads, rtol=1e-5)


def test_files_are_those_of_the_numpy_recorder_byte_for_byte(tmp_path):
  client, server, inputs, labels = _problem()
  crossed = split_grads(_client, _server_loss, client, server, inputs, labels)
  ids = np.arange(6) + 100
  arrays = {
    'smashed': crossed.smashed,
    'cut_grads': crossed.cut_grads,
    'untrained_smashed': crossed.smashed,
    'inputs': inputs,
    'labels': labels,
  }
  with CutRecorder(tmp_path / 'jax') as recorder:
    recorder.record(ids, **arrays)
    del arrays['cut_grads']
    recorder.record_inference(jnp.asarray(ids), **arrays)
  arrays = {name: np.asarray(x) for name, x in arrays.items()}
  with NumpyRecorder(tmp_path / 'numpy') as recorder:
    recorder.append(ids, cut_grads=np.asarray(crossed.cut_grads), **arrays)
    recorder.append_inference(ids, **arrays)
  paths = [x for x in (tmp_path / 'jax').rglob('*') if x.is_file()]
  assert len(paths) == 13
  for path in paths:
    other = tmp_path / 'numpy' / path.relative_to(tmp_path / 'jax')
    assert path.read_bytes() == other.read_bytes()


def test_bfloat16_is_recorded_as_float32(tmp_path):
  smashed = jnp.ones((2, 3), jnp.bfloat16) / 3
  with CutRecorder(tmp_path) as recorder:
    recorder.record([0, 1], smashed=smashed)
  (one,) = read_cut_record(tmp_path).passes
  np.testing.assert_array_equal(one.smashed, smashed.astype(jnp.float32))


def test_recording_inside_of_jit_is_refused(tmp_path):
  with CutRecorder(tmp_path) as recorder:

    @jax.jit
    def step(h):
      recorder.record([0, 1], smashed=h)
      return h

    with pytest.raises(ValueError, match='got a tracer: record outside of jax'):
      step(jnp.ones((2, 3)))
