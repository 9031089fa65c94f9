import functools

from absl.testing import parameterized
import jax
import jax.numpy as jnp
import numpy as np
from scipy import linalg
from scipy import special

from splitjax.defenses import marvell

_KEY = jax.random.key(0)
_multiclass = functools.partial(marvell.multiclass_noise, num_classes=3)
_solve = jax.jit(marvell.solve_covariances)
# By name: the function, its strength, and a strength at which it acts.
_FUNCTIONS = dict(
  noise=(marvell.noise, 'power', 0.5),
  dynamic_noise=(marvell.dynamic_noise, 'error', 0.4),
  multiclass_noise=(_multiclass, 'power', 0.5),
)
_bounds = jax.jit(jax.vmap(lambda g, y, s: marvell.bound(g, y, power=s)))


@functools.cache
def _with_strength(name):
  fn, strength, _ = _FUNCTIONS[name]
  return lambda g, y, s: fn(_KEY, g, y, **{strength: s})


@functools.cache
def _jitted(name):
  return jax.jit(_with_strength(name))


@functools.cache
def _vmapped(name):
  return jax.jit(jax.vmap(_with_strength(name)))


def _in_stack(fn, cases):
  """The function at cases `(grads, labels, strength)`: one compile for all."""
  assert len(cases) <= 8
  padded = [*cases, *[cases[0]] * (8 - len(cases))]
  result = fn(*(jnp.stack(x) for x in zip(*padded, strict=True)))
  return jax.tree.map(lambda x: x[: len(cases)], result)


def _batch(shape=(30, 2, 3), dtype='float32', scale=1.0, num_classes=2):
  """Gradients of classes with unequal frequencies, means and variances."""
  rng = np.random.default_rng(0)
  labels = rng.choice(num_classes, shape[0], p=_frequencies(num_classes))
  means = rng.normal(size=(num_classes, *shape[1:]))
  spread = 0.2 + 0.3 * labels.reshape(-1, *[1] * (len(shape) - 1))
  grads = scale * (means[labels] + spread * rng.normal(size=shape))
  grads[0, 0] = -0.0
  return jnp.asarray(grads, dtype), jnp.asarray(labels)


def _frequencies(num_classes):
  return dict([(2, [0.7, 0.3]), (3, [0.5, 0.3, 0.2])])[num_classes]


def _moments(grads, labels, num_classes):
  """Frequencies, means and variances of the classes, as a loop in float64."""
  rows = np.asarray(grads, float).reshape(len(grads), -1)
  classes = [rows[np.asarray(labels) == c] for c in range(num_classes)]
  return (
    np.array([len(x) / len(rows) for x in classes]),
    np.array([x.mean(axis=0) for x in classes]),
    np.array([((x - x.mean(axis=0)) ** 2).mean() for x in classes]),
  )


def _pair_gap_sq(fracs, means):
  """The mean over pairs of samples of different classes."""
  weights = np.outer(fracs, fracs) * (1 - np.eye(len(fracs)))
  gaps = means[:, None] - means[None]
  return np.average(np.sum(gaps**2, axis=2), weights=weights)


@functools.cache
def _many(name):
  draw = lambda key, g, y, s: _FUNCTIONS[name][0](key, g, y, power=s)
  return jax.jit(jax.vmap(draw, (0, None, None, None)))


def _drawn(name, grads, labels, power):
  """Noise of 4000 draws, `[K, B, D]`."""
  keys = jax.random.split(_KEY, 4000)
  noisy = _many(name)(keys, grads, labels, power)
  return np.asarray(noisy - grads[None], float)


def _assert_covariance(rows, expected):
  """Within 4.5 standard errors, of N(0, expected) draws `[N, D]`."""
  actual = rows.T @ rows / len(rows)
  variances = np.diag(expected)
  error = np.sqrt((np.outer(variances, variances) + expected**2) / len(rows))
  difference = np.abs(actual - expected)
  np.testing.assert_array_less(difference, 4.5 * error + 1e-12)


