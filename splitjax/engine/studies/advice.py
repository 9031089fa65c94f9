"""From what defenses are worth to an order, and to an answer in words."""

from collections.abc import Sequence

from splitjax.engine.studies.worth import PLACES
from splitjax.engine.studies.worth import Share
from splitjax.engine.studies.worth import Worth
from splitjax.reports.worth_plot import Dot

Limits = tuple[float, float]  # Of the loss and of the leakage, as shares.


def rank(one: Worth, *, limits: Limits) -> tuple[float, float]:
  """Return what defenses are sorted by, the best first.

  Args:
    one: what a defense is worth.
    limits: the loss and the leakage that are allowed.

  Returns:
    How far it is beyond the limits, and what it costs and leaves together.
  """
  loss, leak = one.loss.mean, one.leak.mean
  beyond = max(loss - limits[0], 0) + max(leak - limits[1], 0)
  return beyond, loss + leak


def mean_of(one: Worth, other: Worth) -> Worth:
  """Return what two looks at a defense say together; no interval holds."""

  def mean(one: Share, other: Share) -> Share:
    return Share(*((x + y) / 2 for x, y in zip(one, other, strict=True)))

  return Worth(
    one.plan,
    mean(one.loss, other.loss),
    {name: mean(x, other.read[name]) for name, x in one.read.items()},
    {name: mean(x, other.leaks[name]) for name, x in one.leaks.items()},
  )


def in_words(one: Worth) -> str:
  """Return in a sentence what a defense costs, and what is read."""
  read = '; '.join(
    f'{PLACES[name].title} {share.percent}' for name, share in one.read.items()
  )
  return (
    f'{one.plan.text}: {one.loss.percent} points of accuracy lost. Read: '
    f'{read}.'
  )


def answer(
  found: Sequence[Worth],
  places: Sequence[str],
  limits: Limits,
  num_tried: int,
) -> str:
  """Return which defense to take, in words.

  A defense is recommended if its figures lie within the limits, and surely so
  if the upper ends of its intervals do.

  Args:
    found: what the finalists are worth, measured anew, the best first.
    places: where it counts, names in `PLACES`.
    limits: the loss and the leakage that are allowed.
    num_tried: how many were tried.

  Returns:
    The answer.
  """
  judged = [
    one._replace(leaks={name: one.leaks[name] for name in places})
    for one in found
  ]
  asked = (
    f'a loss of at most {100 * limits[0]:g} points and a leakage of at most '
    f'{100 * limits[1]:g}'
  )
  sure = [
    x for x in judged if x.loss.high <= limits[0] and x.leak.high <= limits[1]
  ]
  likely = [x for x in judged if rank(x, limits=limits)[0] == 0]
  if not likely:
    nearest = min(judged, key=lambda one: rank(one, limits=limits))
    return (
      f'NONE of the {num_tried} tried keeps to {asked}. The nearest: '
      f'{_promise(nearest, places)}.'
    )
  if sure:
    return f'TAKE {_promise(sure[0], places)}. Surely {asked}.'
  best = likely[0]
  lacking = [
    words
    for words, share, limit in (
      ('loss', best.loss, limits[0]),
      ('leakage', best.leak, limits[1]),
    )
    if share.high > limit
  ]
  return (
    f'PERHAPS {_promise(best, places)}. The figures keep to {asked}; of the '
    f'{" and the ".join(lacking)} the interval does not: more --num_seeds or '
    'test samples would tell.'
  )


def _promise(one: Worth, places: Sequence[str]) -> str:
  """Return a defense, and what at most is read and lost."""
  read = ', '.join(
    f'{100 * one.read[name].high:.1f}% read from {PLACES[name].title}'
    for name in places
  )
  return (
    f'{one.plan.text}: at most {read}; {one.loss.percent} points of accuracy '
    'lost'
  )


def dot_of(one: Worth) -> Dot:
  """Return a defense as it is drawn, in percent."""
  name = '+'.join(spec.name for spec in one.plan.specs)
  in_percent = lambda share: tuple(100 * x for x in share)
  return Dot(
    name,
    one.plan.text,
    in_percent(one.loss),
    {place: in_percent(share) for place, share in one.read.items()},
    {place: in_percent(share) for place, share in one.leaks.items()},
  )
