import sys
import warnings

import numpy as np
import pytest

from splitjax.integrations import numpy as numpy_integration
from splitjax.records import read_cut_record

torch = pytest.importorskip('torch')

# ruff: noqa: E402
from splitjax.integrations.torch import CutRecorder


@pytest.fixture(autouse=True)
def _seed():
  torch.manual_seed(0)


def _parts():
  bottom = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh())
  return bottom, torch.nn.Linear(3, 2)


def _batches(num=3, size=5):
  rng = np.random.default_rng(0)
  for number in range(num):
    ids = torch.arange(number * size, (number + 1) * size)
    inputs = torch.tensor(rng.normal(size=(size, 4)), dtype=torch.float32)
    yield ids, inputs, torch.tensor(rng.integers(0, 2, size))


def _loss(top, smashed, labels):
  return torch.nn.functional.cross_entropy(top(smashed).float(), labels)


def _read(folder):
  """Reads the only pass of a record."""
  (one,) = read_cut_record(folder).passes
  return one


def test_what_is_recorded_is_what_autograd_says(tmp_path):
  bottom, top = _parts()
  smashed, cut_grads, labels = [], [], []
  with CutRecorder(tmp_path, bottom, metadata={'model': 'mlp'}) as recorder:
    for ids, x, y in _batches():
      recorder.batch(ids, labels=y)
      h = bottom(x)
      (g,) = torch.autograd.grad(_loss(top, h, y), h, retain_graph=True)
      _loss(top, h, y).backward()
      smashed.append(h.detach().numpy())
      cut_grads.append(g.numpy())
      labels.append(y.numpy())
  one = _read(tmp_path)
  np.testing.assert_array_equal(one.smashed, np.concatenate(smashed))
  np.testing.assert_array_equal(one.cut_grads, np.concatenate(cut_grads))
  np.testing.assert_array_equal(one.labels, np.concatenate(labels))
  np.testing.assert_array_equal(one.sample_ids, np.arange(15))
  np.testing.assert_array_equal(one.steps, np.arange(3).repeat(5))
  assert read_cut_record(tmp_path).metadata == {'model': 'mlp'}


def test_files_are_those_of_the_numpy_writer_byte_for_byte(tmp_path):
  bottom, top = _parts()
  with (
    CutRecorder(tmp_path / 'torch', bottom) as recorder,
    numpy_integration.CutRecorder(tmp_path / 'numpy') as writer,
  ):
    for ids, x, y in _batches():
      recorder.batch(ids, labels=y)
      h = bottom(x)
      h.retain_grad()
      _loss(top, h, y).backward()
      writer.append(
        ids.tolist(),
        smashed=h.detach().numpy(),
        cut_grads=h.grad.numpy(),
        labels=y.numpy(),
      )
  paths = [x for x in (tmp_path / 'torch').rglob('*') if x.is_file()]
  assert len(paths) == 6
  for path in paths:
    other = tmp_path / 'numpy' / path.relative_to(tmp_path / 'torch')
    assert path.read_bytes() == other.read_bytes()


def test_two_parties_that_send_tensors_are_recorded(tmp_path):
  """What the client gets is recorded, with the noise that the server added."""
  bottom, top = _parts()
  received = []
  with CutRecorder(tmp_path, bottom) as recorder:
    for ids, x, y in _batches():
      recorder.batch(ids)
      h = bottom(x)
      at_server = h.detach().requires_grad_()
      _loss(top, at_server, y).backward()
      received.append(at_server.grad + torch.randn(5, 3))
      h.backward(received[-1])
  np.testing.assert_array_equal(_read(tmp_path).cut_grads, torch.cat(received))


def test_gradient_is_taken_after_the_hooks_of_a_defense(tmp_path):
  bottom, top = _parts()
  with CutRecorder(tmp_path, bottom) as recorder:
    for ids, x, y in _batches():
      recorder.batch(ids)
      h = bottom(x)
      h.register_hook(lambda grad: torch.full_like(grad, 7.0))
      _loss(top, h, y).backward()
  assert (np.asarray(_read(tmp_path).cut_grads) == 7).all()


def test_what_is_sent_is_kept_when_it_is_changed_in_place(tmp_path):
  module = torch.nn.Linear(4, 3)
  sent = []
  with CutRecorder(tmp_path, module) as recorder:
    for ids, x, _ in _batches():
      recorder.batch(ids)
      h = module(x)
      sent.append(h.detach().clone())
      h.relu_().sum().backward()
  one = _read(tmp_path)
  np.testing.assert_array_equal(one.smashed, torch.cat(sent))
  np.testing.assert_array_equal(one.cut_grads, (torch.cat(sent) > 0).float())


