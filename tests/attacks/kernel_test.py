"""What kernels take as arrays and numbers, and what they refuse by name."""

import functools

import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from splitjax import attacks
from splitjax.attacks import _kernel

KEY = jax.random.key(0)
VECTORS = np.float32([[2, 0.1], [-0.1, 5], [3, 0], [0, 1]])
LABELS = np.array([7, 3, 7, 3], np.int32)


def _nearest(vectors, aux_labels=LABELS[:2], **kwargs):
  return attacks.nearest_labels(vectors, VECTORS[:2], aux_labels, **kwargs)


@pytest.mark.parametrize('order', ['<', '>'])
@pytest.mark.parametrize('kind', ['f2', 'f4', 'f8'])
def test_any_byte_order_is_read_after_a_native_call(order, kind):
  expected = _nearest(VECTORS)
  assert expected.tolist() == [7, 3, 7, 3]
  swapped = VECTORS.astype(order + kind)
  for labels in (LABELS[:2].astype(order + 'i4'), LABELS[:2].astype('>i2')):
    assert _nearest(swapped, labels).tolist() == expected.tolist()
  assert attacks.kmeans(swapped, swapped[:2]).assignments.tolist() == [
    *(0, 1, 0, 0)
  ]
  batch = attacks.OnlineClusters(
    KEY,
    np.eye(2, dtype=order + 'f4'),
    np.ones(2, order + 'f4'),
    np.array(1, order + 'i4'),
  )
  assert attacks.cluster_batch(batch, swapped)[1].tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
  'to_value',
  [
    lambda x: x.tolist(),
    tuple,
    pd.DataFrame,
    np.longdouble,
    np.ma.masked_array,
    jnp.asarray,
  ],
)
def test_lists_and_frames_are_arrays(to_value):
  assert _nearest(to_value(VECTORS)).tolist() == LABELS.tolist()
  assert _nearest(VECTORS, LABELS[:2].tolist()).tolist() == LABELS.tolist()


@pytest.mark.parametrize(
  ('kwargs', 'message'),
  [
    ({'vectors': VECTORS.astype(object)}, 'vectors must hold numbers, got obj'),
    ({'vectors': pd.DataFrame({'a': ['x'], 'b': [1]})}, 'vectors must hold'),
    ({'vectors': 'x'}, 'vectors must hold numbers'),
    ({'vectors': [[1.0], [2.0, 3.0]]}, 'vectors must be an array, got list'),
    ({'vectors': None}, 'vectors must be an array, got None'),
    ({'vectors': [[1, 2]]}, 'vectors must be of a floating type, got int'),
    ({'vectors': 1e300 * VECTORS.astype(float)}, 'vectors must fit float32'),
    ({'vectors': 1e-300 * VECTORS.astype(float)}, 'vectors must fit float32'),
    (
      {'aux_labels': np.array([1, 2**40])},
      'aux_labels must lie between .* 109',
    ),
    ({'aux_labels': np.array([1.0, 2.0])}, 'aux_labels must be integers'),
    ({'aux_labels': ['a', 'b']}, 'aux_labels must hold numbers'),
    ({'metric': ['cosine']}, 'metric must be a name or a number, got list'),
    ({'metric': None}, 'metric must be one of'),
  ],
)
def test_what_is_no_array_of_numbers_is_named(kwargs, message):
  with pytest.raises(ValueError, match=message) as caught:
    _nearest(**{'vectors': VECTORS, **kwargs})
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
  ('kwargs', 'message'),
  [
    ({'tol': float('nan')}, 'tol must be a finite number, got nan'),
    ({'tol': np.float32('inf')}, 'tol must be a finite number, got inf'),
    ({'tol': 'x'}, "tol must be a number, got 'x'"),
    ({'tol': None}, 'tol must be a number'),
    ({'max_iters': 2.5}, 'max_iters must be a whole number, got 2.5'),
    ({'max_iters': True}, 'max_iters must be a whole number, got True'),
    ({'max_iters': [3]}, 'max_iters must be a name or a number'),
  ],
)
def test_number_that_is_none_is_named(kwargs, message):
  with pytest.raises(ValueError, match=message):
    attacks.kmeans(VECTORS, VECTORS[:2], **kwargs)
  if 'tol' in kwargs and isinstance(kwargs['tol'], float):
    with pytest.raises(ValueError, match=message):
      attacks.stream_kmeans(VECTORS, VECTORS[:2], **kwargs)


def test_labels_of_no_class_are_ignored():
  labels = np.array([1, -1, 0, 5], np.int32)
  found = attacks.nearest_scores(VECTORS, VECTORS, labels, num_classes=2)
  expected = attacks.nearest_scores(
    VECTORS, VECTORS[::2], labels[::2], num_classes=2
  )
  np.testing.assert_allclose(found, expected, atol=1e-6)
  units = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
  # Two that are almost parallel take the way of vectors far from 0.
  cosines = (units @ units[::2].T)[:, ::-1]
  np.testing.assert_allclose(found, cosines, atol=1e-6)
  scores = attacks.norm_scores(VECTORS, VECTORS, labels)
  expected = attacks.norm_scores(VECTORS, VECTORS[::2], labels[::2])
  np.testing.assert_allclose(scores, expected, rtol=1e-6)


