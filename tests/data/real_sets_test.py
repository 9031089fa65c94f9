import numpy as np
import pytest

from splitjax import data

pytestmark = pytest.mark.needs_data


def _near(actual, expected, atol):
  np.testing.assert_allclose(actual, expected, atol=atol)


# Means and standard deviations of all pixels, as the literature gives them.
@pytest.mark.parametrize(
  'name,shape,mean,std',
  [
    ('mnist', (28, 28, 1), 0.1307, 0.3081),
    ('fashion_mnist', (28, 28, 1), 0.2860, 0.3530),
    ('cifar10', (32, 32, 3), 0.4734, 0.2516),
  ],
)
def test_images_have_the_known_mean_and_spread(
  data_folder, name, shape, mean, std
):
  dataset = data.load_tfds(
    name, data_dir=data_folder / 'tfds', seed=0, num_train=1000, num_test=100
  )
  assert dataset.train_inputs.shape == (1000, *shape)
  assert dataset.test_inputs.shape == (100, *shape)
  assert dataset.num_classes == 10
  _near(np.bincount(dataset.train_labels) / 1000, 0.1, atol=0.02)
  _near(dataset.train_inputs.mean(), mean, atol=0.01)
  _near(dataset.train_inputs.std(), std, atol=0.01)
  assert (dataset.train_inputs.min(), dataset.train_inputs.max()) == (0, 1)


def test_fashion_mnist_is_resized(data_folder):
  dataset = data.load_tfds(
    'fashion_mnist',
    data_dir=data_folder / 'tfds',
    seed=0,
    num_train=50,
    num_test=10,
    image_size=32,
  )
  assert dataset.train_inputs.shape == (50, 32, 32, 1)
  assert dataset.class_names[9] == 'Ankle boot'


@pytest.mark.parametrize(
  'label_column,num_classes', [('label-coarse', 6), ('label-fine', 47)]
)
def test_trec_has_two_kinds_of_labels(data_folder, label_column, num_classes):
  data_dir = data_folder / 'tfds'
  dataset = data.load_tfds(
    'trec', data_dir=data_dir, seed=0, label_column=label_column
  )
  assert dataset.num_classes == num_classes
  assert len(dataset.train_labels) == 5452
  assert len(dataset.test_labels) == 500
  assert dataset.train_inputs.max() < dataset.vocabulary_size == 8192
  with pytest.raises(ValueError, match='label-coarse, label-fine'):
    data.load_tfds('trec', data_dir=data_dir, seed=0)


def test_adult_has_missing_values_in_three_columns(data_folder):
  dataset = data.load_csv(
    data_folder / 'csv' / 'adult.csv.gz', label_column='income', seed=0
  )
  assert dataset.class_names == ('<=50K', '>50K')
  assert len(dataset.labels_by_id) == 32561
  _near(dataset.test_labels.mean(), 0.2408, atol=0.001)
  assert dataset.train_inputs.shape[1] == 14
  assert len(dataset.category_sizes) == 8
  assert dataset.notes[0].startswith(
    '4,262 missing values in workclass, occupation, native_country: '
  )


def test_bank_has_semicolons_and_quotes(data_folder):
  dataset = data.load_csv(
    data_folder / 'csv' / 'bank-full.csv.xz',
    label_column='y',
    seed=0,
    num_train=1000,
    num_test=100,
  )
  assert dataset.class_names == ('no', 'yes')
  assert dataset.notes[0].startswith('hashed to 256 ids, by column')
  assert not any('missing' in note for note in dataset.notes)
  assert dataset.train_inputs.shape == (1000, 16)
  assert len(dataset.category_sizes) == 9
  assert dataset.train_labels.sum() == 117  # 11.7%, as in the file.
  train, _ = data.raw_vectors(dataset)
  assert train.shape[1] < 60


def test_credit_is_numbers_and_codes(data_folder):
  dataset = data.load_csv(
    data_folder / 'csv' / 'UCI_Credit_Card.csv.gz',
    label_column=-1,
    seed=0,
    drop_columns=['ID'],
    categorical_columns=['SEX', 'EDUCATION', 'MARRIAGE'],
  )
  assert dataset.class_names == ('0', '1')
  assert dataset.train_inputs.shape == (24000, 23)
  assert len(dataset.category_sizes) == 3
  _near(dataset.train_labels.mean(), 0.2212, atol=0.0001)
  assert len(np.unique(dataset.train_inputs[:, -3])) == 2


def test_sst2_is_text_and_tabs_without_header(data_folder):
  folder = data_folder / 'csv'
  dataset = data.load_csv(
    folder / 'sst2-train.tsv.xz',
    test_path=folder / 'sst2-dev.tsv.xz',
    text_column=0,
    label_column=1,
    seed=0,
    num_train=2000,
  )
  assert dataset.class_names == ('0', '1')
  assert len(dataset.test_labels) == 872
  assert dataset.test_labels.sum() == 444
  assert dataset.train_inputs.shape[0] == 2000
  assert dataset.train_inputs.dtype == np.int32
