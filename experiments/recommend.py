r"""Which defense to take: the one that leaks and costs little enough, if any.

  python -m experiments.recommend --max_loss=2 --max_leakage=10

searches the defenses of the catalog, their strengths and pairs of the best on
handwritten digits, in under ten minutes on two idle CPU cores, and answers
which one to take, what at most is read under it and what it costs the model. It
says so where none of those tried will do. Noise is tried at several clip norms.
Each is trained on one network, with a part of the training set held out to
judge the model by; all strengths of a defense are one program. The best go
through a second network, and the last two are measured on fresh networks, draws
and test samples, so that their figures are not the luckiest of many. What
counts is what the strongest attacker reads above guessing of gradients (of one
pass and of the whole training), or above the no-leak baselines of smashed data,
see --places. The search is kept in folders of --out_dir, so that a killed run
goes on. Takes the flags of the other binaries for your own data and models.
"""

from experiments import common
from splitjax import engine
from splitjax.engine.studies import recommend

DEFAULT = recommend.Config(
  epochs=20, batch_size=64, attacks=('strongest',), num_aux_draws=4
)


def main(config: recommend.Config, timings: engine.Timings) -> None:
  """Search, and show what was found."""
  out_dir = common.out_dir_of('recommend', DEFAULT)

  def run(study: engine.Study, name: str) -> engine.Result:
    return common.run(study, out_dir / name, timings=timings)

  common.execute(recommend.study(config, run), DEFAULT, timings)


if __name__ == '__main__':
  common.launch(main, DEFAULT)
