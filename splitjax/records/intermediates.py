"""What crosses a cut, and what else an attacker may hold: one table.

A name of an intermediate stands here, once. Everything else names it by
`Name.CUT_GRADS`, so that a misspelt name fails when a module is imported.
"""

from collections.abc import Mapping
import dataclasses
import enum


class Phase(enum.StrEnum):
  """When something crosses the cut."""

  TRAINING = 'training'
  INFERENCE = 'inference'


class Name(enum.StrEnum):
  """Names of what crosses, is computed or is owned.

  Attributes:
    NONE: nothing is read (figures that need no attack).
    CUT_GRADS: gradients at the cut, as received in a recorded pass.
    SENT: the smashed data that those gradients answered.
    ONLINE: the clusters that those gradients fell into as they came.
    PASSES: all recorded passes of those gradients, with what is known of how
      their batches were made.
    SMASHED: smashed data of the trained client.
    UNTRAINED_SMASHED: smashed data of the client before it was trained.
    RAW_INPUTS: the inputs themselves.
    EXTRACTED: features of a network that the attacker owns.
    SHARES: how frequent each class is in the training set.
    FEATURES: vectors of all training samples, of the kind that is attacked.
    EXTRACTOR: the network that makes the features, to be trained further.
    CLIENT: parameters of the trained client.
  """

  NONE = 'none'
  CUT_GRADS = 'cut_grads'
  SENT = 'sent'
  ONLINE = 'online'
  PASSES = 'passes'
  SMASHED = 'smashed'
  UNTRAINED_SMASHED = 'untrained_smashed'
  RAW_INPUTS = 'raw_inputs'
  EXTRACTED = 'extracted'
  SHARES = 'shares'
  FEATURES = 'features'
  EXTRACTOR = 'extractor'
  CLIENT = 'client'


class Source(enum.StrEnum):
  """Who makes an intermediate.

  Attributes:
    TRAINING_PASS: a recorded pass of the training, step by step.
    EVALUATION: a pass of the model in evaluation mode.
    DATA: the data set alone.
    ATTACKER: the attacker, from what it holds.
  """

  TRAINING_PASS = 'training_pass'
  EVALUATION = 'evaluation'
  DATA = 'data'
  ATTACKER = 'attacker'


@dataclasses.dataclass(frozen=True)
class Intermediate:
  """One row of the table.

  Attributes:
    title: what the tables and plots call it.
    source: who makes it.
    streams: where it can be attacked: by phase, the number that is folded into
      the key of every attack on it. The numbers must not change: they keep the
      draws of an attack apart from what else is measured.
    leaks: whether what is read from it is leakage; else it is a baseline.
    granted_with: the intermediates whose attackers may hold it beside them.
    needs: what has to be recorded for it, beside itself.
  """

  title: str
  source: Source
  streams: Mapping[Phase, int] = dataclasses.field(default_factory=dict)
  leaks: bool = True
  granted_with: tuple[Name, ...] = ()
  needs: tuple[Name, ...] = ()


_OF_CLIENT = (Name.SMASHED, Name.EXTRACTED)
INTERMEDIATES: dict[Name, Intermediate] = {
  Name.CUT_GRADS: Intermediate(
    'cut gradients',
    Source.TRAINING_PASS,
    {Phase.TRAINING: 0},
    granted_with=_OF_CLIENT,
  ),
  Name.SMASHED: Intermediate(
    'smashed data',
    Source.EVALUATION,
    {Phase.TRAINING: 1, Phase.INFERENCE: 4},
  ),
  Name.UNTRAINED_SMASHED: Intermediate(
    'no leak: untrained client',
    Source.EVALUATION,
    {Phase.TRAINING: 2, Phase.INFERENCE: 5},
    leaks=False,
  ),
  Name.RAW_INPUTS: Intermediate(
    'no leak: raw inputs',
    Source.DATA,
    {Phase.TRAINING: 3, Phase.INFERENCE: 6},
    leaks=False,
  ),
  Name.EXTRACTED: Intermediate(
    "features of the attacker's network",
    Source.ATTACKER,
    {Phase.TRAINING: 7, Phase.INFERENCE: 8},
  ),
  Name.SENT: Intermediate(
    'smashed data that gradients answered',
    Source.TRAINING_PASS,
    granted_with=(Name.CUT_GRADS,),
  ),
  Name.ONLINE: Intermediate(
    'clusters of gradients as they came',
    Source.TRAINING_PASS,
    granted_with=(Name.CUT_GRADS,),
    needs=(Name.CUT_GRADS,),
  ),
  Name.PASSES: Intermediate(
    'gradients of all recorded passes',
    Source.ATTACKER,
    granted_with=(Name.CUT_GRADS, *_OF_CLIENT),
    needs=(Name.CUT_GRADS,),
  ),
  Name.SHARES: Intermediate(
    'shares of the classes',
    Source.DATA,
    granted_with=(Name.CUT_GRADS,),
  ),
  Name.FEATURES: Intermediate(
    'features of the training samples',
    Source.ATTACKER,
    granted_with=(*_OF_CLIENT, Name.UNTRAINED_SMASHED, Name.RAW_INPUTS),
  ),
  Name.EXTRACTOR: Intermediate(
    'the network that makes the features',
    Source.ATTACKER,
    granted_with=_OF_CLIENT,
    needs=(Name.CLIENT,),
  ),
  Name.CLIENT: Intermediate('the trained client', Source.EVALUATION),
}

# What a user may ask to attack: what the parties exchange.
EXCHANGED = (Name.SMASHED, Name.CUT_GRADS)
# What can be attacked, in the order of the results.
ATTACKED = tuple(name for name, one in INTERMEDIATES.items() if one.streams)


def stream_of(phase: str, name: str) -> int:
  """Return the number that keeps the draws of attacks on a place apart.

  Args:
    phase: when it is attacked.
    name: what is attacked.

  Returns:
    The number; it does not depend on what else is measured.
  """
  return INTERMEDIATES[Name(name)].streams[Phase(phase)]


def granted_with(name: str) -> frozenset[Name]:
  """Return what an attacker of an intermediate may be granted beside it."""
  return frozenset(
    granted
    for granted, one in INTERMEDIATES.items()
    if Name(name) in one.granted_with
  )
