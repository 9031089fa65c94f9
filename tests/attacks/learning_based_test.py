import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax.attacks import learning_based

pytestmark = pytest.mark.slow  # Compiles for long.


@jax.jit
def _attack(key, problem):
  return learning_based.learning_based_labels(
    key,
    *problem.seen,
    *problem.known,
    num_classes=3,
    num_epochs=60,
    batch_size=64,
  )


_attacks = jax.jit(jax.vmap(_attack))


@pytest.fixture(scope='module')
def found(all_forms):
  """What is found of each form."""
  return _attacks(*all_forms)


def test_reads_labels_where_gradients_tell_them_and_chance_elsewhere(
  all_forms, found
):
  right = np.mean(found.labels == all_forms[1].truth, axis=1)
  assert np.all(right[:-1] > 0.97) and right[-1] < 0.5, right
  np.testing.assert_array_equal(np.argmax(found.logits, -1), found.labels)
  assert found.losses.shape == (5, 60)
  assert np.all(found.losses[:, -1] < found.losses[:, 0])


def test_names_are_those_of_the_known_samples(draw_problem):
  problem = draw_problem(0)
  names = np.array([2, 0, 1])
  known = (*problem.known[:2], names[problem.known[2]])
  result = _attack(jax.random.key(0), problem._replace(known=known))
  assert np.mean(result.labels == names[problem.truth]) > 0.97


def test_same_key_same_answer_and_vmap_equals_a_loop(all_forms, found):
  jax.tree.map(np.testing.assert_array_equal, found, _attacks(*all_forms))
  one = _attack(*jax.tree.map(lambda x: x[0], all_forms))
  assert np.mean(one.labels == found.labels[0]) > 0.99


def test_bfloat16_with_an_empty_row_and_without_warm_up(draw_problem):
  (smashed, cut_grads), known, truth = draw_problem(0, num_classes=2, num=100)
  cut_grads[0] = 0  # Compression empties rows.
  with jax.debug_nans(True):
    result = learning_based.learning_based_labels(
      jax.random.key(0),
      *(jnp.bfloat16(x) for x in (smashed, cut_grads, *known[:2])),
      known[2],
      num_classes=2,
      hidden_sizes=(4,),
      num_warmup_steps=0,
      num_epochs=60,
      batch_size=100,
    )
  assert result.logits.dtype == jnp.float32
  assert np.mean(result.labels == truth) > 0.95


def _regression(seed, scale=1.0, num=240, num_known=10, width=8):
  rng = np.random.default_rng(seed)
  smashed = rng.normal(size=(num + num_known, width))
  weights, kernel = rng.normal(size=(2, width)) / np.sqrt(width)
  truth = smashed @ weights + 0.5 * rng.normal(size=len(smashed))
  errors = smashed @ kernel + 0.3 - truth
  cut_grads = 2 * scale * errors[:, None] * kernel[None] / 32
  arrays = [np.float32(x) for x in (smashed, cut_grads)]
  seen, known = zip(*((x[:num], x[num:]) for x in arrays), strict=True)
  # In other units than the label party's.
  truth = np.float32(50 + 20 * truth)
  return seen, known, truth[:num], truth[num:]


def test_reads_real_targets():
  scales = (1.0, 1.0, 1e-15, 1e3)
  problems = [_regression(seed, scale) for seed, scale in enumerate(scales)]
  seen, known, truth, aux_targets = jax.tree.map(
    lambda *x: np.stack(x), *problems
  )
  noise = np.random.default_rng(0).normal(size=seen[1].shape[1:])
  seen[1][1] = noise  # Gradients that tell nothing.
  result = jax.jit(
    jax.vmap(
      lambda key, seen, known, aux_targets: (
        learning_based.learning_based_targets(
          key, *seen, *known, aux_targets, num_epochs=80, batch_size=64
        )
      )
    )
  )(jax.random.split(jax.random.key(0), 4), seen, known, aux_targets)
  found = [
    np.corrcoef(x, y)[0, 1] for x, y in zip(result.targets, truth, strict=True)
  ]
  assert min(found[0], found[2], found[3]) > 0.95, found
  assert found[1] < 0.8, found
  errors = np.sqrt(np.mean((result.targets - truth) ** 2, axis=1))
  spread = np.std(truth, axis=1)
  # The pull of targets to predictions makes their spread too small.
  assert np.all((errors / spread)[[0, 2, 3]] < 0.8), errors / spread
  assert result.losses.shape == (4, 80)


def test_equal_targets_and_one_sample_are_finite():
  seen, known, _, aux_targets = _regression(0, num=1, num_known=2)
  with jax.debug_nans(True):
    result = learning_based.learning_based_targets(
      jax.random.key(0),
      *seen,
      *known,
      np.zeros_like(aux_targets),
      num_restarts=1,
      num_warmup_steps=2,
      num_epochs=2,
    )
  assert result.targets.shape == (1,) and np.isfinite(result.targets).all()


def test_bad_arguments_are_named(draw_problem):
  seen, (*known, aux_labels), _ = draw_problem(0)
  labels_fn = lambda *args, **kwargs: jax.eval_shape(
    lambda: learning_based.learning_based_labels(
      jax.random.key(0), *args, **dict(num_classes=3) | kwargs
    )
  )
  targets_fn = lambda *args: jax.eval_shape(
    lambda: learning_based.learning_based_targets(jax.random.key(0), *args)
  )
  with pytest.raises(ValueError, match='num_classes must be at least 2'):
    labels_fn(*seen, *known, aux_labels, num_classes=1)
  with pytest.raises(ValueError, match='num_warmup_steps must be at least 0'):
    labels_fn(*seen, *known, aux_labels, num_warmup_steps=-1)
  with pytest.raises(ValueError, match='aux_labels must have shape'):
    labels_fn(*seen, *known, aux_labels[:1])
  with pytest.raises(ValueError, match='aux_targets must be floating'):
    targets_fn(*seen, *known, aux_labels)
