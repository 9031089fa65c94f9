"""The epsilon of DP-SGD; on the host, not traced.

All are of (epsilon, delta)-differential privacy and Gaussian noise. They differ
in what is released, how batches are drawn, and which data sets are neighbours;
each function states that. A number is meaningless without it.
"""

from collections.abc import Callable
import functools
import math

from scipy import optimize

_RELATIVE_ERROR = 1e-3


def epsilon_shuffled(
  *, noise_multiplier: float, num_epochs: int, delta: float
) -> float:
  """Epsilon of `dp_sgd.server_update` with shuffled batches of fixed size.

  A sample is in exactly one batch an epoch, so an epoch is one Gaussian
  mechanism to it, and `T` epochs are one with `1 / sqrt(T)` of the noise: exact
  (Balle and Wang, 2018, https://arxiv.org/abs/1805.06530). That an attacker
  does not know which batch is not counted, since the proofs of such an
  amplification do not hold for shuffling.

  Neighbours: one sample's gradient is there, or is zero instead (add or remove,
  with the other batches unchanged). One sample replaced, or its label, moves
  the sum by up to twice the clip norm: pass half the noise multiplier.

  It covers the label party's weights and nothing else: the cut gradients that
  it sends are not noised, see `epsilon_message`.

  Args:
    noise_multiplier: as in `dp_sgd.server_update`.
    num_epochs: how often each sample is used.
    delta: in `(0, 1)`.

  Returns:
    Epsilon; infinite without noise.

  Raises:
    ValueError: if an argument is out of range.
  """
  _check(noise_multiplier, delta, num_epochs=num_epochs)
  return _gaussian(noise_multiplier, num_epochs, delta)


def epsilon_message(
  *, noise_multiplier: float, num_epochs: int, delta: float
) -> float:
  """Epsilon of a label through `dp_sgd.message`, given the server's weights.

  Each pass releases a sample's own noised cut gradient, which another label
  moves by up to twice the clip norm.

  Neighbours: one sample has another label; inputs are not protected.

  Not counted: the label also moves the label party's weights, and through them
  the later messages of all samples, this one's too. For a bound on everything
  that is sent, protect the update too, and add its epsilon (and delta) for
  half the noise multiplier, see `epsilon_shuffled`.

  Args:
    noise_multiplier: as in `dp_sgd.message`.
    num_epochs: how often each sample's cut gradient is sent.
    delta: in `(0, 1)`.

  Returns:
    Epsilon; infinite without noise.

  Raises:
    ValueError: if an argument is out of range.
  """
  _check(noise_multiplier, delta, num_epochs=num_epochs)
  return _gaussian(noise_multiplier / 2, num_epochs, delta)


def epsilon_poisson(
  *, noise_multiplier: float, sampling_rate: float, num_steps: int, delta: float
) -> float:
  """Epsilon as customarily reported: as if batches were Poisson samples.

  For comparison with the literature: each sample would be in each batch with
  probability `sampling_rate`, independently. Batches here are shuffled, for
  which this is no upper bound. By composed privacy loss distributions
  (dp_accounting, rounded upwards by about a thousandth); a bound by Renyi
  divergences, which is faster but some 10% larger, sets the grid.

  Neighbours: add or remove one sample.

  Args:
    noise_multiplier: as in `dp_sgd.server_update`.
    sampling_rate: batch size over data size, in `(0, 1]`.
    num_steps: how many batches.
    delta: in `(0, 1)`.

  Returns:
    Epsilon; infinite without noise.

  Raises:
    ValueError: if an argument is out of range.
  """
  _check(noise_multiplier, delta, num_steps=num_steps)
  if not 0 < sampling_rate <= 1:
    raise ValueError(f'sampling_rate must be in (0, 1], got {sampling_rate}.')
  if noise_multiplier == 0 or num_steps == 0:
    return math.inf if num_steps else 0.0
  import dp_accounting  # A second to import, so not above.
  from dp_accounting import pld
  from dp_accounting import rdp

  step = dp_accounting.PoissonSampledDpEvent(
    sampling_rate, dp_accounting.GaussianDpEvent(noise_multiplier)
  )
  event = dp_accounting.SelfComposedDpEvent(step, num_steps)
  # Whole orders, since others are slow, and fail to converge at little noise.
  accountant = rdp.RdpAccountant(orders=range(2, 257))
  bound = float(accountant.compose(event).get_epsilon(delta))
  # The rounding adds about the squared interval, at every step.
  interval = min(math.sqrt(_RELATIVE_ERROR * bound / num_steps), 1e-2)
  accountant = pld.PLDAccountant(value_discretization_interval=interval)
  return min(float(accountant.compose(event).get_epsilon(delta)), bound)


def noise_multiplier_for(
  target_epsilon: float, epsilon_fn: Callable[..., float], **conditions
) -> float:
  """The least noise whose epsilon is at most the target, to a thousandth.

  >>> round(noise_multiplier_for(1.0, epsilon_shuffled, num_epochs=1,
  ...                            delta=1e-5), 2)
  3.73

  Args:
    target_epsilon: positive; infinity needs no noise.
    epsilon_fn: one of the functions above.
    **conditions: its other arguments.

  Returns:
    The noise multiplier.

  Raises:
    ValueError: if the target is not positive.
  """
  if not target_epsilon > 0:
    raise ValueError(f'target_epsilon must be positive, got {target_epsilon}.')
  if target_epsilon == math.inf:
    return 0.0

  @functools.cache  # An epsilon may take a second.
  def excess(log_noise):
    epsilon = epsilon_fn(noise_multiplier=math.exp(log_noise), **conditions)
    return math.log(max(epsilon, 1e-300) / target_epsilon)

  low, high = 0.0, 0.0
  while excess(high) > 0:
    low, high = high, high + 1
  while low == high or excess(low) <= 0:
    high, low = low, low - 1
    if low < -20:  # Without a release there is nothing to hide.
      return 0.0
  tolerance = _RELATIVE_ERROR / 4
  root = optimize.brentq(excess, low, high, xtol=tolerance)
  return math.exp(root + 2 * tolerance)


def _gaussian(noise_multiplier, num_releases, delta):
  """Epsilon of Gaussian mechanisms of sensitivity 1."""
  if num_releases == 0:
    return 0.0
  import dp_accounting  # A second to import, so not above.

  return float(
    dp_accounting.get_epsilon_gaussian(
      noise_multiplier / math.sqrt(num_releases), delta
    )
  )


def _check(noise_multiplier, delta, **counts):
  """Refuses what has no epsilon."""
  if not noise_multiplier >= 0:
    raise ValueError(
      f'noise_multiplier must be at least 0, got {noise_multiplier}.'
    )
  if not 0 < delta < 1:
    raise ValueError(f'delta must lie between 0 and 1, got {delta}.')
  for name, count in counts.items():
    if count < 0:
      raise ValueError(f'{name} must be at least 0, got {count}.')
