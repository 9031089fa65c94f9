import hypothesis
from hypothesis import strategies
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import linear_model

from splitjax import attacks
from splitjax.attacks import ridge


def _problem(seed, num_aux, width=8, num=100):
  rng = np.random.default_rng(seed)
  vectors = rng.normal(size=(num, width)) * rng.uniform(0.1, 10, width) + 5
  targets = vectors @ rng.normal(size=width) / 10 + rng.normal(size=num)
  vectors, targets = np.float32(vectors), np.float32(targets)
  return vectors, vectors[:num_aux], targets[:num_aux], targets


def _reference(vectors, aux_vectors, aux_targets):
  """Scikit-learn's, on columns standardised by hand."""
  vectors, aux_vectors = np.float64(vectors), np.float64(aux_vectors)
  mean, std = vectors.mean(0), vectors.std(0)
  std = np.where(std > 0, std, np.inf)
  vectors, aux_vectors = (vectors - mean) / std, (aux_vectors - mean) / std
  size = np.sum((aux_vectors - aux_vectors.mean(0)) ** 2) / len(aux_vectors)
  model = linear_model.RidgeCV(alphas=size * np.array(ridge._PENALTIES))
  return model.fit(aux_vectors, aux_targets).predict(vectors)


@pytest.mark.parametrize('num_aux', [3, 5, 12, 40])
def test_equals_scikit_learn(num_aux):
  for seed in range(3):
    *args, _ = _problem(seed, num_aux)
    np.testing.assert_allclose(
      attacks.ridge_targets(*args), _reference(*args), rtol=1e-3, atol=1e-3
    )


def test_vmap_equals_a_loop():
  problems = [_problem(seed, 6)[:3] for seed in range(3)]
  found = jax.vmap(attacks.ridge_targets)(
    *map(np.stack, zip(*problems, strict=True))
  )
  for one, args in zip(found, problems, strict=True):
    np.testing.assert_allclose(
      one, attacks.ridge_targets(*args), rtol=1e-4, atol=1e-4
    )


@hypothesis.given(strategies.floats(1e-3, 1e3), strategies.floats(-1e3, 1e3))
def test_units_of_targets_do_not_matter(scale, shift):
  vectors, aux_vectors, aux_targets, _ = _problem(0, 7)
  plain = attacks.ridge_targets(vectors, aux_vectors, aux_targets)
  moved = attacks.ridge_targets(
    vectors, aux_vectors, np.float32(scale * aux_targets + shift)
  )
  tolerance = 1e-3 * scale + 1e-4 * abs(shift)
  np.testing.assert_allclose(moved, scale * plain + shift, atol=tolerance)


@pytest.mark.parametrize('factor', [1e-15, 1e3])
def test_lengths_of_vectors_do_not_matter(factor):
  vectors, aux_vectors, aux_targets, _ = _problem(0, 7)
  found = attacks.ridge_targets(
    np.float32(factor * vectors), np.float32(factor * aux_vectors), aux_targets
  )
  expected = _reference(vectors, aux_vectors, aux_targets)
  np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-2)


def test_equal_vectors_and_bfloat16_are_finite():
  with jax.debug_nans(True):
    found = attacks.ridge_targets(
      jnp.ones((5, 2), jnp.bfloat16),
      jnp.ones((3, 2), jnp.bfloat16),
      jnp.arange(3.0),
    )
  np.testing.assert_allclose(found, np.ones(5), rtol=1e-6)
  assert found.dtype == jnp.float32


def test_bad_arguments_are_named():
  vectors = jnp.ones((5, 2))
  with pytest.raises(ValueError, match='known samples must be at least 3'):
    attacks.ridge_targets(vectors, vectors[:2], jnp.ones(2))
  with pytest.raises(ValueError, match='aux_targets must be floating of shape'):
    attacks.ridge_targets(vectors, vectors[:3], jnp.ones(3, int))
  with pytest.raises(ValueError, match='aux_vectors must be as wide'):
    attacks.ridge_targets(vectors, jnp.ones((3, 3)), jnp.ones(3))