class CovarianceTest(parameterized.TestCase):
  def test_of_noise_is_the_solution(self):
    grads, labels = _batch((40, 6))
    (_, frac), means, (neg_var, pos_var) = _moments(grads, labels, 2)
    gap = means[1] - means[0]
    solution = _solve(neg_var, pos_var, 6, gap @ gap, frac, 0.8 * gap @ gap)
    lam10, lam20, lam11, lam21, _ = (float(x) for x in solution)
    assert lam10 > lam20 > 0  # The negatives vary less.
    assert lam21 == 0
    assert abs(lam11 - lam10) > 0.05 * lam10
    along = np.outer(gap, gap) / (gap @ gap)
    across = np.eye(6) - along
    drawn = _drawn('noise', grads, labels, 0.8)
    for label, lam1, lam2 in [(0, lam10, lam20), (1, lam11, lam21)]:
      rows = drawn[:, np.asarray(labels) == label].reshape(-1, 6)
      _assert_covariance(rows, lam1 * along + lam2 * across)
    power = (drawn**2).sum(axis=2).mean(axis=1)
    error = power.std() / np.sqrt(len(power))  # About 0.5%.
    assert abs(power.mean() - 0.8 * gap @ gap) < 4 * error

  def test_of_multiclass_noise_is_as_documented(self):
    grads, labels = _batch((40, 6), num_classes=3)
    fracs, means, variances = _moments(grads, labels, 3)
    centered = means - fracs @ means
    between = (fracs[:, None] * centered).T @ centered
    total = 2.0 * _pair_gap_sq(fracs, means)
    # Half of the power is enough to make the variances equal.
    level_noise = variances.max() - variances
    assert 6 * fracs @ level_noise < total / 2
    root = linalg.sqrtm(between).real
    rest = total - 6 * fracs @ level_noise
    drawn = _drawn('multiclass_noise', grads, labels, 2.0)
    for label in range(3):
      rows = drawn[:, np.asarray(labels) == label].reshape(-1, 6)
      expected = rest * root / np.trace(root)
      _assert_covariance(rows, expected + level_noise[label] * np.eye(6))
    power = (drawn**2).sum(axis=2).mean(axis=1)
    error = power.std() / np.sqrt(len(power))
    assert abs(power.mean() - total) < 4 * error

  def test_scarce_multiclass_power_lifts_the_lowest_variances(self):
    grads, labels = _batch((40, 6), num_classes=3)
    fracs, means, variances = _moments(grads, labels, 3)
    assert (np.diff(variances) > 0).all()
    total = 0.02 * _pair_gap_sq(fracs, means)
    lift = total / (2 * 6 * fracs[0])  # Of class 0 alone.
    assert variances[0] + lift < variances[1]
    drawn = _drawn('multiclass_noise', grads, labels, 0.02)
    outside = linalg.null_space(means - fracs @ means)  # [6, 4]
    for label, expected in enumerate([lift, 0, 0]):
      rows = drawn[:, np.asarray(labels) == label].reshape(-1, 6) @ outside
      _assert_covariance(rows, expected * np.eye(4))

  @parameterized.parameters('noise', 'multiclass_noise')
  def test_two_equal_classes_get_all_along_the_gap(self, name):
    rows = np.random.default_rng(0).integers(-8, 8, (20, 6))  # Sums are exact.
    labels, gap = jnp.arange(40) // 20, np.array([0, 1, 2, 3, 4, 6])
    grads = jnp.asarray(np.concatenate([rows, rows + gap]), 'float32')
    drawn = _drawn(name, grads, labels, 0.5).reshape(-1, 6)
    along = np.outer(gap, gap) / 66
    # Rounding may leave the variances unequal by 1e-7, and so a little noise.
    off = drawn @ (np.eye(6) - along)
    np.testing.assert_array_less(off.std(axis=0), 0.02)
    _assert_covariance(drawn @ along, 0.5 * 66 * along)


