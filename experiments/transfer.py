r"""The transfer attack at every depth of a network, in training and inference.

  python -m experiments.transfer

trains three small networks on handwritten digits, reads the labels of the
training set from the cut gradients, and trains a head with them on what the
trained client makes of its inputs. Then the head labels new inputs, whose
gradients never cross. It is shown at every cut beside the other attacks and the
no-leak baselines, in a few minutes on two CPU cores.

--extractor=FOLDER adds the features of a network that the attacker owns: one
that `python -m experiments.pretrain` trained on another data set, or converted
from public weights. --attacks=transfer_tuned,... trains the extractor along.
--recorded_epoch=N reads the gradients of a later pass. It writes what
`label_inference` writes. Expect the transfer attack to come close to the model
itself in inference, also where smashed data alone are read badly.
"""

from experiments import common
from splitjax.engine.studies import transfer

DEFAULT = transfer.Config(
  attacks=(
    'strongest',
    'distance',
    'clustering',
    'transfer_similarity',
    'transfer',
    'transfer_hidden',
  ),
  num_aux_draws=5,
  num_seeds=3,
)

if __name__ == '__main__':
  common.ask(transfer.study, DEFAULT)
