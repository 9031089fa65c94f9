"""What whoever receives defended gradients can do about a defense.

Which defense is at work is no secret, and neither are the batches: the client
made them. The names stand here because defenses say them and attacks heed them,
and neither knows the other.
"""

import enum
from typing import NamedTuple

import jax


class Counter(enum.StrEnum):
  """A way to undo a part of a defense, before gradients are compared.

  Attributes:
    BATCH_MEANS: subtract each batch's mean. A mean that was mixed into every
      gradient of the batch is gone, and the rest is only scaled.
    PAIRS: credit each gradient to the sample of a mixed pair that weighs more,
      by the draws that both parties share.
    LINES: compare the lines along which gradients lie instead of their
      directions. Noise along the gradient flips its sign and changes its
      length, and leaves the line. Tells more than two classes apart.
    ONE_CLASS: see which batches point one way. They are of one class, and
      were sent as they are; the others hold both. Tells two classes apart.
    MISSING: take entries that are zero for not sent. Which entries were sent
      is a pattern, and own inputs tell which patterns are of one class.
  """

  BATCH_MEANS = 'batch_means'
  PAIRS = 'pairs'
  LINES = 'lines'
  ONE_CLASS = 'one_class'
  MISSING = 'missing'


class Channel(NamedTuple):
  """A known mechanism that labels went through before they were trained on.

  Attributes:
    probabilities: of each released label given each true one, `[C, C]`.
    prior: shares of the classes, which the mechanism takes for public, `[C]`.
  """

  probabilities: jax.Array
  prior: jax.Array
