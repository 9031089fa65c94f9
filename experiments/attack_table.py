"""Prints the table of docs/attacks.md: which attack applies where.

python -m experiments.attack_table > docs/attacks.md
"""

import inspect

import tabulate

from splitjax.attacks.catalog import ATTACKS
from splitjax.records.intermediates import ATTACKED

_TITLE = """# Which attack applies where

Written by `python -m experiments.attack_table > docs/attacks.md`; do not edit.
All know the labels of a few auxiliary samples, and the number of classes, but
`direct`, which needs neither. An attack that reads `smashed` does so in
training and in inference, cut gradients cross in training only. What a client
knows beside, and is granted to no other attack: `features` are what its client
makes of its training inputs, `cut_grads` what it received in the recorded pass,
`sent` the smashed data that these answered (in brackets: what it uses where
it is there). `untrained_smashed` and
`raw_inputs` are the no-leak baselines. `extracted` are features of a network
that the attacker owns beside its client (`experiments.transfer --extractor`):
no leak either, unless `cut_grads` helped; `extractor` is the network itself,
with the inputs, to be trained on.

Settings are set in the name, as `--attacks=clustering:max_iters=50`.

All of them are passive: they compute from what the protocol sent. With
`--malicious_client` the attacker is active (the malicious optimizer of Fu et
al.), whatever it does then; the results name the model `...+malicious_client`.
"""


def to_text() -> str:
  """Return the page, in Markdown."""
  rows = [
    [
      f'`{name}`',
      (inspect.getdoc(attack.fn) or '').partition('\n')[0],
      'anything' if attack.reads == ATTACKED else ', '.join(attack.reads),
      'real'
      if attack.targets == ('real',)
      else ('2 classes' if attack.two_classes else 'classes')
      + (', real' if 'real' in attack.targets else ''),
      ', '.join([*attack.granted, *(f'({x})' for x in attack.optional)])
      or ('a cut that logits cross' if attack.logits else ''),
      'training' if attack.reads == ('cut_grads',) else 'both',
      ', '.join(attack.settings),
    ]
    for name, attack in ATTACKS.items()
  ]
  table = tabulate.tabulate(
    rows,
    headers=[
      'attack',
      'how',
      'reads',
      'targets',
      'knows beside',
      'phase',
      'settings',
    ],
    tablefmt='github',
  )
  return f'{_TITLE}\n{table}\n'


if __name__ == '__main__':
  print(to_text(), end='')
