r"""How much of real targets crosses the cut: label inference on regression.

  python -m experiments.regression

trains five small networks to predict how far diabetes got, and attacks them
with the learning-based attack of Xie et al. (https://arxiv.org/abs/2301.07284),
in about a minute on two CPU cores; beside it what the known samples tell by the
nearest of them and by ridge regression, of gradients, smashed data and, as a
baseline, raw inputs. --defenses=rle_like,mle_like trains on extended labels
too, see `splitjax.defenses.label_extension`. --vary_num_aux=5,10,20 are the
numbers of known samples. It prints R2, and writes what `label_inference`
writes, with mean absolute errors and rank correlations. Expect the gradients of
the first pass to tell more than the model knows.
"""

from experiments import common
from splitjax.engine.studies import regression

DEFAULT = regression.Config(
  dataset='diabetes',
  hidden_sizes=(32, 32),
  epochs=30,
  learning_rate=0.01,
  num_aux=5,
  vary_num_aux=(5, 10, 20),
  num_aux_draws=5,
)

if __name__ == '__main__':
  common.ask(regression.study, DEFAULT)
