"""Defenses by name: what `--defense` can say, and what it stands for."""

import functools
import math
from typing import Any

from splitjax import defenses
from splitjax.defenses import binding
from splitjax.defenses import guarantees
from splitjax.defenses.defense import Defense
from splitjax.training.countering import Counter

_EPSILON = dict(strength='epsilon', off=math.inf, within=(1e-3, math.inf))
_ANY = ('class', 'real')
_LABEL_EPSILONS = (0.1, 0.5, 1.0, 5.0, 10.0)
_UPDATE_EPSILONS = (0.1, 10.0, 30.0, 50.0, 100.0)
_EXTENSION: dict[str, Any] = dict(
  strength='scale',
  strengths=(0.5, 1.0, 2.0),
  within=(1e-6, math.inf),
  numbers={'num_extra': 4.0},
  counts={'num_extra': 0},
  targets=('real',),
  replaces_labels=True,
  extra_outputs='num_extra',
)
DEFENSES: dict[str, Defense] = {
  'dp_sgd': Defense(
    binding.dp_sgd,
    strengths=_UPDATE_EPSILONS,
    numbers={'clip_norm': 1.0, 'poisson': 0.0, 'passes': 0.0},
    counts={'passes': 0},
    switches=('poisson',),
    prepare_fn=guarantees.dp_sgd_noise,
    guarantee_fn=guarantees.dp_sgd_guarantee,
    **_EPSILON,
    targets=_ANY,
  ),
  'dp_message': Defense(
    binding.at('cut_grads', defenses.dp_sgd.message),
    strengths=_UPDATE_EPSILONS,
    numbers={'clip_norm': 1.0},
    prepare_fn=guarantees.message_noise,
    guarantee_fn=guarantees.message_guarantee,
    averaged='pass',
    **_EPSILON,
    targets=_ANY,
  ),
  'label_dp': Defense(
    binding.label_dp,
    strengths=_LABEL_EPSILONS,
    numbers={'per_use': 0.0},
    switches=('per_use',),
    guarantee_fn=functools.partial(
      guarantees.label_dp_guarantee, with_prior=True
    ),
    channel_fn=functools.partial(binding.channel_of, with_prior=True),
    averaged='vector',
    replaces_labels=True,
    **_EPSILON,
  ),
  'randomized_response': Defense(
    binding.drawn_labels(defenses.label_dp.randomized_response),
    strengths=_LABEL_EPSILONS,
    numbers={'per_use': 0.0},
    switches=('per_use',),
    guarantee_fn=functools.partial(
      guarantees.label_dp_guarantee, with_prior=False
    ),
    channel_fn=functools.partial(binding.channel_of, with_prior=False),
    averaged='vector',
    replaces_labels=True,
    **_EPSILON,
  ),
  'lp_2st': Defense(
    # Of the first stage; `relabel_fn` draws the labels of the second.
    binding.drawn_labels(defenses.label_dp.randomized_response),
    strengths=_LABEL_EPSILONS,
    guarantee_fn=guarantees.own_epsilon,
    relabel_fn=binding.second_stage,
    # Of the first stage; labels of the second are kept more often.
    channel_fn=functools.partial(binding.channel_of, with_prior=False),
    replaces_labels=True,
    **_EPSILON,
  ),
  'alibi': Defense(
    binding.alibi,
    strengths=_LABEL_EPSILONS,
    guarantee_fn=guarantees.own_epsilon,
    replaces_labels=True,
    **_EPSILON,
  ),
  'compression': Defense(
    binding.at('cut_grads', defenses.compression.per_batch),
    counters=(Counter.MISSING,),
    strength='ratio',
    strengths=(0.1, 0.3, 0.5, 0.7, 0.9),
    within=(0.0, 0.999999),
    averaged='pass',
    targets=_ANY,
  ),
  'compression_per_sample': Defense(
    binding.at('cut_grads', defenses.compression.per_sample),
    counters=(Counter.MISSING,),
    strength='ratio',
    strengths=(0.1, 0.3, 0.5, 0.7, 0.9),
    within=(0.0, 0.999999),
    averaged='pass',
    targets=_ANY,
  ),
  'marvell': Defense(
    binding.marvell,
    counters=(Counter.ONE_CLASS,),
    strength='power',
    strengths=(0.1, 0.5, 1.0, 5.0, 10.0),
    guarantee_fn=guarantees.marvell_guarantee,
    two_classes=True,
    averaged='pass',
  ),
  'marvell_dynamic': Defense(
    binding.marvell_dynamic,
    counters=(Counter.ONE_CLASS,),
    strength='error',
    guarantee_fn=guarantees.marvell_guarantee,
    strengths=(0.1, 0.2, 0.3, 0.4),
    within=(0.0, 0.499),
    two_classes=True,
    averaged='pass',
  ),
  'marvell_multiclass': Defense(
    binding.of_classes('cut_grads', defenses.marvell.multiclass_noise),
    counters=(Counter.ONE_CLASS,),
    strength='power',
    strengths=(0.1, 0.5, 1.0, 5.0, 10.0),
    averaged='pass',
  ),
  'max_norm': Defense(
    binding.at('cut_grads', defenses.max_norm.noise),
    counters=(Counter.LINES,),
    strength='strength',
    strengths=(1.0,),
    within=(0.0, 1.0),
    averaged='pass',
    targets=_ANY,
  ),
  'isotropic': Defense(
    binding.at('cut_grads', defenses.isotropic.noise),
    strength='ratio',
    strengths=(0.1, 0.5, 1.0, 2.0, 5.0),
    averaged='pass',
    targets=_ANY,
  ),
  'gradient_averaging': Defense(
    binding.at('cut_grads', defenses.gradient_averaging.average),
    counters=(Counter.BATCH_MEANS,),
    strength='weight',
    strengths=(0.1, 0.5, 0.9, 0.99, 1.0),
    within=(0.0, 1.0),
    targets=_ANY,
  ),
  'discrete_sgd': Defense(
    binding.at('cut_grads', defenses.discrete_sgd.discretize),
    strength='num_bins',
    strengths=(2, 6, 12, 24),
    counts={'num_bins': 0},
    averaged='pass',
    targets=_ANY,
  ),
  'mixup': Defense(
    binding.mixup,
    counters=(Counter.PAIRS,),
    strength='alpha',
    strengths=(0.1, 0.2, 0.5, 1.0),
    averaged='vector',
  ),
  'distance_correlation': Defense(
    binding.at('loss', defenses.distance_correlation.loss),
    strength='weight',
    strengths=(0.01, 0.1, 0.3, 1.0),
    mixes_examples=True,
  ),
  'potential_energy': Defense(
    binding.at('loss', defenses.potential_energy.loss),
    strength='weight',
    strengths=(0.01, 0.1, 1.0, 10.0),
    mixes_examples=True,
  ),
  'cae': Defense(
    binding.cae,
    strength='entropy_weight',
    strengths=(0.1, 0.5, 1.0, 2.0),
    prepare_fn=binding.cae_fit,
    replaces_labels=True,
  ),
  'kdk': Defense(
    binding.at('loss', defenses.kdk.loss, 'k'),
    strength='smoothing',
    strengths=(0.1, 0.3, 0.5, 0.7),
    within=(0.0, 1.0),
    numbers={'k': 3.0},
    counts={'k': 1},
  ),
  # Like LCD, not it: see `label_compression`.
  'lcd_like': Defense(
    binding.label_compression,
    strength='num_labels',
    strengths=(2.0, 5.0),
    within=(1.0, math.inf),
    numbers={'center_weight': 0.01},
    counts={'num_labels': 1},
    replaces_labels=True,
    second_top=True,
  ),
  # Like ANS, not it: see `party_noise`.
  'ans_like': Defense(
    binding.of_classes('party_cut_grads', defenses.party_noise.noise),
    strength='budget',
    strengths=(0.005, 0.05, 0.5),
    off=math.inf,
    within=(1e-6, math.inf),
    averaged='pass',
    of_parties=True,
  ),
  # Like the paper's RLE and MLE, not those: see `label_extension`.
  'rle_like': Defense(binding.rle_like, **_EXTENSION),
  'mle_like': Defense(binding.mle_like, **_EXTENSION),
}
