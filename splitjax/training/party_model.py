"""A network whose bottom is held by several parties, each with own features."""

from collections.abc import Callable
import dataclasses
import functools
import itertools
from typing import Any, Self

import jax

from splitjax.data.feature_split import FeatureSplit
from splitjax.models import layering
from splitjax.training.fusion import FUSIONS
from splitjax.training.fusion import FuseFn
from splitjax.training.label_party import LabelPart
from splitjax.training.label_party import Layers
from splitjax.training.missing import DropOut
from splitjax.training.sending import Sent
from splitjax.training.sending import give_back

PyTree = Any


@dataclasses.dataclass(frozen=True, eq=False)
class PartyModel:
  """Bottoms of `P` parties, and the label party's part above them.

  Parts 0 to `P - 1` are the parties'; the last one is the label party's: its
  own bottom, if it has features, then the fusion and the top. With one party,
  and none of the label party's features, it is a `SplitModel` with one cut, bit
  for bit.

  Attributes:
    features: which features each party holds.
    bottoms: layers of each party.
    top: layers of the label party after the fusion.
    own: layers of the label party's bottom; used if it has features.
    fusion: name of a function of `FUSIONS`, or such a function.
    drop_out: parties that are missing.

  Raises:
    ValueError: if there are not as many bottoms as parties, one is empty, the
      fusion or a missing party is not one that there is, or the label party has
      features and no bottom.

  Example:
    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> from splitjax import models
    >>> halves = FeatureSplit((np.arange(3), np.arange(3, 5)), ((3,), (2,)))
    >>> layers = models.mlp(3, hidden_sizes=(8,))
    >>> model = PartyModel(halves, (layers[:3], layers[:3]), layers[3:])
    >>> inputs = jnp.zeros((4, 5))
    >>> params, state = model.init(jax.random.key(0), inputs)
    >>> smashed, logits = model.infer(params, state, inputs)
    >>> [x.shape for x in smashed], logits.shape
    ([(4, 8), (4, 8)], (4, 3))
  """

  features: FeatureSplit
  bottoms: tuple[Layers, ...]
  top: Layers
  own: Layers = ()
  fusion: str | FuseFn = 'concat'
  drop_out: DropOut = DropOut()  # noqa: RUF009 (immutable)

  def __post_init__(self) -> None:
    num_parties = self.features.num_parties
    if len(self.bottoms) != num_parties or not all(self.bottoms):
      held = f'layers for each of the {num_parties} parties'
      raise ValueError(f'bottoms must be {held}, got {self.cuts}.')
    if isinstance(self.fusion, str) and self.fusion not in FUSIONS:
      names = ', '.join(FUSIONS)
      raise ValueError(f'fusion must be one of {names}, got {self.fusion!r}.')
    if self.has_features and not self.own:
      raise ValueError('own must have layers: the label party has features.')
    self.drop_out.check(num_parties)

  def with_top(self, fn: Callable[[Layers], Layers]) -> Self:
    """Return the model with the layers after the fusion that `fn` makes."""
    return dataclasses.replace(self, top=fn(self.top))

  @property
  def has_features(self) -> bool:
    """Whether the label party has features of its own."""
    return self.features.active_columns is not None

  @property
  def num_parts(self) -> int:
    """The number of parts: one a party, and the label party's."""
    return len(self.bottoms) + 1

  @property
  def cuts(self) -> tuple[int, ...]:
    """How many layers each party holds."""
    return tuple(map(len, self.bottoms))

  @property
  def crossings(self) -> tuple[dict[str, int], ...]:
    """What the metadata of a record say of what each party exchanges."""
    return tuple(
      {'cut': cut, 'party': party} for party, cut in enumerate(self.cuts)
    )

  @property
  def _firsts(self) -> tuple[int, ...]:
    """Index of the first layer of each bottom in the whole model.

    The first party's layers come first, then those of the top, as with one
    party; then those of the other parties and of the label party's bottom.
    """
    sizes = [len(x) for x in (self.bottoms[0], self.top, *self.bottoms[1:])]
    return (0, *itertools.accumulate(sizes))

  def _first_of(self, party: int) -> int:
    """Return the index of the first layer of a party's bottom."""
    return self._firsts[party + 1 if party else 0]

  @property
  def _last(self) -> LabelPart:
    """The label party's part."""
    _, first_top, *_, first_own = self._firsts
    fuse = self.fusion
    return LabelPart(
      own=self.own if self.has_features else (),
      top=self.top,
      fuse_fn=FUSIONS[fuse] if isinstance(fuse, str) else fuse,
      first_own=first_own,
      first_top=first_top,
      keeps_means=self.drop_out.fill == 'mean',
    )

  def describe(self) -> str:
    """Return the layers in words; bars mark the cut, '&' the parties."""
    words = lambda layers: ', '.join(map(layering.name, layers))
    texts = list(map(words, self.bottoms))
    bottoms = ' & '.join(texts)
    if len(texts) > 1 and len(set(texts)) == 1:
      bottoms = f'{len(texts)} x ({texts[0]})'
    name = getattr(self.fusion, '__name__', self.fusion)
    own = f'own {words(self.own)}; ' if self.has_features else ''
    fused = f'{name}: ' if self.num_parts > 2 or own else ''
    return f'{bottoms} | {own}{fused}{words(self.top)}'

  def trace(
    self, key: jax.Array, inputs: jax.Array
  ) -> tuple[list[jax.Array], list[jax.Array]]:
    """Return the output of every layer, and of these what each party sends.

    Args:
      key: random key for the parameters.
      inputs: example inputs `[B, ...]` of all features.

    Returns:
      Arrays `[B, ...]`, one a layer, and one a party.
    """
    return self._draw(key, inputs)[:2]

  def init(self, key: jax.Array, inputs: jax.Array) -> tuple[PyTree, PyTree]:
    """Draw the parameters and state of every part.

    Args:
      key: random key for the parameters.
      inputs: example inputs `[B, ...]` of all features.

    Returns:
      The parameters and the state, each a tuple over parts of tuples over
      layers; the label party's state ends with the running means, if these are
      used.
    """
    return self._draw(key, inputs[:1])[2:]

  def _draw(self, key: jax.Array, inputs: jax.Array) -> tuple[Any, ...]:
    """Return all outputs, what is sent, parameters and state."""
    drawn = [
      layering.init_all(self.bottoms[party], self._first_of(party), key, x)
      for party, x in enumerate(self.features.apply(inputs))
    ]
    sent = [outputs[-1] for outputs, *_ in drawn]
    x = self.features.apply_active(inputs)
    outputs, params, state = zip(
      *drawn, self._last.init(key, sent, x), strict=True
    )
    return list(itertools.chain(*outputs)), sent, params, state

  def send(
    self,
    params: PyTree,
    state: PyTree,
    inputs: jax.Array,
    *,
    key: jax.Array,
    protect_fn: Callable[[PyTree], PyTree] | None = None,
  ) -> Sent:
    """Run the parties' bottoms in training mode.

    Args:
      params: parameters of all parts.
      state: state of all parts.
      inputs: inputs of the batch, of all features, `[B, ...]`.
      key: random key of the step, for dropout and for parties that are missing.
      protect_fn: from the tuple of what the parties send to what arrives.

    Returns:
      What the parties send, and how gradients go back.
    """
    smashed, vjp_fns, new_state = [], [], []
    for party, x in enumerate(self.features.apply(inputs)):
      run = functools.partial(
        self.run_bottom, party, state=state[party], x=x, key=key
      )
      output, vjp_fn, part_state = jax.vjp(run, params[party], has_aux=True)
      smashed.append(output)
      vjp_fns.append(vjp_fn)
      new_state.append(part_state)
    received = tuple(smashed)
    if protect_fn is not None:
      received = protect_fn(received)
    return Sent(
      received,
      received,
      state=tuple(new_state),
      last_fn=functools.partial(
        self._last.apply,
        x=self.features.apply_active(inputs),
        present=self.drop_out.draw(key, len(smashed)),
        train=True,
        key=key,
      ),
      back_fn=functools.partial(give_back, vjp_fns),
    )

  def infer(
    self,
    params: PyTree,
    state: PyTree,
    inputs: jax.Array,
    *,
    protect_fn: Callable[[PyTree], PyTree] | None = None,
  ) -> tuple[tuple[jax.Array, ...], jax.Array]:
    """Run all parts in evaluation mode.

    Args:
      params: parameters of all parts.
      state: state of all parts.
      inputs: inputs of the batch, of all features, `[B, ...]`.
      protect_fn: from the tuple of what the parties send to what arrives.

    Returns:
      What each party sends, and the outputs, `[B, ...]` each. A party that is
      missing knows what it would have sent.
    """
    smashed = tuple(
      self.run_bottom(party, params[party], state[party], x)[0]
      for party, x in enumerate(self.features.apply(inputs))
    )
    if protect_fn is not None:
      smashed = protect_fn(smashed)
    logits, _ = self._last.apply(
      params[-1],
      state[-1],
      smashed,
      x=self.features.apply_active(inputs),
      present=self.drop_out.in_inference(len(smashed)),
      train=False,
    )
    return smashed, logits

  def run_bottom(
    self,
    party: int,
    params: PyTree,
    state: PyTree,
    x: jax.Array,
    key: jax.Array | None = None,
  ) -> tuple[jax.Array, PyTree]:
    """Run a party's bottom.

    Args:
      party: its index.
      params: parameters of its part.
      state: state of its part.
      x: the party's features, `[B, ...]`.
      key: random key of a step of training; None in evaluation mode.

    Returns:
      What it sends, `[B, ...]`, and its new state.
    """
    return layering.apply_all(
      self.bottoms[party],
      self._first_of(party),
      params,
      state,
      x,
      train=key is not None,
      key=key,
    )
