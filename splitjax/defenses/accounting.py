"""The epsilon of DP-SGD, computed on the host and not traced.

All functions state (epsilon, delta)-differential privacy of Gaussian noise.
They differ in what is released, how batches are drawn, and which data sets
count as neighbours. An epsilon means nothing without these three, so each
function states them.
"""

from collections.abc import Callable
import functools
import math

import scipy

_RELATIVE_ERROR = 1e-3


def epsilon_shuffled(
  *, noise_multiplier: float, num_epochs: int, delta: float
) -> float:
  """Return the epsilon of `dp_sgd.server_update` with shuffled batches.

  Batches have a fixed size, and each epoch uses each sample exactly once. For
  one sample, an epoch is then one Gaussian mechanism, and `T` epochs are one
  Gaussian mechanism with `1 / sqrt(T)` of the noise. Its epsilon is exact
  (Balle and Wang, 2018, https://arxiv.org/abs/1805.06530). That an attacker
  does not know which batch a sample was in is not counted, since the proofs of
  such an amplification do not hold for shuffling.

  Neighbours: one sample's gradient is present, or is zero instead (add or
  remove, with the other batches unchanged). If a sample or its label is
  replaced, the sum moves by up to twice the clip norm: pass half the noise
  multiplier for that case.

  The epsilon covers the label party's weights and nothing else. The cut
  gradients that it sends carry no noise; for those, use `epsilon_message`.

  Args:
    noise_multiplier: noise multiplier of `dp_sgd.server_update`, at least 0.
    num_epochs: how often each sample is used, at least 0.
    delta: delta of the differential privacy, in `(0, 1)`.

  Returns:
    Epsilon; infinite without noise.

  Raises:
    ValueError: if an argument is out of range.

  Example:
    >>> epsilon = epsilon_shuffled(
    ...   noise_multiplier=4.0, num_epochs=1, delta=1e-5
    ... )
    >>> round(epsilon, 2)
    0.93
  """
  _check(noise_multiplier, delta, num_epochs=num_epochs)
  return _gaussian(noise_multiplier, num_epochs, delta)


def epsilon_message(
  *, noise_multiplier: float, num_epochs: int, delta: float
) -> float:
  """Return the epsilon of a label that `dp_sgd.message` protects.

  Each epoch releases a sample's own noised cut gradient, which another label
  moves by up to twice the clip norm.

  Neighbours: one sample has another label. Inputs are not protected.

  The label also moves the label party's weights, and through them the later
  cut gradients of all samples. That is not counted here: the epsilon holds
  given the weights. For a bound on everything that is sent, also protect the
  update with `dp_sgd.server_update`, and add its epsilon and delta, computed by
  `epsilon_shuffled` with half of its noise multiplier.

  Args:
    noise_multiplier: noise multiplier of `dp_sgd.message`, at least 0.
    num_epochs: how often each sample's cut gradient is sent, at least 0.
    delta: delta of the differential privacy, in `(0, 1)`.

  Returns:
    Epsilon; infinite without noise.

  Raises:
    ValueError: if an argument is out of range.

  Example:
    >>> epsilon = epsilon_message(
    ...   noise_multiplier=8.0, num_epochs=1, delta=1e-5
    ... )
    >>> round(epsilon, 2)
    0.93
  """
  _check(noise_multiplier, delta, num_epochs=num_epochs)
  return _gaussian(noise_multiplier / 2, num_epochs, delta)


