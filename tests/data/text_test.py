import zlib

import numpy as np
import pytest

from splitjax import data
from splitjax.data import text


def _id(token, vocabulary_size):
  return 1 + zlib.crc32(token.encode()) % (vocabulary_size - 1)


def test_ids_are_those_of_a_slow_loop():
  texts = ['The cat, the CAT!', 'Ünïcode naïveté 東京', '', "it's"]
  tokens = [
    ['the', 'cat', ',', 'the', 'cat', '!'],
    ['ünïcode', 'naïveté', '東京'],
    [],
    ['it', "'", 's'],
  ]
  expected = np.zeros((4, 6), np.int32)
  for i, row in enumerate(tokens):
    for j, token in enumerate(row):
      expected[i, j] = _id(token, 50)
  actual = data.hash_tokens(texts, vocabulary_size=50, max_tokens=9)
  assert actual.dtype == np.int32
  np.testing.assert_array_equal(actual, expected)


def test_ids_never_change():
  # Figures of crc32, so that a model read from a file means the same tomorrow.
  ids = data.hash_tokens(['a good film .'], vocabulary_size=8192)
  np.testing.assert_array_equal(ids, [[1084, 4816, 4201, 6381]])


def test_ids_lie_between_one_and_the_vocabulary():
  words = [' '.join(f'w{i}' for i in range(2000))]
  ids = data.hash_tokens(words, vocabulary_size=7, max_tokens=2000)
  assert set(ids.reshape(-1)) == set(range(1, 7))


def test_long_texts_are_cut_and_short_ones_padded():
  ids = data.hash_tokens(['a b c d', 'a'], max_tokens=3)
  assert ids.shape == (2, 3)
  assert (ids[1, 1:] == 0).all()
  np.testing.assert_array_equal(ids[0, 0], ids[1, 0])


def test_parts_are_equally_wide_and_cuts_are_noted():
  train, test, notes = text.hash_parts(
    ['a', 'b !'], ['a b c', '', 'a b c d e f'], max_tokens=4
  )
  assert (train.shape, test.shape) == ((2, 4), (3, 4))
  assert notes == (
    '1 of 5 texts were cut to max_tokens=4 tokens; the longest has 6',
    '1 of 5 texts have no token',
  )


def test_texts_without_any_token_are_one_wide():
  np.testing.assert_array_equal(data.hash_tokens(['', ' ']), [[0], [0]])


@pytest.mark.parametrize(
  'name,value', [('vocabulary_size', 1), ('max_tokens', 0)]
)
def test_refused_numbers_are_named(name, value):
  with pytest.raises(ValueError, match=f'{name} must .*{value}'):
    data.hash_tokens(['a'], **{name: value})
