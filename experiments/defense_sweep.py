r"""What defenses are worth: attack success against utility, by strength.

  python -m experiments.defense_sweep

trains small networks on handwritten digits under each defense at each strength
of the paper, all strengths and seeds of a defense in one program, and attacks
what crosses the cut, in some ten minutes on two CPU cores. A defense of two
classes is tried on the pair of classes that --pair names. Where a defense draws
anew in every pass, the attacker also reads several passes. It writes what
`label_inference` writes, with the defense and its strength in results.csv.
--defenses=label_dp:epsilon=0.1|1|10,max_norm takes other defenses and
strengths. --canaries=1000 measures an epsilon beside the promised one. Expect
gradients to be read nearly completely under compression and DP-SGD, and label
differential privacy and Marvell to hide labels only as far as they cost utility
or are not averaged out.
"""

from experiments import common
from splitjax.engine.studies import defense_sweep

DEFAULT = defense_sweep.Config(
  epochs=20,
  batch_size=64,
  num_seeds=4,
  attacks=('strongest', 'distance', 'clustering'),
  averaged_passes=(5, 20),
)

if __name__ == '__main__':
  common.ask(defense_sweep.study, DEFAULT)