def test_view_that_is_changed_in_place_is_recorded(tmp_path):
  """Such as what Flatten returns, with ReLU(inplace=True) after it."""
  module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Flatten())
  sent = []
  with CutRecorder(tmp_path, module) as recorder:
    for ids, x, _ in _batches():
      recorder.batch(ids)
      h = module(x[:, None])
      sent.append(h.detach().clone())
      h.relu_().sum().backward()
  one = _read(tmp_path)
  np.testing.assert_array_equal(one.smashed, torch.cat(sent))
  np.testing.assert_array_equal(one.cut_grads, (torch.cat(sent) > 0).float())


def test_gradients_may_come_after_several_forward_passes(tmp_path):
  bottom, top = _parts()
  with CutRecorder(tmp_path, bottom) as recorder:
    losses, grads = [], []
    for ids, x, y in _batches():
      recorder.batch(ids)
      h = bottom(x)
      h.retain_grad()
      grads.append(h)
      losses.append(_loss(top, h, y))
    sum(losses).backward()
  one = _read(tmp_path)
  expected = dict(zip(range(15), torch.cat([h.grad for h in grads]).tolist(),
                      strict=True))  # fmt: skip
  actual = zip(one.sample_ids.tolist(), one.cut_grads.tolist(), strict=True)
  assert dict(actual) == expected
  steps = dict(zip(one.sample_ids.tolist(), one.steps.tolist(), strict=True))
  assert [steps[i] for i in range(15)] == np.arange(3).repeat(5).tolist()


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_mixed_precision_is_recorded(tmp_path, dtype):
  bottom, top = torch.nn.Linear(4, 3), torch.nn.Linear(3, 2)
  scaler = torch.amp.GradScaler('cpu', init_scale=64.0)
  grads = []
  with CutRecorder(tmp_path, bottom, loss_scale=scaler.get_scale) as recorder:
    for ids, x, y in _batches():
      recorder.batch(ids)
      with torch.autocast('cpu', dtype=dtype):
        h = bottom(x)
        h.retain_grad()
        loss = _loss(top, h, y)
      scaler.scale(loss).backward()
      grads.append(h.grad.float() / 64)
      assert h.dtype == dtype
  one = _read(tmp_path)
  assert one.cut_grads.dtype == np.float32
  np.testing.assert_array_equal(one.cut_grads, torch.cat(grads))
  expected = np.float16 if dtype == torch.float16 else np.float32
  assert one.smashed.dtype == expected


def test_gradient_that_overflows_is_left_out_with_a_warning(tmp_path):
  bottom, _ = _parts()
  with CutRecorder(tmp_path, bottom) as recorder:
    for (ids, x, _), factor in zip(_batches(), (np.inf, 1, 1), strict=True):
      recorder.batch(ids)
      h = bottom(x)
      if factor == 1:
        h.sum().backward()
      else:
        with pytest.warns(RuntimeWarning, match='is not finite is not recor'):
          h.backward(torch.full_like(h, factor))
  assert _read(tmp_path).sample_ids.tolist() == list(range(5, 15))
  assert set(_read(tmp_path).steps.tolist()) == {1, 2}


@pytest.mark.parametrize('how', ['eval', 'no_grad', 'inference_mode'])
def test_evaluations_are_inference_and_the_last_is_kept(tmp_path, how):
  bottom, top = _parts()
  modes = {'no_grad': torch.no_grad, 'inference_mode': torch.inference_mode}
  with CutRecorder(tmp_path, bottom) as recorder:
    for _ in range(2):
      recorder.new_pass()
      bottom.train()
      for ids, x, y in _batches():
        recorder.batch(ids, labels=y)
        _loss(top, bottom(x), y).backward()
      if how == 'eval':
        bottom.eval()
      with torch.no_grad():
        bottom[0].weight.mul_(2)
      last = []
      with modes.get(how, torch.enable_grad)():
        for ids, x, y in _batches(2):
          recorder.batch(ids, labels=y)
          last.append(bottom(x).detach().clone())
  record = read_cut_record(tmp_path)
  assert [len(x) for x in record.passes] == [15, 15]
  assert record.inference.sample_ids.tolist() == list(range(10))
  np.testing.assert_array_equal(record.inference.smashed, torch.cat(last))


def test_gradients_in_evaluation_mode_are_asked_about(tmp_path):
  """A bottom with frozen statistics trains in evaluation mode."""
  bottom, top = _parts()
  bottom.eval()
  batches = list(_batches())
  with CutRecorder(tmp_path, bottom) as recorder:
    ids, x, y = batches[0]
    recorder.batch(ids)
    with pytest.raises(ValueError, match='training=True'):
      _loss(top, bottom(x), y).backward()
    recorder.batch(ids, training=True)
    _loss(top, bottom(x), y).backward()
  assert _read(tmp_path).cut_grads.shape == (5, 3)


