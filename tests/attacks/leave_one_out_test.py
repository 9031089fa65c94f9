import itertools

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax.attacks import leave_one_out


def _points(seed, num=30, width=5, num_groups=3):
  rng = np.random.default_rng(seed)
  points = rng.normal(size=(num, width)).astype(np.float32)
  return points, rng.integers(0, num_groups, num)


def _slow_distances(points, groups, num_groups):
  """In float64, with each mean made anew without the point."""
  points = np.float64(points)
  found = np.zeros((len(points), num_groups))
  for i, x in enumerate(points):
    for k in range(num_groups):
      others = points[(groups == k) & (np.arange(len(points)) != i)]
      if len(others):
        found[i, k] = np.sum((x - others.mean(0)) ** 2) - np.sum(x**2)
  return found


def _distances(points, groups, num_groups):
  own = jax.nn.one_hot(groups, num_groups)
  sums = leave_one_out.sums_of(jnp.asarray(points), own)
  return leave_one_out.distances(jnp.asarray(points), own, sums)


@given(seed=st.integers(0, 10_000), num_groups=st.sampled_from([2, 5]))
@settings(max_examples=20, deadline=None)
def test_distances_are_to_means_without_the_point(seed, num_groups):
  points, groups = _points(seed, num_groups=num_groups)
  np.testing.assert_allclose(
    _distances(points, groups, num_groups),
    _slow_distances(points, groups, num_groups),
    atol=1e-4,
  )


def test_group_without_others_is_at_zero():
  points, groups = _points(0)
  groups = np.where(groups == 2, 0, groups)
  groups[4] = 2  # Alone.
  found = _distances(points, groups, 4)
  assert found[4, 2] == 0
  assert not np.any(found[:, 3])  # Empty.


def test_point_of_no_group_takes_no_part():
  points, groups = _points(1)
  own = jax.nn.one_hot(groups, 3)
  sums = leave_one_out.sums_of(jnp.asarray(points), own)
  new = jnp.ones((1, 5))
  means = sums.sums / sums.sizes[:, None]
  np.testing.assert_allclose(
    leave_one_out.distances(new, jnp.zeros((1, 3)), sums)[0],
    jnp.sum((new - means) ** 2, axis=1) - 5,
    atol=1e-5,
  )


def test_members_that_only_fit_themselves_are_moved():
  rng = np.random.default_rng(0)
  truth = np.repeat([0, 1], 100)
  means = 0.25 * rng.normal(size=(2, 400))
  points = means[truth] + rng.normal(size=(200, 400))
  start = np.where(rng.random(200) < 0.3, 1 - truth, truth)
  moved = jax.jit(
    lambda x, groups: leave_one_out.reassign(
      x, groups, num_groups=2, num_iters=3
    )
  )(jnp.float32(points - points.mean(0, keepdims=True)), start)
  assert np.mean(moved == truth) > 0.97 > np.mean(start == truth) + 0.2


def test_chance_explains_nothing_and_classes_do():
  rng = np.random.default_rng(1)
  groups = rng.integers(0, 4, 400)
  noise = jnp.float32(rng.normal(size=(400, 20)))
  noise -= noise.mean(0, keepdims=True)
  assert leave_one_out.explained(noise, groups, 4) < 0.01
  means = jnp.float32(rng.normal(size=(4, 20)))
  classes = means[groups] + noise
  classes -= classes.mean(0, keepdims=True)
  share = 1 - np.float64(noise).var() / np.float64(classes).var()
  assert abs(leave_one_out.explained(classes, groups, 4) - share) < 0.05


def _slow_name(costs, labels, num_classes):

  best = min(
    itertools.permutations(range(num_classes)),
    key=lambda names: sum(
      costs[a, names.index(label)] for a, label in enumerate(labels.tolist())
    ),
  )
  return list(best)


@pytest.mark.parametrize('seed', range(4))
def test_names_cost_least_together(seed):
  rng = np.random.default_rng(seed)
  labels = np.array([0, 1, 2, 3, 1, 2])
  costs = rng.normal(size=(6, 4)).astype(np.float32)
  names = leave_one_out.name(jnp.asarray(costs), jnp.asarray(labels), 4)
  assert names.tolist() == _slow_name(costs, labels, 4)


def test_names_under_vmap_equal_a_loop():
  costs = jax.random.normal(jax.random.key(0), (3, 5, 5))
  labels = jnp.arange(5)
  fn = lambda x: leave_one_out.name(x, labels, 5)
  expected = jnp.stack([fn(x) for x in costs])
  assert (jax.vmap(fn)(costs) == expected).all()


def _slow_margin(points, groups, num_groups):
  unit = lambda x: x / max(np.linalg.norm(x), 1e-30)
  means = []
  for group in range(num_groups):
    members = np.flatnonzero(groups == group)
    margins = []
    for i in members:
      others = [j for j in members if j != i]
      if not others:
        margins.append(0.0)
        continue
      own = unit(points[i]) @ unit(points[others].sum(0))
      rest = [
        unit(points[i]) @ unit(points[groups == other].sum(0))
        for other in range(num_groups)
        if other != group and (groups == other).any()
      ]
      margins.append(own - max(rest) if rest else 0.0)
    means.append(np.mean(margins) if margins else 0.0)
  return np.mean(means)


@given(
  # Of few shapes: each is a program of its own.
  groups=st.one_of(
    st.lists(st.integers(0, 3), min_size=n, max_size=n) for n in (4, 19)
  ),
  width=st.sampled_from([1, 5]),
  seed=st.integers(0, 99),
)
def test_margins_are_those_of_a_slow_loop(groups, width, seed):
  groups = np.array(groups)
  points = np.random.default_rng(seed).normal(size=(len(groups), width))
  points = points.astype(np.float32)
  found = leave_one_out.margin(jnp.asarray(points), jnp.asarray(groups), 4)
  np.testing.assert_allclose(found, _slow_margin(points, groups, 4), atol=2e-3)
