"""The protocol: a model cut into parts, its steps, epochs and inference."""

from splitjax.training.epochs import EpochLog as EpochLog
from splitjax.training.epochs import TrainState as TrainState
from splitjax.training.epochs import epoch_key as epoch_key
from splitjax.training.epochs import init as init
from splitjax.training.epochs import init_key as init_key
from splitjax.training.epochs import train as train
from splitjax.training.epochs import train_epoch as train_epoch
from splitjax.training.epochs import train_step as train_step
from splitjax.training.inference import Pass as Pass
from splitjax.training.inference import evaluate as evaluate
from splitjax.training.missing import DropOut as DropOut
from splitjax.training.party_model import PartyModel as PartyModel
from splitjax.training.protection import Protection as Protection
from splitjax.training.protection import compose as compose
from splitjax.training.protection import (
  draw_stored_labels as draw_stored_labels,
)
from splitjax.training.split import Exchange as Exchange
from splitjax.training.split import SplitGrads as SplitGrads
from splitjax.training.split import SplitModel as SplitModel
from splitjax.training.split import split_grads as split_grads

__all__ = [
  'DropOut',
  'EpochLog',
  'Exchange',
  'PartyModel',
  'Pass',
  'Protection',
  'SplitGrads',
  'SplitModel',
  'TrainState',
  'compose',
  'draw_stored_labels',
  'epoch_key',
  'evaluate',
  'init',
  'init_key',
  'split_grads',
  'train',
  'train_epoch',
  'train_step',
]
