"""Defenses: pure functions, one signature for each place of `Protection`."""

from splitjax.defenses import accounting as accounting
from splitjax.defenses import alibi as alibi
from splitjax.defenses import cae as cae
from splitjax.defenses import compression as compression
from splitjax.defenses import discrete_sgd as discrete_sgd
from splitjax.defenses import distance_correlation as distance_correlation
from splitjax.defenses import dp_sgd as dp_sgd
from splitjax.defenses import gradient_averaging as gradient_averaging
from splitjax.defenses import isotropic as isotropic
from splitjax.defenses import kdk as kdk
from splitjax.defenses import label_compression as label_compression
from splitjax.defenses import label_dp as label_dp
from splitjax.defenses import label_extension as label_extension
from splitjax.defenses import marvell as marvell
from splitjax.defenses import max_norm as max_norm
from splitjax.defenses import mixup as mixup
from splitjax.defenses import party_noise as party_noise
from splitjax.defenses import potential_energy as potential_energy

__all__ = [
  'accounting',
  'alibi',
  'cae',
  'compression',
  'discrete_sgd',
  'distance_correlation',
  'dp_sgd',
  'gradient_averaging',
  'isotropic',
  'kdk',
  'label_compression',
  'label_dp',
  'label_extension',
  'marvell',
  'max_norm',
  'mixup',
  'party_noise',
  'potential_energy',
]
