r"""How what leaks depends on batch size, epoch, known samples, learning rate.

  python -m experiments.ablation

varies one of them at a time around a small network on handwritten digits, in
a few minutes on two CPU cores: the batch size, the epoch whose
gradients are recorded, the number of samples whose labels the attacker knows,
and the learning rate. --vary_batch_size=16,64 takes other values,
--vary_batch_size= none. Seeds and learning rates train side by side in one
program, the recorded epochs are those of one training; each batch size is a
program of its own. It writes what `label_inference` writes. Expect the cut
gradients of the first epochs to be read nearly completely whatever is varied,
and those of later epochs less and less.
"""

from experiments import common
from splitjax.engine.studies import ablation

DEFAULT = ablation.Config(
  # The paper's mode takes most of the time to compile, for each shape.
  attacks=('strongest', 'distance', 'clustering'),
  vary_batch_size=(8, 32, 128),
  vary_recorded_epoch=(1, 2, 5, 10, 30, 60),
  vary_num_aux=(1, 2, 5),
  vary_learning_rate=(0.01, 0.05, 0.1),
)

if __name__ == '__main__':
  common.ask(ablation.study, DEFAULT)
