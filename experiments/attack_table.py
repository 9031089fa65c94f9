r"""Prints the table of docs/attacks.md: which attack applies where.

python -m experiments.attack_table > docs/attacks.md
"""

import inspect

import tabulate

from splitjax.attacks import catalog as attack_catalog

_TITLE = """# Which attack applies where

Written by `python -m experiments.attack_table > docs/attacks.md`; do not edit.
All know the labels of a few auxiliary samples, and the number of classes, but
`direct`, which needs neither. An attack that reads `smashed` does so in
training and in inference, cut gradients cross in training only. What a client
knows beside, and is granted to no other attack: `features` are what its client
makes of its training inputs, `cut_grads` what it received in the recorded pass,
`sent` the smashed data that these answered. `untrained_smashed` and
`raw_inputs` are the no-leak baselines. `extracted` are features of a network
that the attacker owns beside its client (`experiments.transfer --extractor`):
no leak either, unless `cut_grads` helped; `extractor` is the network itself,
with the inputs, to be trained on.

All of them are passive: they compute from what the protocol sent. With
`--malicious_client` the attacker is active (the malicious optimizer of Fu et
al.), whatever it does then; the results name the model `...+malicious_client`.
"""


def to_text() -> str:
  """The page, in Markdown."""
  rows = [
    [
      f'`{name}`',
      inspect.getdoc(attack.fn).splitlines()[0],
      'anything'
      if attack.reads == attack_catalog.ANYTHING
      else ', '.join(attack.reads),
      '2' if attack.two_classes else 'any',
      ', '.join(attack.granted)
      or ('a cut that logits cross' if attack.logits else ''),
      'training' if attack.reads == ('cut_grads',) else 'both',
      'passive',
    ]
    for name, attack in attack_catalog.ATTACKS.items()
  ]
  table = tabulate.tabulate(
    rows,
    headers=[
      'attack',
      'how',
      'reads',
      'classes',
      'knows beside',
      'phase',
      'attacker',
    ],
    tablefmt='github',
  )
  return f'{_TITLE}\n{table}\n'


if __name__ == '__main__':
  print(to_text(), end='')