def epsilon_poisson(
  *, noise_multiplier: float, sampling_rate: float, num_steps: int, delta: float
) -> float:
  """Return the epsilon usually reported, as if batches were Poisson samples.

  For comparison with the literature only: it would hold if each sample were in
  each batch with probability `sampling_rate`, independently. Batches here are
  shuffled, and for those it is no upper bound.

  It is computed by composing privacy loss distributions (dp_accounting), and
  rounded upwards by about a thousandth. A bound by Renyi divergences, which is
  faster but some 10% larger, sets the grid of these distributions.

  Neighbours: one sample is added or removed.

  Args:
    noise_multiplier: noise multiplier of `dp_sgd.server_update`, at least 0.
    sampling_rate: batch size over number of samples, in `(0, 1]`.
    num_steps: number of batches, at least 0.
    delta: delta of the differential privacy, in `(0, 1)`.

  Returns:
    Epsilon; infinite without noise.

  Raises:
    ValueError: if an argument is out of range.

  Example:
    >>> epsilon = epsilon_poisson(
    ...   noise_multiplier=1.0, sampling_rate=0.01, num_steps=100, delta=1e-5
    ... )
    >>> round(epsilon, 1)
    0.7
  """
  _check(noise_multiplier, delta, num_steps=num_steps)
  if not 0 < sampling_rate <= 1:
    raise ValueError(f'sampling_rate must be in (0, 1], got {sampling_rate}.')
  if noise_multiplier == 0 or num_steps == 0:
    return math.inf if num_steps else 0.0
  import dp_accounting  # Imported here, since that takes a second.
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
  target_epsilon: float,
  epsilon_fn: Callable[..., float],
  **conditions: float,
) -> float:
  """Return the least noise multiplier whose epsilon is at most a target.

  Args:
    target_epsilon: largest epsilon allowed, positive; infinity needs no noise.
    epsilon_fn: one of the `epsilon_` functions of this module.
    **conditions: the arguments of `epsilon_fn` other than `noise_multiplier`.

  Returns:
    The noise multiplier, to a relative error of a thousandth.

  Raises:
    ValueError: if the target is not positive, or an argument of `epsilon_fn` is
      out of range.

  Example:
    >>> noise_multiplier = noise_multiplier_for(
    ...   1.0, epsilon_shuffled, num_epochs=1, delta=1e-5
    ... )
    >>> round(noise_multiplier, 2)
    3.73
  """
  if not target_epsilon > 0:
    raise ValueError(f'target_epsilon must be positive, got {target_epsilon}.')
  if target_epsilon == math.inf:
    return 0.0

  @functools.cache  # One epsilon may take a second.
  def excess(log_noise: float) -> float:
    epsilon = epsilon_fn(noise_multiplier=math.exp(log_noise), **conditions)
    return math.log(max(epsilon, 1e-300) / target_epsilon)

  ends = _bracket(excess)
  if ends is None:
    return 0.0
  tolerance = _RELATIVE_ERROR / 4
  root = scipy.optimize.brentq(excess, *ends, xtol=tolerance)
  # pyrefly: ignore[unsupported-operation]
  return math.exp(root + 2 * tolerance)


def _bracket(excess: Callable[[float], float]) -> tuple[float, float] | None:
  """Find an interval in which a falling function changes its sign.

  Args:
    excess: falling function of the logarithm of the noise multiplier.

  Returns:
    The ends of an interval of length 1, or None if the function is negative
    even for the least noise: where nothing is released, none is needed.
  """
  low, high = 0.0, 0.0
  while excess(high) > 0:
    low, high = high, high + 1
  while low == high or excess(low) <= 0:
    high, low = low, low - 1
    if low < -20:
      return None
  return low, high


def _gaussian(
  noise_multiplier: float, num_releases: int, delta: float
) -> float:
  """Return the epsilon of several Gaussian mechanisms of sensitivity 1."""
  if num_releases == 0:
    return 0.0
  import dp_accounting  # Imported here, since that takes a second.

  return float(
    dp_accounting.get_epsilon_gaussian(
      noise_multiplier / math.sqrt(num_releases), delta
    )
  )


def _check(noise_multiplier: float, delta: float, **counts: int) -> None:
  """Raise ValueError for arguments that are out of range."""
  if not noise_multiplier >= 0:
    raise ValueError(
      f'noise_multiplier must be at least 0, got {noise_multiplier}.'
    )
  if not 0 < delta < 1:
    raise ValueError(f'delta must lie between 0 and 1, got {delta}.')
  for name, count in counts.items():
    if count < 0:
      raise ValueError(f'{name} must be at least 0, got {count}.')
