"""Simulates attacks whose true accuracy is known, to check intervals.

Whether a network labels a sample rightly is decided by a normal variable: the
sum of a level, an effect of the network, one of the draw, how easy the sample
is (for all networks, and for this one) and noise.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import special

from splitjax import metrics

NUM_SAMPLES, NUM_GROUPS = 300, 30

_NUM_ATTACKS = 5
# What attacks on one network and one sample have in common.
_COMMON = 0.7
_AT_ONCE = 2e7  # Numbers in memory.


class Scenario(NamedTuple):
  """What makes an attack right.

  Attributes:
    level: of all samples; 0 for an accuracy of 50%.
    networks: standard deviation of the networks' effects.
    draws: that of the effects of draws.
    samples: that of samples, equal for all networks.
    pairs: that of samples for one network.
    skewed: whether a few draws are much worse than the rest.
  """

  level: float
  networks: float
  draws: float
  samples: float
  pairs: float
  skewed: bool = False


SCENARIOS = {
  'noise alone': Scenario(0, 0, 0, 0, 0),
  'networks dominate': Scenario(0.3, 0.5, 0.1, 0.5, 0.3),
  'draws dominate': Scenario(0.3, 0.1, 0.5, 0.5, 0.3),
  'samples dominate': Scenario(0.3, 0.1, 0.1, 2, 0.3),
  'mixed': Scenario(0.3, 0.1, 0.2, 1, 0.7),
  'near 99%': Scenario(2.6, 0.1, 0.2, 0.5, 0.3),
  'near 99%, hard samples': Scenario(4.5, 0.1, 0.1, 1.5, 0.5),
  'near 99%, networks': Scenario(3, 0.4, 0.2, 0.5, 0.3),
  'skewed draws': Scenario(0.8, 0.1, 0.4, 0.5, 0.3, skewed=True),
}


class Simulated(NamedTuple):
  """Accuracies of attacks in simulated cases.

  Attributes:
    values: `[cases, M, S, R]`.
    deleted: without a group of samples, `[cases, M, G, S, R]`.
    truth: of the population that the intervals name, `[cases, M]`.
  """

  values: np.ndarray
  deleted: np.ndarray
  truth: np.ndarray


def simulate(
  rng: np.random.Generator,
  scenario: Scenario,
  size: tuple[int, int, int],
  num_attacks: int = 1,
) -> Simulated:
  """Simulate attacks on the same networks and samples.

  Args:
    rng: source of randomness.
    scenario: what makes an attack right.
    size: cases, networks `S` and draws `R`.
    num_attacks: `M`.

  Returns:
    Their accuracies.
  """
  cases, num_networks, num_draws = size
  normal = lambda *shape: rng.standard_normal((cases, *shape), np.float32)
  networks, easy = normal(num_networks, 1), normal(1, 1, NUM_SAMPLES)
  groups, truths = [], []
  for _ in range(num_attacks):
    common, own = np.sqrt([_COMMON, 1 - _COMMON]).astype(np.float32)
    if num_attacks == 1:
      common, own = np.float32(1), np.float32(0)
    network = common * networks + own * normal(num_networks, 1)
    draw = normal(num_networks, num_draws)
    if scenario.skewed:
      draw = 1 - rng.standard_exponential(draw.shape, np.float32)
    effects = scenario.networks * network, scenario.draws * draw
    right = (scenario.level + sum(effects))[..., None] + scenario.samples * (
      common * easy + own * normal(1, 1, NUM_SAMPLES)
    )
    right = right + scenario.pairs * normal(num_networks, 1, NUM_SAMPLES)
    right = right + normal(num_networks, num_draws, NUM_SAMPLES) > 0
    shape = (cases, num_networks, num_draws, NUM_GROUPS, -1)
    groups.append(right.reshape(shape).mean(-1))
    truths.append(_true_accuracy(scenario, *effects))
  of_groups = np.moveaxis(np.stack(groups, 1), -1, 2)
  values = of_groups.mean(2)
  deleted = NUM_GROUPS * values[:, :, None] - of_groups
  return Simulated(values, deleted / (NUM_GROUPS - 1), np.stack(truths, 1))


def _true_accuracy(
  scenario: Scenario, network: np.ndarray, draw: np.ndarray
) -> np.ndarray:
  """Return the accuracy in the population that an interval names, `[cases]`."""
  cases, num_networks, num_draws = draw.shape
  variance = 1 + scenario.samples**2 + scenario.pairs**2
  if num_networks == num_draws == 1:
    effect = (network + draw)[:, 0]
  else:
    # All draws, at equally probable places.
    places = (np.arange(1000) + 0.5) / 1000
    quantiles = special.ndtri(places)
    if scenario.skewed:
      quantiles = 1 + np.log(places)
    effect = scenario.draws * quantiles[None]
    if num_networks == 1:
      effect = network[:, 0] + effect
    else:
      variance += scenario.networks**2
  level = (scenario.level + effect) / np.sqrt(variance)
  return np.broadcast_to(special.ndtr(level).mean(-1), (cases,))


def single(
  rng: np.random.Generator, scenario: Scenario, size: tuple[int, int, int]
) -> np.ndarray:
  """Return which intervals of one attack cover."""
  found = simulate(rng, scenario, size)
  low, high = metrics.interval(
    found.values, found.deleted, num_samples=NUM_SAMPLES
  )
  return ((low <= found.truth) & (found.truth <= high))[:, 0]


def paired(
  rng: np.random.Generator, scenario: Scenario, size: tuple[int, int, int]
) -> np.ndarray:
  """Return which intervals of the difference of two attacks cover."""
  found = simulate(rng, scenario, size, 2)
  values, deleted, truth = (x[:, 0] - x[:, 1] for x in found)
  low, high = metrics.interval(
    values, deleted, bounds=metrics.DIFFERENCE, num_samples=NUM_SAMPLES
  )
  return (low <= truth) & (truth <= high)


def strongest(
  rng: np.random.Generator, scenario: Scenario, size: tuple[int, int, int]
) -> np.ndarray:
  """Return where the intervals of five differences cover together."""
  found = simulate(rng, scenario, size, _NUM_ATTACKS + 1)
  covered = []
  for case in zip(*found, strict=True):
    values, deleted, truth = (x[1:] - x[0] for x in case)
    low, high = metrics.simultaneous(values, deleted, num_samples=NUM_SAMPLES)
    covered.append(((low <= truth) & (truth <= high)).all())
  return np.array(covered)


def coverage(
  covers_fn: Callable[..., np.ndarray],
  scenario: Scenario,
  sizes: tuple[int, int],
  cases: int,
) -> float:
  """Return the share of intervals that cover.

  Args:
    covers_fn: `single`, `paired` or `strongest`.
    scenario: what makes an attack right.
    sizes: networks and draws.
    cases: how many to simulate.

  Returns:
    The share.
  """
  rng = np.random.default_rng(0)
  at_once = max(int(_AT_ONCE / (NUM_SAMPLES * np.prod(sizes))), 1)
  parts = [min(at_once, cases - x) for x in range(0, cases, at_once)]
  covers = [covers_fn(rng, scenario, (part, *sizes)) for part in parts]
  return float(np.concatenate(covers).mean())