class ContractTest(parameterized.TestCase):
  @parameterized.parameters(
    *((name, 'float32') for name in _FUNCTIONS),
    ('noise', 'bfloat16'),
    ('multiclass_noise', 'bfloat16'),
  )
  def test_off_returns_the_bits_and_on_keeps_the_type(self, name, dtype):
    grads, labels = _batch(dtype=dtype)
    on = _FUNCTIONS[name][2]
    off, noisy = _in_stack(
      _vmapped(name), [(grads, labels, 0.0), (grads, labels, on)]
    )
    assert off.tobytes() == grads.tobytes()
    assert noisy.dtype == dtype
    # Computed in float32, rounded once.
    wide = grads.astype('float32')
    (expected,) = _in_stack(_vmapped(name), [(wide, labels, on)])
    rtol = 1e-6 if dtype == 'float32' else 2**-8
    np.testing.assert_allclose(noisy.astype('float32'), expected, rtol=rtol)
    assert jnp.abs(expected - wide).max() > 0.1

  @parameterized.parameters(*_FUNCTIONS)
  def test_noise_scales_with_the_gradients(self, name):
    grads, labels = _batch()
    scales = (1.0, 1e-25, 1e-12, 1e6)
    cases = [(grads * x, labels, _FUNCTIONS[name][2]) for x in scales]
    expected, *others = _in_stack(_vmapped(name), cases)
    for noisy, scale in zip(others, scales[1:], strict=True):
      np.testing.assert_allclose(noisy / scale, expected, rtol=1e-3, atol=1e-3)

  @parameterized.parameters('noise', 'multiclass_noise')
  def test_vmap_over_strengths_equals_a_loop(self, name):
    grads, labels = _batch()
    on = _FUNCTIONS[name][2]
    cases = [(grads, labels, jnp.float32(x)) for x in (0, on / 2, on)]
    expected = [_jitted(name)(*case) for case in cases]
    actual = _in_stack(_vmapped(name), cases)
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-4)

  @parameterized.parameters('noise', 'multiclass_noise')
  def test_soft_labels_count_as_the_largest(self, name):
    grads, labels = _batch()
    on = jnp.float32(_FUNCTIONS[name][2])
    soft = 0.6 * jax.nn.one_hot(labels, 3 if 'multi' in name else 2) + 0.1
    expected = _jitted(name)(grads, labels, on)
    actual = _jitted(name)(grads, soft, on)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)

  @parameterized.parameters(*_FUNCTIONS)
  def test_one_class_is_returned_as_is(self, name):
    grads, labels = _batch()
    on = _FUNCTIONS[name][2]
    cases = [(grads, 0 * labels + label, on) for label in (0, 1)]
    for noisy in _in_stack(_vmapped(name), cases):
      assert noisy.tobytes() == grads.tobytes()

  @parameterized.parameters(
    *((name, (30, 2, 3)) for name in _FUNCTIONS),
    *((name, (30, 1)) for name in _FUNCTIONS),
    ('multiclass_noise', (1, 1)),
  )
  def test_edges_are_finite(self, name, shape):
    grads, labels = _batch(shape)
    edges = dict(
      zero=jnp.zeros_like(grads),
      same=jnp.ones_like(grads),
      by_class=labels.reshape(-1, *[1] * (grads.ndim - 1)) + 0 * grads,
      one_off=jnp.zeros_like(grads).at[-1].set(1.0),
    )
    cases = [(g, labels, _FUNCTIONS[name][2]) for g in edges.values()]
    noisy = _in_stack(_vmapped(name), cases)
    bounds = _in_stack(_bounds, [(g, y, 0.0) for g, y, _ in cases])
    assert np.isfinite(noisy).all()
    np.testing.assert_array_equal(noisy[0], 0)
    assert ((bounds['auc_bound'] >= 0.5) & (bounds['auc_bound'] <= 1)).all()
    if len(grads) > 1:  # Gradients that are the labels.
      np.testing.assert_array_equal(bounds['auc_bound'][2], 1)

  def test_derivatives_are_finite(self):
    name, (grads, labels) = 'dynamic_noise', _batch()
    total = lambda *args: jnp.sum(_with_strength(name)(*args))
    grad_fn = jax.jit(jax.grad(total, (0, 2)))
    for x in (grads, 0 * grads):
      wrt_grads, wrt_strength = grad_fn(x, labels, _FUNCTIONS[name][2])
      np.testing.assert_array_equal(wrt_grads, np.ones(grads.shape))
      assert np.isfinite(wrt_strength)

  def test_too_few_classes_raise(self):
    grads, labels = _batch()
    with self.assertRaisesRegex(ValueError, 'num_classes must .* got 1'):
      marvell.multiclass_noise(_KEY, grads, labels, num_classes=1, power=1.0)


