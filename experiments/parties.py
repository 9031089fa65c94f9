r"""How much each of several parties reads, alone and together with others.

  python -m experiments.parties

divides handwritten digits into two halves, trains three small networks whose
bottoms two parties hold, and attacks what each party receives, in 135 seconds
of CPU time, most of it compilation. --parties, --feature_split and
--party_columns say who holds what, --active_features what the label party
holds, and --attackers who attacks: with each,all also all parties together. It
writes what `label_inference` writes; the results have a column `party`. Expect
each party to read close to 100% from the cut gradients of the first pass,
whatever its features are worth.
"""

from experiments import common
from splitjax.engine.studies import parties

DEFAULT = parties.Config(
  attackers=('each',), attacks=('strongest', 'distance'), epochs=40, num_seeds=3
)

if __name__ == '__main__':
  common.ask(parties.study, DEFAULT)
