import hypothesis
import jax

jax.config.update('jax_numpy_rank_promotion', 'raise')
hypothesis.settings.register_profile(
  'splitjax', derandomize=True, deadline=None, max_examples=25
)
hypothesis.settings.load_profile('splitjax')