class DynamicNoiseTest(parameterized.TestCase):
  def test_is_noise_at_the_smallest_power(self):
    grads, labels = _batch()
    (_, frac), means, (neg_var, pos_var) = _moments(grads, labels, 2)
    gap_sq = np.sum((means[1] - means[0]) ** 2)
    errors = np.array([0.05, 0.25, 0.45])
    smallest = lambda max_sum_kl: marvell.smallest_power(
      neg_var, pos_var, 6, gap_sq, frac, max_sum_kl=max_sum_kl
    )
    powers = jax.jit(jax.vmap(smallest))((2 - 4 * errors) ** 2) / gap_sq
    at_errors = [(grads, labels, x) for x in errors]
    at_powers = [(grads, labels, x) for x in powers]
    np.testing.assert_allclose(
      _in_stack(_vmapped('dynamic_noise'), at_errors),
      _in_stack(_vmapped('noise'), at_powers),
      atol=1e-3,
    )
    sum_kl = _in_stack(_bounds, at_powers)['sum_kl']
    ensured = 0.5 - np.sqrt(sum_kl) / 4
    np.testing.assert_allclose(ensured, errors, atol=1e-4)

  def test_adds_nothing_where_nothing_is_needed(self):
    grads = jax.random.normal(_KEY, (30, 2, 3))
    labels = jnp.arange(30) % 2
    (sum_kl,) = _in_stack(_bounds, [(grads, labels, 0.0)])['sum_kl']
    error = 0.5 - np.sqrt(sum_kl) / 4
    assert 0.1 < error < 0.4
    cases = [(grads, labels, error - 0.01), (grads, labels, error + 0.01)]
    below, above = _in_stack(_vmapped('dynamic_noise'), cases)
    assert below.tobytes() == grads.tobytes()
    assert (above != grads).any()

  def test_equal_means_of_unequal_variances_are_protected(self):
    rows = jax.random.normal(_KEY, (15, 2, 3))
    rows = rows.at[:8].multiply(3.0)
    grads = jnp.stack([rows, -rows], axis=1).reshape(30, 2, 3)
    labels = (jnp.arange(30) < 16).astype(int)
    cases = [(grads, labels, 0.4)]
    (noisy,) = _in_stack(_vmapped('dynamic_noise'), cases)
    # 0.2 of variance to 1.8 at the least, of 84 numbers.
    assert (noisy - grads)[labels == 0].std() > 1


class BoundTest(parameterized.TestCase):
  def test_matches_the_covariances_of_the_batch(self):
    grads, labels = _batch()
    (_, frac), means, (neg_var, pos_var) = _moments(grads, labels, 2)
    gap_sq = np.sum((means[1] - means[0]) ** 2)
    sum_kl = _solve(neg_var, pos_var, 6, gap_sq, frac, 2 * gap_sq).sum_kl
    bound = _in_stack(_bounds, [(grads, labels, 2.0)])
    np.testing.assert_allclose(bound['sum_kl'], [sum_kl], rtol=1e-4)
    expected = 0.5 + np.sqrt(sum_kl) / 2 - sum_kl / 8
    np.testing.assert_allclose(bound['auc_bound'], [expected], rtol=1e-4)

  def test_one_class_is_chance(self):
    grads, labels = _batch()
    bound = _in_stack(_bounds, [(grads, 0 * labels, 1.0)])
    np.testing.assert_array_equal(bound['auc_bound'], 0.5)
    np.testing.assert_array_equal(bound['sum_kl'], 0)

  def test_holds_for_the_best_score(self):
    rng = np.random.default_rng(0)
    labels = jnp.asarray(rng.permutation(2000) % 2)
    normal = rng.normal(size=(2000, 8))
    grads = jnp.asarray(0.3 * normal, 'float32').at[:, 0].add(labels)
    powers = np.array([0.5, 2.0, 8.0])
    cases = [(grads, labels, x) for x in powers]
    bounds = _in_stack(_bounds, cases)['auc_bound']
    noisy = np.asarray(_in_stack(_vmapped('noise'), cases))[:, :, 0]
    positives, negatives = (noisy[:, np.asarray(labels) == c] for c in (1, 0))
    larger = positives[:, :, None] > negatives[:, None]
    aucs = larger.mean(axis=(1, 2))
    # The standard error of the AUC is below 0.013.
    np.testing.assert_array_less(aucs, bounds + 0.03)
    # Normals at distance 1 of variance 0.09 + power each.
    expected = special.ndtr(1 / np.sqrt(2 * (0.09 + powers)))
    np.testing.assert_allclose(aucs, expected, atol=0.05)
