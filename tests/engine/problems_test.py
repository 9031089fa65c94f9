"""A configuration is looked up and checked before any long work starts."""

from absl.testing import parameterized
import flax.linen as nn

from splitjax import engine
from splitjax.engine import problems
from splitjax.errors import ConfigError
from splitjax.training.protection import Protection


class CheckTest(parameterized.TestCase):
  @parameterized.parameters(
    (dict(dataset='mnits'), 'dataset=mnits: expected one of digits, breast'),
    (dict(dataset='tfdb:x'), 'dataset=tfdb:x: expected tfds:NAME, csv:PATH'),
    (dict(label_column='a'), 'label_column=a: expected no such flag with'),
    (dict(dataset='csv:x.csv'), 'label_column=: expected the column of'),
    (dict(num_train=9), 'num_train=9: .*num_train must lie between 10'),
    (
      dict(dataset='breast_cancer', image_size=9),
      'image_size=9: .*no such flag: the inputs of breast_cancer are a table',
    ),
    (dict(model='resnet'), 'model=resnet: expected one of mlp, conv_net'),
    (dict(norm='group'), 'norm=group: expected no such flag with --model'),
    (dict(dtype='float16'), 'dtype=float16: expected one of float32, bfloat16'),
    (
      dict(model='simple_net'),
      r'model=simple_net: expected .* shape \(8, 8, 1\): .*--image_size',
    ),
    (
      dict(dataset='breast_cancer', augment=True),
      'augment=True: expected a data set of images',
    ),
    (
      dict(intermediates=('grads',)),
      'intermediates=grads: expected one of smashed, cut_grads',
    ),
    (dict(intermediates=()), 'intermediates=: expected one of smashed'),
    (
      dict(intermediates=('smashed', 'smashed')),
      'intermediates=smashed,smashed: expected each value once',
    ),
    (dict(optimizer='sgdd'), 'optimizer=sgdd: expected one of sgd, '),
    (dict(attacks=('norms',)), 'attacks=norms: expected one of strongest, d'),
    (dict(attacks=('norm',)), 'attacks=norm: expected data of two classes'),
    (dict(attacks=('direct',)), 'attacks=direct: expected a cut that the 10'),
    (dict(classes=('1',)), 'classes=1: .*classes must be two or more'),
    (
      dict(attacks=('distance', 'distance')),
      'attacks=distance,distance: expected each value once',
    ),
    (dict(attacks=()), 'attacks=: expected one of strongest'),
    (dict(cuts=(0,)), 'cuts=0: expected a layer inside mlp, 1 to 9'),
    (dict(cuts=(10,)), 'cuts=10: expected a layer inside mlp, 1 to 9'),
    (dict(cuts=(5, 3)), 'cuts=5,3: expected cuts in ascending order'),
    (dict(cuts=(1, 2, 3)), 'cuts=1,2,3: expected one cut, or two'),
    (dict(batch_size=1438), 'batch_size=1438: expected .* 1 to 1437'),
    (dict(num_aux=0), 'num_aux=0: expected .* smallest class, 1 to 138'),
    (dict(num_aux=139), 'num_aux=139: expected .* smallest class, 1 to 138'),
    (dict(learning_rate=-1.0), 'learning_rate=-1.0: expected a positive'),
    (
      dict(learning_rate=float('nan')),
      'learning_rate=nan: expected a positive number',
    ),
    (
      dict(dataset='breast_cancer', model='conv_net'),
      'model=conv_net: expected a model for numbers: mlp, wide_deep, dlrm',
    ),
    (
      dict(recorded_epoch=3, epochs=2),
      'recorded_epoch=3: expected an epoch, 1 to 2',
    ),
    (dict(target='real'), 'target=real: expected .* labels of digits are cla'),
    (dict(target='reals'), 'target=reals: expected one of class, real'),
    (
      dict(dataset='diabetes', target='class'),
      'target=class: expected .* labels of diabetes are real',
    ),
    (
      dict(dataset='diabetes', classes=('1', '2')),
      'classes=1,2: .*classes are for data of classes, got 1',
    ),
    (
      dict(dataset='diabetes', attacks=('clustering',)),
      'attacks=clustering: expected classes: it is not defined for real',
    ),
    (
      dict(attacks=('nearest',)),
      r'attacks=nearest: expected real targets \(--target=real\)',
    ),
    (
      dict(dataset='diabetes', defense='label_dp'),
      'defense=label_dp:epsilon=1: expected a defense that is defined for r',
    ),
    (
      dict(defense='rle_like'),
      r'defense=rle_like:scale=1: expected real targets \(--target=real\)',
    ),
    (
      dict(defense='ans_like'),
      'defense=ans_like:budget=0.05: expected several parties, as experiments',
    ),
    (
      dict(dataset='diabetes', defense='lcd_like'),
      'defense=lcd_like:num_labels=5: expected a defense that is defined for',
    ),
    (
      dict(defense='lcd_like:num_labels=0'),
      'defense=lcd_like:num_labels=0: expected num_labels between 1 and inf',
    ),
    (
      dict(defense='lcd_like:num_labels=10'),
      'defense=lcd_like:num_labels=10: expected fewer labels than the 10 cla',
    ),
    (
      dict(dataset='diabetes', num_aux=2),
      'num_aux=2: expected known samples in all, .* 3 to 351',
    ),
    (
      dict(model=[nn.Dense(3)]),
      'model=1: expected two layers or more',
    ),
    (
      dict(model=[nn.Dense(3), nn.Dense(10)], norm='batch'),
      'norm=batch: expected none with layers of your own',
    ),
    (
      dict(model=[nn.Dense(3), nn.Dense(10)], cuts=(2,)),
      'cuts=2: expected a layer inside own, 1 to 1',
    ),
  )
  def test_bad_field_is_named_with_what_was_expected(self, change, message):
    with self.assertRaisesRegex(ConfigError, f'^{message}') as caught:
      problems.check(engine.Config(**change))
    assert '\n' not in str(caught.exception)
    assert str(caught.exception).startswith(f'{caught.exception.field}=')

  def test_all_attacks_are_those_that_apply(self):
    find = lambda **kwargs: set(
      problems.check(engine.Config(attacks=('all',), **kwargs)).config.attacks
    )
    assert find().isdisjoint({'norm', 'direct', 'ridge'})
    assert {'distance', 'clustering', 'transfer'} < find()
    assert find(dataset='breast_cancer') - find() >= {'norm', 'direction'}
    assert find(dataset='diabetes') == {
      'strongest',
      'nearest',
      'ridge',
      'learning_based',
    }

  def test_what_does_not_apply_is_noted(self):
    problem = problems.check(engine.Config(attacks=('all',)))
    assert any(note.startswith('norm needs data of') for note in problem.notes)
    assert problems.check(engine.Config()).notes == ()

  def test_defense_that_defends_nothing_is_noted(self):
    problem = problems.check(engine.Config(defense='compression:ratio=0'))
    assert problem.plan.off
    (note,) = problem.notes
    assert note.startswith('--defense=compression:ratio=0 defends nothing')

  def test_defaults_are_filled_in_once(self):
    problem = problems.check(engine.Config())
    assert problem.config.cuts == (7,)  # Before the head.
    assert problem.config.num_aux == 1
    assert problem.config.attacks == (
      'strongest',
      'distance',
      'clustering',
      'clustering_paper',
    )
    assert problems.check(problem.config).config == problem.config

  def test_real_targets_have_defaults_of_their_own(self):
    problem = problems.check(engine.Config(dataset='diabetes'))
    assert problem.config.num_aux == 10
    assert problem.config.attacks == (
      'strongest',
      'nearest',
      'ridge',
      'learning_based',
    )
    assert problem.references == ('model', 'mean')

  def test_own_layers_and_defense_are_called_own(self):
    config = engine.Config(
      model=[nn.Dense(4), nn.Dense(10)],
      defense=Protection(cut_grads=lambda key, grads, labels: grads),
    )
    problem = problems.check(config)
    assert problem.setting.model == 'own'
    assert problem.setting.defense == 'own'
    assert problem.config.cuts == (1,)
