import jax
import numpy as np
import pytest

from splitjax.models import layering
from splitjax.models.text_cnn import WordConvolutions
from splitjax.models.text_cnn import max_over_words


@pytest.mark.parametrize('length', [1, 2, 6])
def test_word_convolutions_equal_loops(length):
  widths, features = (1, 2, 3, 4), 2
  layer = WordConvolutions(features, widths, None)
  x = np.random.default_rng(0).normal(size=(3, length, 5)).astype(np.float32)
  actual, params, _ = layering.init(layer, jax.random.key(0), x)
  expected = np.zeros((3, length, len(widths) * features))
  for index, width in enumerate(widths):
    kernel = np.asarray(params[f'Dense_{index}']['kernel'])
    kernel = kernel.reshape(width, 5, features)
    channels = slice(index * features, (index + 1) * features)
    for position in range(length):
      for i in range(width):
        word = position + i - (width - 1) // 2
        if 0 <= word < length:
          expected[:, position, channels] += x[:, word] @ kernel[i]
  np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_max_over_words_takes_each_channel_by_itself():
  x = np.random.default_rng(0).normal(size=(2, 4, 3))
  np.testing.assert_array_equal(max_over_words(x), x.max(1).astype(np.float32))
