"""Old path of `splitjax.attacks` and `splitjax.engine.trials`.

Use the new paths; this one goes in 0.3.
"""

import warnings

from splitjax.attacks import AttackResult as Answer
from splitjax.engine.trials import AttackFn as AttackFn
from splitjax.engine.trials import Predictions as Predictions
from splitjax.engine.trials import predict as predict
from splitjax.engine.trials import stack_views as stack_views

__all__ = ['Answer', 'AttackFn', 'Predictions', 'predict', 'stack_views']

warnings.warn(
  f'{__name__} goes in 0.3: use splitjax.attacks, splitjax.engine.trials.',
  DeprecationWarning,
  stacklevel=2,
)