class _Several(torch.nn.Module):
  def __init__(self, form):
    super().__init__()
    self.linear = torch.nn.Linear(4, 6)
    self.form = form

  def forward(self, x, scale=1.0):
    first, second = (scale * self.linear(x)).split(3, dim=1)
    return {'tuple': (first, second), 'dict': {'a': first, 'b': second}}[
      self.form
    ]


@pytest.mark.parametrize(
  ('form', 'index'), [('tuple', 0), ('tuple', 1), ('dict', 'b')]
)
def test_one_of_several_outputs_is_recorded(tmp_path, form, index):
  module = _Several(form)
  (ids, x, _), *_ = _batches()
  with CutRecorder(tmp_path, module, output_index=index) as recorder:
    recorder.batch(ids)
    outputs = module(x, scale=2.0)
    names = (0, 1) if form == 'tuple' else ('a', 'b')
    first, second = (outputs[n] for n in names)
    (first.sum() + 5 * second.sum()).backward()
  one = _read(tmp_path)
  np.testing.assert_array_equal(one.smashed, outputs[index].detach())
  factor = 1.0 if index == 0 else 5.0
  np.testing.assert_array_equal(one.cut_grads, np.full((5, 3), factor))


def test_baselines_are_recorded_of_the_untrained_module(tmp_path):
  bottom, top = _parts()
  names = ('cut_grads', 'untrained_smashed', 'inputs')
  untrained, inputs = [], []
  with CutRecorder(tmp_path, bottom, record=names) as recorder:
    before = [p.detach().clone() for p in bottom.parameters()]
    optimizer = torch.optim.SGD(bottom.parameters(), lr=1.0)
    for ids, x, y in _batches():
      recorder.batch(ids)
      _loss(top, bottom(x), y).backward()
      optimizer.step()
      untrained.append(torch.tanh(x @ before[0].T + before[1]))
      inputs.append(x)
  one = _read(tmp_path)
  assert one.smashed is None
  np.testing.assert_allclose(
    one.untrained_smashed, torch.cat(untrained), atol=1e-6
  )
  np.testing.assert_array_equal(one.inputs, torch.cat(inputs))


def test_leaf_that_crosses_is_recorded(tmp_path):
  class Detached(torch.nn.Module):
    def forward(self, x):
      return (2 * x).detach().requires_grad_()

  module = Detached()
  (ids, x, _), *_ = _batches()
  with CutRecorder(tmp_path, module) as recorder:
    recorder.batch(ids)
    (3 * module(x)).sum().backward()
  np.testing.assert_array_equal(_read(tmp_path).cut_grads, np.full((5, 4), 3.0))


def test_hooks_are_removed_after_an_exception_and_the_record_is_read(tmp_path):
  bottom, top = _parts()
  batches = list(_batches())
  with pytest.raises(ZeroDivisionError), CutRecorder(tmp_path, bottom) as rec:
    ids, x, y = batches[0]
    rec.batch(ids)
    _loss(top, bottom(x), y).backward()
    ids, x, y = batches[1]
    rec.batch(ids)
    waiting = _loss(top, bottom(x), y)
    raise ZeroDivisionError
  assert not bottom._forward_hooks
  waiting.backward()
  bottom(batches[2][1]).sum().backward()
  assert _read(tmp_path).sample_ids.tolist() == list(range(5))


def test_hooks_do_not_change_what_is_computed(tmp_path):
  grads = []
  for recorded in (False, True):
    torch.manual_seed(1)
    bottom, top = _parts()
    recorder = CutRecorder(tmp_path, bottom)
    if recorded:
      recorder.__enter__()
    for ids, x, y in _batches():
      if recorded:
        recorder.batch(ids)
      _loss(top, bottom(x), y).backward()
    if recorded:
      recorder.__exit__(None, None, None)
    grads.append([p.grad for p in bottom.parameters()])
  for one, other in zip(*grads, strict=True):
    assert torch.equal(one, other)


@pytest.fixture
def running(tmp_path):
  """A recorder that runs, its module, and a batch."""
  bottom, top = _parts()
  (ids, x, y), *_ = _batches()
  with warnings.catch_warnings():
    # A test that leaves a batch half done is about something else.
    warnings.simplefilter('ignore', RuntimeWarning)
    with CutRecorder(tmp_path / 'cut', bottom) as recorder:
      yield recorder, bottom, ids, x


