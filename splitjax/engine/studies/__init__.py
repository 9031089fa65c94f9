"""The questions that the engine can be asked, one a module.

Each module has `study(config) -> Study`, which `engine.run` then runs, and a
`Config` of its own where the question has fields beside those of
`engine.Config`. `recommend.study` runs its search first, by a function that it
is given.
"""

from splitjax.engine.studies import ablation as ablation
from splitjax.engine.studies import cut_sweep as cut_sweep
from splitjax.engine.studies import defense_sweep as defense_sweep
from splitjax.engine.studies import label_inference as label_inference
from splitjax.engine.studies import parties as parties
from splitjax.engine.studies import recommend as recommend
from splitjax.engine.studies import regression as regression
from splitjax.engine.studies import transfer as transfer

__all__ = [
  'ablation',
  'cut_sweep',
  'defense_sweep',
  'label_inference',
  'parties',
  'recommend',
  'regression',
  'transfer',
]
