import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splitjax import attacks
from splitjax.attacks.result import AttackResult
from splitjax.engine import trials
from splitjax.records import recording
from splitjax.records import viewing


def _view(seed, num_draws=3):
  rng = np.random.default_rng(seed)
  record = recording.Record(
    intermediate='smashed',
    vectors=rng.normal(size=(12, 5)).astype(np.float32),
    sample_ids=rng.permutation(12),
    steps=np.zeros(12, int),
    metadata={},
  )
  auxiliary = viewing.sample_auxiliary(
    seed, np.arange(12), np.arange(12) % 3, num_classes=3, num_draws=num_draws
  )
  return viewing.make_view(record, auxiliary, num_classes=3)


def _attack(key, view):
  assert view.vectors.shape == (12, 5)  # One trial, whatever is mapped.
  assert view.aux_vectors.shape == (3, 5)
  guess = jax.random.randint(key, (), 0, view.num_classes)
  labels = attacks.nearest_labels(
    view.vectors, view.aux_vectors, view.aux_labels
  )
  labels = (labels + guess) % view.num_classes
  return AttackResult(labels, scores=view.vectors[:, 0] + labels)


@pytest.mark.parametrize('num_classes', [2, 3])
def test_margins_are_how_much_likelier_the_first_candidate_is(num_classes):
  def attack(key, view):
    logits = view.vectors[:, :num_classes]
    scores = logits[:, 1] - logits[:, 0]
    if num_classes == 2:
      return AttackResult(jnp.argmax(logits, axis=1), scores=scores)
    return AttackResult(jnp.argmax(logits, axis=1), logits=logits)

  views = [_view(seed) for seed in range(2)]
  rng = np.random.default_rng(0)
  rows = np.stack([rng.permutation(12)[:5] for _ in views]).astype(np.int32)
  first = rng.integers(num_classes, size=rows.shape)
  candidates = np.stack([first, (first + 1) % num_classes], axis=-1)
  found = trials.predict(
    attack,
    jax.random.key(0),
    trials.stack_views(views),
    asked=trials.Asked(rows, candidates.astype(np.int32)),
  )
  for seed, view in enumerate(views):
    logits = np.asarray(view.vectors)[rows[seed]]
    one, two = np.take_along_axis(logits, candidates[seed], axis=1).T
    for draw in range(3):
      np.testing.assert_allclose(
        found.margins[seed, draw], one - two, rtol=1e-5
      )


def test_all_trials_equal_a_loop():
  views = [_view(seed) for seed in range(2)]
  key = jax.random.key(0)
  labels, scores, seconds, compile_seconds, *_ = trials.predict(
    _attack, key, trials.stack_views(views)
  )
  assert labels.shape == (2, 3, 12)
  assert seconds > 0
  for seed, (seed_key, view) in enumerate(
    zip(jax.random.split(key, 2), views, strict=True)
  ):
    for draw in range(3):
      one = view.replace(
        vectors=jnp.asarray(view.vectors),
        aux_vectors=view.aux_vectors[draw],
        aux_labels=view.aux_labels[draw],
      )
      answer = _attack(seed_key, one)
      np.testing.assert_array_equal(labels[seed, draw], answer.labels)
      np.testing.assert_array_equal(scores[seed, draw], answer.scores)


def test_seconds_are_of_one_trial_and_without_compilation(monkeypatch):
  clock = iter([1.0, 4.5, 10.0, 16.0])
  monkeypatch.setattr(trials.time, 'perf_counter', lambda: next(clock))
  view = trials.stack_views([_view(0), _view(1)])
  predictions = trials.predict(_attack, jax.random.key(0), view)
  assert predictions.seconds == 1.0  # Two seeds, three draws.
  assert predictions.compile_seconds == 3.5


def test_an_attack_is_traced_once_for_views_of_one_shape():
  traced = []

  def counting(key, view):
    traced.append(1)
    return _attack(key, view)

  for seed in range(3):
    view = trials.stack_views([_view(seed)])
    trials.predict(counting, jax.random.key(seed), view)
  assert len(traced) == 1
  wide = _view(0, num_draws=5)
  trials.predict(counting, jax.random.key(0), trials.stack_views([wide]))
  assert len(traced) == 2


def test_scores_may_be_missing():
  without = lambda key, view: AttackResult(_attack(key, view).labels)
  view = trials.stack_views([_view(0)])
  assert trials.predict(without, jax.random.key(0), view).scores is None


def test_attack_beyond_all_memory_is_refused_before_it_runs(monkeypatch):
  monkeypatch.setattr(trials.checks, 'total_memory', lambda: 100.0)
  with pytest.raises(MemoryError, match='would take 0 GB of 0 GB of memory'):
    trials.predict(_attack, jax.random.key(0), trials.stack_views([_view(0)]))