def test_forward_without_batch_is_refused(running):
  recorder, bottom, ids, x = running
  with pytest.raises(ValueError, match=r'must come after batch\(sample_ids\)'):
    bottom(x)
  with recorder.paused():
    bottom(x)
  recorder.batch(ids)
  bottom(x)
  with pytest.raises(ValueError, match='once for each, got one without'):
    bottom(x)


def test_batch_that_the_module_never_saw_is_refused(running):
  recorder, bottom, ids, x = running
  recorder.batch(ids)
  bottom.forward(x)
  with pytest.raises(ValueError, match=r'the module itself, not its forward'):
    recorder.batch(ids)


@pytest.mark.parametrize('wrong', [[0, 1], 3, np.arange(6)])
def test_wrong_number_of_ids_is_refused(running, wrong):
  recorder, bottom, _, x = running
  recorder.batch(wrong)
  with pytest.raises(ValueError, match='sample_ids must be 5, one for each'):
    bottom(x)


def test_ids_that_come_twice_are_refused(running):
  recorder, bottom, ids, x = running
  recorder.batch(ids)
  bottom(x).sum().backward()
  recorder.batch(ids)
  with pytest.raises(ValueError, match=r'twice: call new_pass\(\)'):
    bottom(x).sum().backward()


def test_second_gradient_is_refused(running):
  recorder, bottom, ids, x = running
  recorder.batch(ids)
  h = bottom(x)
  h.sum().backward(retain_graph=True)
  with pytest.raises(ValueError, match='must get one gradient'):
    h.sum().backward()


def test_output_without_gradient_is_refused(running):
  recorder, bottom, ids, x = running
  bottom.requires_grad_(False)
  recorder.batch(ids)
  with pytest.raises(ValueError, match=r"record=\('smashed',\)"):
    bottom(x)


def test_output_that_is_no_tensor_of_rows_is_refused(tmp_path):
  module = torch.nn.Flatten(0)
  with CutRecorder(tmp_path, module) as recorder:
    recorder.batch([0])
    with pytest.raises(ValueError, match=r'be a tensor \[n, ...\], got \('):
      module(torch.ones(1, 2))
    with recorder.paused():
      module(torch.ones(1, 2))
    with pytest.warns(RuntimeWarning, match='not followed by a forward pass'):
      recorder.new_pass()


@pytest.mark.parametrize('ends', ['pass', 'recorder'])
def test_batch_without_gradient_is_dropped_with_a_warning(tmp_path, ends):
  bottom, _ = _parts()
  batches = list(_batches())
  recorder = CutRecorder(tmp_path, bottom)
  with (
    pytest.warns(RuntimeWarning, match='no gradient .*, 1 in this pass'),
    recorder,
  ):
    recorder.batch(batches[0][0])
    bottom(batches[0][1]).sum().backward()
    recorder.batch(batches[1][0])
    late = bottom(batches[1][1]).sum()
    if ends == 'pass':
      recorder.new_pass()
  late.backward()
  assert _read(tmp_path).sample_ids.tolist() == list(range(5))


@pytest.mark.parametrize('record', ['smashed', (), ('smashed', 'weights')])
def test_wrong_names_are_refused(tmp_path, record):
  with pytest.raises(ValueError, match='record must be some of smashed, cut_g'):
    CutRecorder(tmp_path, torch.nn.Linear(1, 1), record=record)


def test_recorder_is_used_in_a_with_statement(tmp_path):
  recorder = CutRecorder(tmp_path, torch.nn.Linear(1, 1))
  with pytest.raises(ValueError, match='in a `with` statement'):
    recorder.batch([0])
  with recorder:
    recorder.new_pass()
  with pytest.raises(ValueError, match='is closed'):
    recorder.new_pass()


def test_without_torch_the_import_says_what_to_install(monkeypatch):
  name = 'splitjax.integrations.torch'
  monkeypatch.delitem(sys.modules, name)
  monkeypatch.setitem(sys.modules, 'torch', None)
  with pytest.raises(ImportError, match=r"pip install 'splitjax\[torch\]'"):
    __import__(name)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_tensors_of_a_gpu_are_recorded(tmp_path):
  bottom, top = (part.cuda() for part in _parts())
  grads = []
  with CutRecorder(tmp_path, bottom) as recorder:
    for ids, x, y in _batches():
      recorder.batch(ids.cuda(), labels=y.cuda())
      h = bottom(x.cuda())
      h.retain_grad()
      _loss(top, h, y.cuda()).backward()
      grads.append(h.grad.cpu())
  np.testing.assert_array_equal(_read(tmp_path).cut_grads, torch.cat(grads))
