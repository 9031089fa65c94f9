"""The table of what crosses a cut."""

import dataclasses

import pytest

from splitjax.attacks.catalog import ATTACKS
from splitjax.records import intermediates
from splitjax.records import viewing
from splitjax.records.intermediates import ATTACKED
from splitjax.records.intermediates import INTERMEDIATES
from splitjax.records.intermediates import Name
from splitjax.records.intermediates import Phase


def test_streams_are_distinct_and_as_they_were():
  """Another number would change the draws of every attack on the place."""
  streams = {
    (name.value, phase.value): number
    for name, one in INTERMEDIATES.items()
    for phase, number in one.streams.items()
  }
  assert streams == {
    ('cut_grads', 'training'): 0,
    ('smashed', 'training'): 1,
    ('untrained_smashed', 'training'): 2,
    ('raw_inputs', 'training'): 3,
    ('smashed', 'inference'): 4,
    ('untrained_smashed', 'inference'): 5,
    ('raw_inputs', 'inference'): 6,
    ('extracted', 'training'): 7,
    ('extracted', 'inference'): 8,
  }
  for (name, phase), number in streams.items():
    assert intermediates.stream_of(phase, name) == number


def test_gradients_cross_in_training_alone():
  with pytest.raises(KeyError):
    intermediates.stream_of(Phase.INFERENCE, Name.CUT_GRADS)


@pytest.mark.parametrize('name', ATTACKS)
def test_what_an_attack_is_granted_is_in_the_table_and_in_the_view(name):
  attack = ATTACKS[name]
  fields = {field.name for field in dataclasses.fields(viewing.Own)}
  assert set(attack.granted) <= set(INTERMEDIATES)
  assert set(attack.granted) <= fields
  assert set(attack.reads) <= set(ATTACKED)
  # Wherever it is defined, something of it can be granted.
  for granted in attack.granted:
    assert any(
      granted in intermediates.granted_with(read) for read in attack.reads
    )


def test_every_intermediate_has_a_title_of_its_own():
  titles = [one.title for one in INTERMEDIATES.values()]
  assert all(titles)
  assert len(set(titles)) == len(titles)
  assert set(INTERMEDIATES) == set(Name) - {Name.NONE}


def test_only_baselines_are_no_leak():
  baselines = {name for name, one in INTERMEDIATES.items() if not one.leaks}
  assert baselines == {Name.RAW_INPUTS, Name.UNTRAINED_SMASHED}
  assert set(intermediates.EXCHANGED) <= set(ATTACKED) - baselines
