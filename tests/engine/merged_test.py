"""Merged classes: what gradients hide, own inputs tell."""

import pytest

from splitjax import engine


@pytest.mark.slow
def test_strongest_reads_merged_classes_with_own_inputs():
  result = engine.run(
    engine.Config(
      epochs=1,
      num_seeds=1,
      num_aux_draws=4,
      intermediates=('cut_grads',),
      defense='lcd_like',
      attacks=('strongest', 'clustering'),
    )
  )
  read = {
    (row['phase'], row['intermediate'], row['attack']): row['mean']
    for row in result.rows()
    if row['measure'] == 'accuracy'
  }
  raw = read['training', 'raw_inputs', 'strongest']
  # Gradients alone tell one of two classes.
  assert read['training', 'cut_grads', 'clustering'] < 0.65
  assert read['training', 'cut_grads', 'strongest'] > max(0.8, raw + 0.05)