def _linear_top(seed, num_entries=1, num=120, width=10):
  """Gradients of a linear top whose label has so many entries."""
  rng = np.random.default_rng(seed)
  smashed = rng.normal(size=(num, width)) + rng.normal(size=width)
  targets = smashed @ rng.normal(size=width) / 3 + rng.normal(size=num)
  labels = np.column_stack([targets, rng.normal(size=(num, num_entries - 1))])
  top = rng.normal(size=(width, num_entries)) / 3
  cut_grads = (smashed @ top - labels) @ top.T
  return np.float32(smashed), np.float32(cut_grads), np.float32(targets)


def _r2(found, targets):
  return float(1 - np.mean((found - targets) ** 2) / np.var(targets))


def _read(smashed, cut_grads, targets, num_aux):
  rows = np.arange(num_aux)
  along = attacks.gradient_targets(
    jax.random.key(0), cut_grads, rows, targets[rows], smashed
  )
  both = np.concatenate([smashed, cut_grads], axis=1)
  plain = attacks.ridge_targets(both, both[rows], targets[rows])
  return _r2(along, targets), _r2(plain, targets)


@pytest.mark.parametrize(
  'num_entries, num_aux, least', [(1, 5, 0.95), (3, 10, 0.95)]
)
def test_few_known_targets_suffice_along_the_gradients(
  num_entries, num_aux, least
):
  found = [_read(*_linear_top(seed, num_entries), num_aux) for seed in range(4)]
  along, plain = np.median(found, axis=0)
  assert along > least
  assert along > plain + 0.02


def test_gradients_of_no_few_directions_are_read_as_a_whole():
  rng = np.random.default_rng(0)
  smashed, _, targets = _linear_top(0)
  noise = np.float32(rng.normal(size=smashed.shape))
  along, plain = _read(smashed, noise, targets, 40)
  assert along == pytest.approx(plain, abs=1e-3)


@pytest.mark.parametrize('scale', [1e-30, 1e-6, 1e25])
def test_lengths_of_gradients_do_not_matter(scale):
  smashed, cut_grads, targets = _linear_top(1)
  expected, _ = _read(smashed, cut_grads, targets, 6)
  found, _ = _read(smashed, np.float32(cut_grads * scale), targets, 6)
  assert found == pytest.approx(expected, abs=1e-3)


def test_targets_of_gradients_side_by_side_and_in_bfloat16():
  both = [_linear_top(seed) for seed in (2, 3)]
  arrays = [jnp.asarray(x) for x in map(np.stack, zip(*both, strict=True))]
  rows = jnp.arange(8)
  read = lambda smashed, cut_grads, targets: attacks.gradient_targets(
    jax.random.key(0), cut_grads, rows, targets[rows], smashed
  )
  found = jax.vmap(read)(*arrays)
  for i in range(2):
    alone = read(*(x[i] for x in arrays))
    np.testing.assert_allclose(found[i], alone, rtol=1e-3, atol=1e-3)
  half = [x[0].astype(jnp.bfloat16) for x in arrays[:2]]
  assert _r2(read(*half, arrays[2][0]), arrays[2][0]) > 0.9


@pytest.mark.parametrize('smashed', [None, np.zeros((7, 1), np.float32)])
def test_gradients_that_say_nothing_give_the_mean(smashed):
  found = attacks.gradient_targets(
    jax.random.key(0),
    np.zeros((7, 1), 'f'),
    np.arange(4),
    np.arange(4.0),
    smashed,
  )
  np.testing.assert_allclose(found, 1.5, atol=1e-6)


@pytest.mark.parametrize('broken', ['cut_grads', 'smashed'])
def test_known_sample_that_is_not_finite_is_ignored(broken):
  smashed, cut_grads, targets = _linear_top(4)
  arrays = {'smashed': smashed, 'cut_grads': cut_grads}
  arrays[broken] = arrays[broken].copy()
  arrays[broken][3] = np.nan
  rows = np.arange(9)
  found = attacks.gradient_targets(
    jax.random.key(0),
    arrays['cut_grads'],
    rows,
    targets[rows],
    arrays['smashed'],
  )
  assert np.flatnonzero(np.isnan(found)).tolist() == [3]
  rest = np.arange(len(targets)) != 3
  assert _r2(np.asarray(found)[rest], targets[rest]) > 0.95
