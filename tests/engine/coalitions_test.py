import jax
import numpy as np
import pytest

from splitjax import models
from splitjax.data.feature_split import FeatureSplit
from splitjax.engine import coalitions
from splitjax.errors import ConfigError
from splitjax.training import PartyModel


def _model():
  features = FeatureSplit(
    (np.array([0, 3]), np.array([1]), np.array([2, 4])), ((2,), (1,), (2,))
  )
  layers, deep = models.mlp(3, hidden_sizes=(4,)), models.mlp(3)
  bottoms = layers[:3], deep[:5], models.mlp(3, hidden_sizes=(2,))[:3]
  return PartyModel(features, bottoms, layers[3:])


def test_attackers_are_read_in_order_and_once():
  assert coalitions.parse(('all', 'each', '1'), 2) == ((0, 1), (0,), (1,))
  assert coalitions.parse(('2+0', '0-2'), 3) == ((0, 2), (0, 1, 2))
  assert coalitions.parse(('each', 'all'), 1) == ((0,),)


def test_names_are_read_again():
  for parties in ((3,), (0, 1, 2), (0, 1, 2, 3), (1, 3, 4, 5, 6, 9)):
    name = coalitions.name_of(parties)
    assert coalitions.parse((name,), 10) == (parties,)
  assert coalitions.name_of((1, 3, 4, 5, 6, 9)) == '1+3-6+9'


@pytest.mark.parametrize(
  'text', ['', '3', '0+', '0+0', '-1', 'both', ' 0', '0-3', '2-0', '0-1+1', '-']
)
def test_other_attackers_are_refused(text):
  with pytest.raises(ConfigError, match='^attackers='):
    coalitions.parse((text,), 3)


def test_a_coalition_makes_of_its_features_what_its_members_send():
  model = _model()
  inputs = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
  params, state = model.init(jax.random.key(0), inputs)
  sent, _ = model.infer(params, state, inputs)
  held = inputs[:, coalitions.columns_of(model, (0, 2))]
  assert coalitions.columns_of(model, (0, 2)).tolist() == [0, 2, 3, 4]
  together = coalitions.bottoms_fn(model, (0, 2))(
    ((params[0], params[2]), (state[0], state[2])), held
  )
  np.testing.assert_allclose(
    together, np.concatenate([sent[0], sent[2]], axis=1), rtol=1e-6
  )