def test_kernel_is_what_jax_compiles():
  lowered = attacks.nearest_labels.lower(VECTORS, VECTORS, LABELS)
  assert lowered.compile()(VECTORS, VECTORS, LABELS).shape == (4,)
  assert attacks.nearest_labels.__name__ == 'nearest_labels'


def test_numbers_of_64_bits_stay_where_they_are_enabled():
  with jax.enable_x64(True):
    wide = _kernel.to_array('x', np.array([1e300]))
    assert wide.dtype == np.float64


_GOOD = [
  VECTORS,
  VECTORS.astype('>f4'),
  VECTORS.astype('>f8'),
  VECTORS.tolist(),
  pd.DataFrame(VECTORS),
  np.where(VECTORS == 5, np.nan, VECTORS),
  VECTORS * np.float32(1e30),
  VECTORS * np.float32(1e-30),
  VECTORS + np.float32(1e6),
  np.full_like(VECTORS, -np.inf),
  np.zeros_like(VECTORS),
]
_ODD = [
  VECTORS[:0],
  VECTORS[0],
  VECTORS[:, :0],
  VECTORS.astype(object),
  VECTORS.astype(complex),
  VECTORS.astype('S'),
  VECTORS > 0,
  VECTORS.astype(int),
  VECTORS.astype(float) * 1e200,
  np.array(['2020-01-01'] * 4, 'M8[D]')[:, None],
  np.zeros(4, [('a', 'f4')]),
  'cosine',
  None,
  {},
  object(),
  3.0,
  [[1.0], []],
  b'x',
]
_LABELS = [
  LABELS,
  LABELS.astype('>i8'),
  LABELS.tolist(),
  np.array([-1, 0, 1, 99]),
  LABELS[:3],
  LABELS.astype(float),
  LABELS.astype(object),
  np.array([2**31] * 4),
  np.array([2**64 - 1] * 4, np.uint64),
  None,
  'abcd',
  [],
]
_NUMBERS = [1, 2, 0, -1, 2.5, True, None, 'x', float('nan'), [1], np.int64(2)]
_KERNELS = {
  'nearest': (
    lambda x, aux, labels, number, name: attacks.nearest_labels(
      x, aux, labels, metric=name
    )
  ),
  'scores': (
    lambda x, aux, labels, number, name: attacks.nearest_scores(
      x, aux, labels, num_classes=number, metric=name
    )
  ),
  'cluster': (
    lambda x, aux, labels, number, name: (
      attacks.cluster_labels(
        KEY, x, aux, labels, num_classes=number, metric=name
      ).labels
    )
  ),
  'kmeans': (
    lambda x, aux, labels, number, name: (
      attacks.kmeans(
        x, aux, max_iters=number, kernel=name if name == 'no' else 'xla'
      ).assignments
    )
  ),
  'tolerance': (
    lambda x, aux, labels, number, name: (
      attacks.kmeans(x, aux, tol=number).assignments
    )
  ),
  'norm': (
    lambda x, aux, labels, number, name: attacks.norm_scores(x, aux, labels)
  ),
  'ridge': (
    lambda x, aux, labels, number, name: attacks.ridge_targets(x, aux, labels)
  ),
}


def _fuzz(num_examples):
  """Calls kernels with arguments good and odd."""
  mostly = lambda good, odd: st.one_of(
    st.sampled_from(good), st.sampled_from(good), st.sampled_from(odd)
  )

  @hypothesis.given(
    name=st.sampled_from(sorted(_KERNELS)),
    vectors=mostly(_GOOD, _ODD),
    aux=mostly(_GOOD, _ODD),
    labels=mostly(_LABELS[:4], _LABELS),
    number=mostly([2], _NUMBERS),
    metric=mostly(['cosine', 'euclidean'], ['no', None, 3, ['cosine']]),
  )
  @hypothesis.settings(max_examples=num_examples, deadline=None)
  def is_right_or_one_line(name, vectors, aux, labels, number, metric):
    call = functools.partial(_KERNELS[name], labels=labels, number=number)
    try:
      found = np.asarray(call(vectors, aux, name=metric))
    except ValueError as error:
      assert '\n' not in str(error), error
      return
    rows = np.asarray(vectors, np.float64)
    assert len(found) == len(rows)
    bad = ~np.isfinite(rows).all(axis=1)
    if found.dtype.kind in 'iu':
      assert np.all(found[bad] == -1)
    elif name != 'ridge':
      assert np.isnan(found[bad]).all()

  is_right_or_one_line()


def test_odd_arguments_are_read_or_refused_in_one_line():
  _fuzz(300)


@pytest.mark.slow
def test_many_odd_arguments_are_read_or_refused_in_one_line():
  _fuzz(3000)


def test_memory_of_the_caller_is_not_read_after_the_call():
  points = np.random.default_rng(0).normal(size=(20_000, 64)).astype('f')
  for _ in range(3):
    found = attacks.kmeans(points, points[:50], max_iters=20)
    assert all(x.is_ready() for x in jax.tree.leaves(found))
