"""What `--defense` can say."""

from absl.testing import parameterized

from splitjax import engine
from splitjax.defenses import parsing
from splitjax.engine import problems
from splitjax.errors import ConfigError


class ParseTest(parameterized.TestCase):
  def test_numbers_not_named_have_their_defaults(self):
    (one,) = parsing.parse('defense', 'dp_sgd:clip_norm=2')
    assert one.numbers == {
      'epsilon': 30.0,
      'clip_norm': 2.0,
      'poisson': 0.0,
      'passes': 0.0,
    }

  def test_none_is_none(self):
    assert parsing.parse('defense', 'none') == ()
    assert parsing.parse('defense', '') == ()

  def test_sweep_takes_the_papers_strengths_or_those_named(self):
    sweep = lambda text: [
      specs[0].strength for specs in parsing.parse_sweep('x', text)
    ]
    assert sweep('compression') == [0.1, 0.3, 0.5, 0.7, 0.9]
    assert sweep('marvell') == [0.1, 0.5, 1, 5, 10]
    assert sweep('label_dp') == [0.1, 0.5, 1, 5, 10]
    assert sweep('dp_sgd') == [0.1, 10, 30, 50, 100]
    assert sweep('compression:ratio=0.2') == [0.2]
    specs = parsing.parse_sweep('x', 'dp_sgd:epsilon=1|2:clip_norm=3+kdk:k=2')
    assert [one[0].strength for one in specs] == [1, 2]
    assert all(one[0].numbers['clip_norm'] == 3 for one in specs)
    assert all(one[1].numbers['k'] == 2 for one in specs)

  @parameterized.parameters(
    ('dpsgd', 'defense=dpsgd: expected one of dp_sgd, '),
    (
      'compression:power=1',
      'defense=compression:power=1: expected compression with any of ratio,',
    ),
    ('compression:ratio', 'expected compression with any of ratio, as compre'),
    ('compression:ratio=x', 'compression:ratio=x: expected a number for ratio'),
    ('compression:ratio=1', 'expected ratio between 0 and 0.999999'),
    ('compression:ratio=nan', 'expected ratio between 0 and'),
    ('label_dp:epsilon=0', 'expected epsilon between 0.001 and inf'),
    ('marvell_dynamic:error=0.5', 'expected error between 0 and 0.499'),
    ('max_norm+', 'defense=: expected one of dp_sgd'),
    ('isotropic:1:1', 'expected isotropic with any of ratio, as isotropic:ra'),
    ('isotropic:ratio=1:ratio=2', 'ratio=2: expected ratio once'),
    ('rle_like:scale=1,scale=2', 'expected a number for scale'),
    ('isotropic:ratio=inf', 'expected a finite number for ratio'),
    ('isotropic:ratio=-inf', 'expected ratio between 0 and inf'),
    ('isotropic:ratio=1_0', 'expected a number for ratio'),
    ('dp_sgd:clip_norm=inf', 'expected a finite number for clip_norm'),
    ('dp_sgd:poisson=0.5', 'expected 0 or 1 for poisson'),
    ('label_dp:per_use=2', 'expected 0 or 1 for per_use'),
    ('label_dp:per_use=nan', 'expected 0 or 1 for per_use'),
    ('dp_sgd:passes=1.5', 'expected a whole number for passes, 0 or more'),
    ('discrete_sgd:num_bins=2.5', 'expected a whole number for num_bins'),
    ('kdk:k=0', 'expected k between 1 and inf'),
    ('kdk:k=inf', 'expected a (whole|finite) number for k'),
    ('rle_like:num_extra=0.5', 'expected a whole number for num_extra'),
  )
  def test_bad_text_is_named_with_what_was_expected(self, text, message):
    with self.assertRaisesRegex(ConfigError, message) as caught:
      parsing.parse('defense', text)
    assert '\n' not in str(caught.exception)

  def test_strength_twice_is_refused(self):
    with self.assertRaisesRegex(ConfigError, 'expected each strength onc'):
      parsing.parse_sweep('defenses', 'compression:ratio=0.5|0.50')
    with self.assertRaisesRegex(ConfigError, 'expected ratio once'):
      parsing.parse_sweep('defenses', 'compression:ratio=0.5:ratio=0.6')

  def test_infinite_epsilon_is_off(self):
    (one,) = parsing.parse('defense', 'label_dp:epsilon=inf')
    assert one.off


class CheckTest(parameterized.TestCase):
  @parameterized.parameters(
    (dict(defense='marvell'), 'marvell:power=1: expected data of two classes'),
    (
      dict(
        defense='dp_sgd', model='simple_net', image_size=32, cuts=(46,)
      ),
      'expected a server that does not mix examples .* --norm=group',
    ),
    (
      dict(defense='dp_sgd+distance_correlation'),
      'expected no loss across examples beside differential',
    ),
    (dict(defense='max_norm+max_norm'), 'expected each defense once'),
    (
      dict(defense='mixup+label_dp:per_use=1'),
      'expected labels that are drawn before they are mixed',
    ),
    (
      dict(defense='label_dp+alibi'),
      'expected one defense at most that replaces the labels',
    ),
  )  # fmt: skip
  def test_defenses_that_do_not_fit_are_refused(self, change, message):
    with self.assertRaisesRegex(ConfigError, message):
      problems.check(engine.Config(**change))

  @parameterized.parameters(
    (dict(norm='group', cuts=(46,)),), (dict(cuts=(50,)),)
  )
  def test_dp_sgd_takes_a_server_without_batch_statistics(self, change):
    problem = problems.check(
      engine.Config(
        defense='dp_sgd', model='simple_net', image_size=32, **change
      )
    )
    assert problem.plan.specs[0].name == 'dp_sgd'

  def test_mixup_needs_inputs_that_can_be_mixed(self):
    with self.assertRaisesRegex(ConfigError, 'inputs that can be mixed'):
      parsing.check(
        'defense',
        parsing.parse('defense', 'mixup'),
        num_classes=2,
        server_has_state=False,
        floating_inputs=False,
      )
