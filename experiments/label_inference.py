r"""Trains a split model, records what crosses the cut, and reads the labels.

  python -m experiments.label_inference

trains five small networks on handwritten digits and attacks them, in about two
minutes on two CPU cores. It prints a table of attack accuracy by what the
attacker read, beside what is no leakage (the same attack on the raw inputs and
on an untrained client). To --out_dir it writes results.csv, results.jsonl (with
the figure of every trial), config.json, report.html, leakage.png and
leakage.svg. Expect close to 100% from the cut gradients of the first pass, and
from smashed data nearly the accuracy of the model itself.
"""

from experiments import common
from splitjax import engine
from splitjax.engine.studies import label_inference

DEFAULT = engine.Config()

if __name__ == '__main__':
  common.ask(label_inference.study, DEFAULT)
