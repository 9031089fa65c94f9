import itertools
import pathlib

from absl.testing import parameterized
import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize
from scipy import stats

from splitjax.defenses import marvell

_GOLDEN = np.genfromtxt(
  pathlib.Path(__file__).with_name('marvell.csv'), delimiter=',', names=True
)
_INPUTS = ('neg_var', 'pos_var', 'dim', 'mean_gap_sq', 'pos_frac', 'power')
_solve_many = jax.jit(jax.vmap(marvell.solve_covariances))
_power_many = jax.jit(
  jax.vmap(lambda *args: marvell.smallest_power(*args[:5], max_sum_kl=args[5]))
)


def _in_chunks(fn, rows, dtype):
  """The function at the rows `[N, 6]`, in chunks of one shape: one compile."""
  rows = np.asarray(rows, float)
  padded = np.concatenate([rows, np.repeat(rows[-1:], -len(rows) % 64, 0)])
  with jax.enable_x64(dtype == 'float64'):
    chunks = [
      fn(*jnp.asarray(chunk.T, dtype))
      for chunk in np.split(padded, len(padded) // 64)
    ]
    assert all(x.dtype == dtype for x in jax.tree.leaves(chunks))
  join = lambda *xs: np.concatenate(xs).astype(float)[: len(rows)]
  return jax.tree.map(join, *chunks)


def _solve(rows, dtype='float32'):
  return _in_chunks(_solve_many, rows, dtype)


def _spent(rows, solution):
  _, _, d, _, p, _ = np.asarray(rows, float).T
  negatives = solution.lam10 + (d - 1) * solution.lam20
  positives = solution.lam11 + (d - 1) * solution.lam21
  return (1 - p) * negatives + p * positives


def _objective(lams, u, v, d, gap_sq):
  """sumKL, as the paper writes it."""
  lam10, lam20, lam11, lam21 = lams
  total = (d - 1) * ((lam20 + u) / (lam21 + v) + (lam21 + v) / (lam20 + u))
  total += (lam10 + u + gap_sq) / (lam11 + v)
  total += (lam11 + v + gap_sq) / (lam10 + u)
  return total / 2 - d


def _slsqp(u, v, d, gap_sq, p, power):
  """The best of several runs of SLSQP over all four variances."""
  weights = np.array([1 - p, (1 - p) * (d - 1), p, p * (d - 1)])
  constraints = [
    dict(type='eq', fun=lambda x: weights @ x / power - 1),
    dict(type='ineq', fun=lambda x: (x[[0, 2]] - x[[1, 3]]) / power),
  ]
  best = np.inf
  for start in ([1, 0.01, 1, 0], [1, 0, 1, 0.01], [1, 0.1, 1, 0.1]):
    start = np.array(start) * power / (weights @ start)
    result = optimize.minimize(
      _objective,
      start,
      (u, v, d, gap_sq),
      method='SLSQP',
      bounds=[(0, None)] * 4,
      constraints=constraints,
      options=dict(maxiter=300, ftol=1e-12),
    )
    lams = np.maximum(result.x, 0)
    feasible = abs(weights @ lams / power - 1) < 1e-9
    if feasible and (lams[[0, 2]] >= lams[[1, 3]] - 1e-9 * power).all():
      best = min(best, result.fun)
  return best


class SolveCovariancesTest(parameterized.TestCase):
  @parameterized.product(
    dtype_and_rtol=[('float64', 1e-9), ('float32', 1e-4)],
    scale=[1e-6, 1e-3, 1.0, 1e3, 1e6],
  )
  def test_agrees_with_golden_file_at_any_scale(self, dtype_and_rtol, scale):
    dtype, rtol = dtype_and_rtol
    rows = np.stack([_GOLDEN[name] for name in _INPUTS], axis=1)
    rows[:, [0, 1, 3, 5]] *= scale
    solution = _solve(rows, dtype)
    np.testing.assert_allclose(solution.sum_kl, _GOLDEN['sum_kl'], rtol=rtol)
    lams = np.stack([_GOLDEN[x] for x in solution._fields[:4]])
    # The divergence is flat about its minimum, so these agree less closely.
    error = np.abs(np.stack(solution[:4]) / scale - lams) / rows[:, 5] * scale
    np.testing.assert_array_less(error, 2e-3)

  @parameterized.parameters(('float64', 1e-13), ('float32', 3e-7))
  def test_edges_are_feasible_and_defined(self, dtype, rtol):
    values = [0, 1e-12, 1, 1e6]
    rows = np.array(
      list(
        itertools.product(
          values,
          values,
          [1, 2, 1024],
          values,
          [0, 1e-9, 0.3, 1 - 1e-6, 1],
          [0, 1e-9, 1e-3, 1, 1e6],
        )
      )
    ).astype(dtype)
    solution = _solve(rows, dtype)
    assert np.isfinite(solution[:4]).all()
    assert (solution.sum_kl >= 0).all()
    np.testing.assert_allclose(
      _spent(rows, solution), rows[:, 5].astype(float), rtol=rtol
    )
    assert (solution.lam10 >= solution.lam20).all()
    assert (solution.lam11 >= solution.lam21).all()
    assert (np.minimum(solution.lam20, solution.lam21) == 0).all()
    # Infinite only without variance in a direction in which the classes differ.
    infinite = np.isinf(solution.sum_kl)
    assert (rows[infinite, :2].min(axis=1) == 0).all()
    assert (rows[infinite, 5] == 0).all()

  @hypothesis.given(
    st.floats(-4, 1),
    st.floats(-4, 1),
    st.sampled_from([1, 2, 7, 64, 1000]),
    st.floats(-3, 2),
    st.floats(0.02, 0.98),
    st.floats(-2, 2),
  )
  def test_never_worse_than_slsqp(self, log_u, log_v, d, log_gap, p, log_power):
    u, v, gap_sq, power = 10.0 ** np.array([log_u, log_v, log_gap, log_power])
    reference = _slsqp(u, v, d, gap_sq, p, power)
    row = [(u, v, d, gap_sq, p, power)]
    solution = _solve(row, 'float64')
    np.testing.assert_allclose(
      solution.sum_kl[0],
      _objective(np.array(solution[:4])[:, 0], u, v, d, gap_sq),
      rtol=1e-7,
      atol=1e-9 * d,  # The reference subtracts d from a sum near it.
    )
    # SLSQP keeps to the power within 1e-9 only, and may fail altogether.
    assert solution.sum_kl[0] <= reference * (1 + 1e-6) + 1e-9 * d
    narrow = _solve(row, 'float32').sum_kl[0]
    np.testing.assert_allclose(narrow, solution.sum_kl[0], rtol=1e-3, atol=1e-9)

  @hypothesis.given(st.integers(0, 10**6))
  def test_never_worse_than_random_feasible_points(self, seed):
    rng = np.random.default_rng(seed)
    u, v, gap_sq, power = 10.0 ** rng.uniform(-3, 1, 4)
    d, p = int(rng.integers(1, 50)), rng.uniform(0, 1)
    lam2 = rng.uniform(size=(2, 5000)) ** rng.uniform(0, 9, (2, 1))
    lam2 *= np.array([[1], [1]]) * (rng.uniform(size=(2, 5000)) < 0.7)
    extra = rng.uniform(size=(2, 5000))
    lams = np.stack([lam2[0] + extra[0], lam2[0], lam2[1] + extra[1], lam2[1]])
    weights = np.array([1 - p, (1 - p) * (d - 1), p, p * (d - 1)])
    lams *= power / (weights @ lams)[None]
    best = _objective(lams, u, v, d, gap_sq).min()
    solution = _solve([(u, v, d, gap_sq, p, power)], 'float64')
    assert solution.sum_kl[0] <= best * (1 + 1e-9)

  def test_sum_kl_is_of_the_two_normals(self):
    row = (0.3, 0.5, 6, 2.0, 0.2, 1.5)
    solution = _solve([row], 'float64')
    lams = np.array(solution[:4])[:, 0]
    mean = np.sqrt(row[3]) * np.eye(6)[0]
    negatives = np.diag([lams[0], *[lams[1]] * 5]) + row[0] * np.eye(6)
    positives = np.diag([lams[2], *[lams[3]] * 5]) + row[1] * np.eye(6)
    draws = np.random.default_rng(0).normal(size=(200_000, 6))
    log_ratio = lambda x: (
      stats.multivariate_normal(mean, positives).logpdf(x)
      - stats.multivariate_normal(np.zeros(6), negatives).logpdf(x)
    )
    forward = log_ratio(draws @ np.sqrt(positives) + mean)
    backward = -log_ratio(draws @ np.sqrt(negatives))
    terms = forward + backward
    error = terms.std() / np.sqrt(len(terms))  # About 0.005.
    assert abs(terms.mean() - solution.sum_kl[0]) < 4 * error

  def test_zero_gap_makes_variances_equal(self):
    # 0.25 * 16 * (3 - 1) = 8 of power is enough.
    solution = _solve(
      [(1, 3, 16, 0, 0.75, 9), (1, 3, 16, 0, 0.75, 4)], 'float32'
    )
    np.testing.assert_allclose(solution.sum_kl[0], 0, atol=1e-12)
    np.testing.assert_allclose(solution.lam20, [2, 1], rtol=1e-5)
    np.testing.assert_array_equal(solution.lam21, [0, 0])

  def test_equal_classes_share_the_power_along_the_gap(self):
    solution = _solve(
      [(0.1, 0.1, 8, 2, 0.5, 3), (0, 0, 512, 2, 0.5, 3)], 'float32'
    )
    np.testing.assert_allclose(np.stack(solution[:4])[::2], 3, rtol=1e-6)
    np.testing.assert_array_equal(np.stack(solution[:4])[1::2], 0)
    # G / (u + P).
    np.testing.assert_allclose(solution.sum_kl, [2 / 3.1, 2 / 3], rtol=1e-6)

  def test_one_class_is_the_limit(self):
    rows = [(0.2, 0.7, 9, 2, p, 1.5) for p in (0, 1e-12, 1e-10, 1 - 1e-12, 1)]
    solution = np.stack(_solve(rows, 'float64'))
    np.testing.assert_allclose(solution[:, 0], solution[:, 1], rtol=1e-8)
    np.testing.assert_allclose(solution[:, 0], solution[:, 2], rtol=1e-6)
    np.testing.assert_allclose(solution[:, 4], solution[:, 3], rtol=1e-8)

  def test_swapping_classes_swaps_the_noise(self):
    one = _solve([(0.2, 0.7, 9, 2, 0.25, 1.5)], 'float32')
    other = _solve([(0.7, 0.2, 9, 2, 0.75, 1.5)], 'float32')
    np.testing.assert_array_equal(one[:2], other[2:4])
    np.testing.assert_allclose(one.sum_kl, other.sum_kl, rtol=1e-6)

  def test_more_power_never_raises_sum_kl(self):
    powers = np.logspace(-4, 4, 200)
    rows = [(0.02, 0.3, 100, 1.0, 0.1, power) for power in powers]
    assert (np.diff(_solve(rows, 'float64').sum_kl) < 0).all()

  def test_vmap_equals_a_loop(self):
    rows = np.stack([_GOLDEN[name] for name in _INPUTS], axis=1)[:3]
    solve = jax.jit(marvell.solve_covariances)
    expected = [solve(*row.tolist()) for row in rows]
    actual = _solve(rows, 'float32')
    np.testing.assert_allclose(
      np.stack(actual), np.array(expected).T, rtol=1e-5, atol=1e-8
    )


class SmallestPowerTest(parameterized.TestCase):
  @parameterized.parameters(('float64', 1e-6), ('float32', 1e-3))
  def test_reaches_the_threshold_and_no_less_does(self, dtype, margin):
    rng = np.random.default_rng(0)
    u, v, gap_sq = 10.0 ** rng.uniform(-4, 1, (3, 40))
    d, p = rng.integers(1, 300, 40), rng.uniform(0.02, 0.98, 40)
    thresholds = 10.0 ** rng.uniform(-2, 0.6, 40)
    rows = np.stack([u, v, d, gap_sq, p, thresholds], axis=1)
    powers = _in_chunks(_power_many, rows, dtype)
    rows[:, 5] = powers
    at_powers = _solve(rows, 'float64').sum_kl
    np.testing.assert_array_less(at_powers, thresholds * (1 + margin))
    rows[:, 5] *= 1 - margin
    needed = rows[:, 5] > 0
    at_less = _solve(rows, 'float64').sum_kl
    np.testing.assert_array_less(thresholds[needed], at_less[needed])
    assert 20 < needed.sum() < 40 or needed.all()

  def test_equal_variances_have_a_closed_form(self):
    # sumKL = G / (u + P) for p = 1/2, so P = G / K - u, or nothing.
    rows = [(1, 1, 10, 3, 0.5, 0.1), (1, 1, 10, 0.01, 0.5, 0.02)]
    powers = _in_chunks(_power_many, rows, 'float32')
    np.testing.assert_allclose(powers, [29, 0], rtol=1e-5)


class BoundsTest(parameterized.TestCase):
  def test_values(self):
    sum_kl = np.array([0, 1, 4, 5, np.inf])
    np.testing.assert_allclose(marvell.auc_bound(sum_kl), [0.5, 0.875, 1, 1, 1])
    np.testing.assert_allclose(
      marvell.detection_error_bound(sum_kl), [0.5, 0.25, 0, 0, 0]
    )

  def test_hold_for_normals(self):
    # Two unit normals at distance delta have sumKL = delta^2.
    delta = np.linspace(0, 3, 50)
    auc = stats.norm.cdf(delta / np.sqrt(2))
    error = stats.norm.cdf(-delta / 2)
    assert (marvell.auc_bound(delta**2) >= auc - 1e-6).all()
    assert (marvell.detection_error_bound(delta**2) <= error + 1e-6).all()
