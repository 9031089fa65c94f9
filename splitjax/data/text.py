"""Texts as rows of token ids, without a vocabulary to learn or to ship."""

from collections.abc import Sequence
import re
import zlib

import numpy as np

VOCABULARY_SIZE = 8192
MAX_TOKENS = 64

_TOKEN = re.compile(r'\w+|[^\w\s]')


def tokenize(text: str) -> list[str]:
  """Split a text into words and single punctuation marks, in lower case.

  >>> tokenize("It's 9 o'clock.")
  ['it', "'", 's', '9', 'o', "'", 'clock', '.']

  Args:
    text: a text in any script.

  Returns:
    The tokens in their order.
  """
  return _TOKEN.findall(text.lower())


def hash_tokens(
  texts: Sequence[str],
  *,
  vocabulary_size: int = VOCABULARY_SIZE,
  max_tokens: int = MAX_TOKENS,
) -> np.ndarray:
  """Turn texts into token ids by a hash that is the same everywhere.

  The id of a token is `1 + crc32(token) % (vocabulary_size - 1)`, so that two
  tokens may share an id. The id 0 fills the rows of shorter texts.

  Args:
    texts: `N` texts.
    vocabulary_size: bound of the ids, which lie below it.
    max_tokens: how many tokens of a text are kept; the rest is cut off.

  Returns:
    Token ids, int32 `[N, L]`; `L` is the number of tokens of the longest text,
    at most `max_tokens`.

  Raises:
    ValueError: if `vocabulary_size` is below 2 or `max_tokens` below 1.
  """
  return _pad(_token_ids(texts, vocabulary_size), max_tokens)


def hash_parts(
  train_texts: Sequence[str],
  test_texts: Sequence[str],
  *,
  vocabulary_size: int = VOCABULARY_SIZE,
  max_tokens: int = MAX_TOKENS,
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
  """Turn the texts of both parts into token ids by `hash_tokens`.

  Args:
    train_texts: `N` texts of the training part.
    test_texts: `M` texts of the test part.
    vocabulary_size: bound of the ids, which lie below it.
    max_tokens: how many tokens of a text are kept; the rest is cut off.

  Returns:
    Token ids of both parts, int32 `[N, L]` and `[M, L]`, and notes that say how
    many texts were cut off or have no token.

  Raises:
    ValueError: if `vocabulary_size` is below 2 or `max_tokens` below 1.
  """
  ids = _token_ids([*train_texts, *test_texts], vocabulary_size)
  tokens = _pad(ids, max_tokens)
  lengths = np.array([len(row) for row in ids])
  notes = []
  if num_cut := int((lengths > max_tokens).sum()):
    notes.append(
      f'{num_cut:,} of {len(ids):,} texts were cut to max_tokens={max_tokens} '
      f'tokens; the longest has {lengths.max():,}'
    )
  if num_empty := int((lengths == 0).sum()):
    notes.append(f'{num_empty:,} of {len(ids):,} texts have no token')
  return tokens[: len(train_texts)], tokens[len(train_texts) :], tuple(notes)


def _token_ids(texts: Sequence[str], vocabulary_size: int) -> list[list[int]]:
  """Return the ids of each text's tokens."""
  if vocabulary_size < 2:
    raise ValueError(
      f'vocabulary_size must be at least 2, got {vocabulary_size}.'
    )
  known = {}  # Few tokens make up most of a text: hash each once.
  rows = []
  for text in texts:
    tokens = tokenize(text)
    for token in tokens:
      if token not in known:
        code = zlib.crc32(token.encode('utf-8', 'surrogatepass'))
        known[token] = 1 + code % (vocabulary_size - 1)
    rows.append([known[token] for token in tokens])
  return rows


def _pad(rows: list[list[int]], max_tokens: int) -> np.ndarray:
  """Return lists of ids as one array, cut and filled with zeros."""
  if max_tokens < 1:
    raise ValueError(f'max_tokens must be at least 1, got {max_tokens}.')
  longest = max((len(row) for row in rows), default=0)
  padded = np.zeros((len(rows), max(1, min(max_tokens, longest))), np.int32)
  for target, row in zip(padded, rows, strict=True):
    target[: min(len(row), max_tokens)] = row[:max_tokens]
  return padded
