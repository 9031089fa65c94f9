r"""How what leaks depends on where the network is cut.

  python -m experiments.cut_sweep

trains five small networks on handwritten digits once, records what crosses
every cut (where it is cut does not change the training, unless a defense acts
there: such are refused), and attacks it at each, in a few minutes on two CPU
cores. --cuts=4,18,50 takes some cuts only. It writes what `label_inference`
writes. Expect cut gradients to be read nearly completely at every depth of a
small network; smashed data approach the no-leak lines towards the input.
"""

from experiments import common
from splitjax import engine
from splitjax.engine.studies import cut_sweep

DEFAULT = engine.Config()

if __name__ == '__main__':
  common.ask(cut_sweep.study, DEFAULT)
