import io
import json
import pathlib
import shlex
import shutil
import subprocess
import sys

import numpy as np
from PIL import Image
import pytest
import tensorflow_datasets as tfds

from splitjax import data

NAMES = ['cat', 'dog', 'owl']


def _png(pixels):
  buffer = io.BytesIO()
  Image.fromarray(pixels).save(buffer, 'PNG')
  return buffer.getvalue()


def _pixels(split, i):
  """The image of sample `i`: its first pixel says which it is."""
  rng = np.random.default_rng([len(split), i])
  pixels = rng.integers(0, 256, (6, 8, 3), np.uint8)
  pixels[0, 0, 0] = i
  return pixels


class _Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
  """Splits of as many samples as `SIZES` says."""

  VERSION = tfds.core.Version('1.0.0')

  def _split_generators(self, dl_manager):
    del dl_manager
    return {
      split: self._generate_examples(split, num)
      for split, num in self.SIZES.items()
    }

  def _generate_examples(self, split, num):
    for i in range(num):
      yield i, self._example(split, i)


class TinyImages(_Builder):
  SIZES = {'train': 30, 'test': 12}

  def _info(self):
    return tfds.core.DatasetInfo(
      builder=self,
      features=tfds.features.FeaturesDict(
        {
          'id': tfds.features.Text(),
          'image': tfds.features.Image(shape=(6, 8, 3)),
          'label': tfds.features.ClassLabel(names=NAMES),
        }
      ),
      supervised_keys=('image', 'label'),
    )

  def _example(self, split, i):
    image = _png(_pixels(split, i))
    return {'id': f'{split} {i}', 'image': image, 'label': i % 3}


class TinyVaried(_Builder):
  """Gray images of many sizes, and no test part."""

  SIZES = {'train': 20}

  def _info(self):
    return tfds.core.DatasetInfo(
      builder=self,
      features=tfds.features.FeaturesDict(
        {
          'picture': tfds.features.Image(shape=(None, None, 1)),
          'kind': tfds.features.ClassLabel(num_classes=2),
        }
      ),
    )

  def _example(self, split, i):
    pixels = np.full((3 + i % 4, 5, 1), 10 * (i % 2), np.uint8)
    return {'picture': _png(pixels[..., 0]), 'kind': i % 2}


class TinyTexts(_Builder):
  """Two kinds of labels, and secret ones in the test part."""

  SIZES = {'train': 12, 'test': 4, 'validation': 6}

  def _info(self):
    return tfds.core.DatasetInfo(
      builder=self,
      features=tfds.features.FeaturesDict(
        {
          'text': tfds.features.Text(),
          'coarse': tfds.features.ClassLabel(names=['a', 'b']),
          'fine': tfds.features.ClassLabel(num_classes=3),
        }
      ),
    )

  def _example(self, split, i):
    secret = split == 'test'
    return {
      'text': f'{split} číslo {i}' + ' !' * (i % 3),
      'coarse': -1 if secret else i % 2,
      'fine': -1 if secret else i % 3,
    }


class TinyScores(_Builder):
  """Texts with scores, which are secret in the test part, and with classes."""

  SIZES = {'train': 20, 'test': 4, 'validation': 6}

  def _info(self):
    return tfds.core.DatasetInfo(
      builder=self,
      features=tfds.features.FeaturesDict(
        {
          'text': tfds.features.Text(),
          'score': tfds.features.Scalar(np.float32),
          'kind': tfds.features.ClassLabel(num_classes=2),
        }
      ),
    )

  def _example(self, split, i):
    score = -1.0 if split == 'test' else i / 4 + (split == 'validation')
    return {'text': 'so ' * (1 + i), 'score': score, 'kind': i % 2}


class TinyRatings(_Builder):
  """Images with ratings, and no test part."""

  SIZES = {'train': 20}

  def _info(self):
    return tfds.core.DatasetInfo(
      builder=self,
      features=tfds.features.FeaturesDict(
        {
          'image': tfds.features.Image(shape=(6, 8, 3)),
          'rating': tfds.features.Scalar(np.float64),
        }
      ),
      supervised_keys=('image', 'rating'),
    )

  def _example(self, split, i):
    return {'image': _png(_pixels(split, i)), 'rating': 100.0 + i}


class TinyTable(_Builder):
  """A vector, numbers, categories and integer labels."""

  SIZES = {'train': 20, 'test': 10}

  def _info(self):
    return tfds.core.DatasetInfo(
      builder=self,
      features=tfds.features.FeaturesDict(
        {
          'size': tfds.features.Scalar(np.float32),
          'kind': tfds.features.ClassLabel(names=NAMES),
          'vector': tfds.features.Tensor(shape=(2,), dtype=np.float32),
          'name': tfds.features.Text(),
          'bought': tfds.features.Scalar(np.int64),
        }
      ),
      supervised_keys=(
        {key: key for key in ('size', 'kind', 'vector', 'name')},
        'bought',
      ),
    )

  def _example(self, split, i):
    return {
      'size': i / 2,
      'kind': i % 3,
      'vector': [i, -i],
      'name': 'ab'[i % 2],
      'bought': 5 + i % 2,
    }


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  folder = tmp_path_factory.mktemp('tfds')
  for builder in (
    TinyImages,
    TinyVaried,
    TinyTexts,
    TinyScores,
    TinyRatings,
    TinyTable,
  ):
    builder(data_dir=folder, file_format='array_record').download_and_prepare()
  return folder


def _refused(match, *args, error=ValueError, **kwargs):
  with pytest.raises(error, match=match) as info:
    data.load_tfds(*args, seed=0, **kwargs)
  assert '\n' not in str(info.value)
  return str(info.value)


def test_images_labels_and_names_are_those_that_were_written(data_dir):
  dataset = data.load_tfds('tiny_images', data_dir=data_dir, seed=0)
  assert dataset.name == 'tiny_images'
  assert dataset.class_names == tuple(NAMES)
  assert dataset.train_inputs.shape == (30, 6, 8, 3)
  assert dataset.train_inputs.dtype == np.float32
  assert dataset.train_labels.dtype == np.int32
  assert dataset.vocabulary_size is None
  parts = {
    'train': (dataset.train_inputs, dataset.train_labels),
    'test': (dataset.test_inputs, dataset.test_labels),
  }
  for split, (images, labels) in parts.items():
    found = np.round(images[:, 0, 0, 0] * 255).astype(int)
    assert sorted(found) == list(range(TinyImages.SIZES[split]))
    np.testing.assert_array_equal(labels, found % 3)
    expected = np.stack([_pixels(split, i) for i in found])
    np.testing.assert_array_equal(
      images, expected.astype('f') / np.float32(255)
    )


def test_subsets_are_stratified_and_seeded(data_dir):
  kwargs = dict(data_dir=data_dir, num_train=9, num_test=6)
  first, again, other = (
    data.load_tfds('tiny_images', seed=seed, **kwargs) for seed in (0, 0, 1)
  )
  np.testing.assert_array_equal(first.train_inputs, again.train_inputs)
  assert not np.array_equal(first.train_inputs, other.train_inputs)
  np.testing.assert_array_equal(np.bincount(first.train_labels), [3, 3, 3])
  np.testing.assert_array_equal(np.bincount(first.test_labels), [2, 2, 2])
  found = np.round(first.train_inputs[:, 0, 0, 0] * 255).astype(int)
  np.testing.assert_array_equal(first.train_labels, found % 3)


def test_only_drawn_images_are_decoded(data_dir, monkeypatch):
  opened = []
  image_open = Image.open
  monkeypatch.setattr(
    Image, 'open', lambda file: opened.append(file) or image_open(file)
  )
  data.load_tfds(
    'tiny_images', data_dir=data_dir, seed=0, num_train=5, num_test=3
  )
  assert len(opened) == 8


def test_images_are_resized_to_a_square(data_dir):
  dataset = data.load_tfds(
    'tiny_images', data_dir=data_dir, seed=0, image_size=4
  )
  assert dataset.test_inputs.shape == (12, 4, 4, 3)
  assert dataset.notes[-1] == 'images resized to 4x4, bilinearly'


def test_images_of_many_sizes_need_image_size(data_dir):
  _refused('image_size must be given', 'tiny_varied', data_dir=data_dir)
  dataset = data.load_tfds(
    'tiny_varied', data_dir=data_dir, seed=0, image_size=3
  )
  assert dataset.train_inputs.shape == (16, 3, 3, 1)
  np.testing.assert_allclose(
    dataset.train_inputs[:, 1, 1, 0], dataset.train_labels * 10 / 255, rtol=1e-6
  )


def test_without_a_test_split_a_fifth_is_held_out(data_dir):
  dataset = data.load_tfds(
    'tiny_varied', data_dir=data_dir, seed=0, image_size=3
  )
  np.testing.assert_array_equal(np.bincount(dataset.train_labels), [8, 8])
  np.testing.assert_array_equal(np.bincount(dataset.test_labels), [2, 2])
  assert 'a fifth of split train' in dataset.notes[0]


def test_texts_are_hashed_and_secret_labels_passed_over(data_dir):
  dataset = data.load_tfds(
    'tiny_texts',
    data_dir=data_dir,
    seed=0,
    label_column='coarse',
    vocabulary_size=1000,
    max_tokens=4,
  )
  assert dataset.notes[0] == 'test part: split validation'
  assert dataset.notes[1].startswith('6 of 18 texts were cut to max_tokens=4')
  assert dataset.class_names == ('a', 'b')
  assert dataset.vocabulary_size == 1000
  assert dataset.train_inputs.shape == (12, 4)
  texts = [f'validation číslo {i}' + ' !' * (i % 3) for i in range(6)]
  expected = data.hash_tokens(texts, vocabulary_size=1000, max_tokens=4)
  pairs = zip(dataset.test_inputs, dataset.test_labels, strict=True)
  assert {(row.tobytes(), label) for row, label in pairs} == {
    (row.tobytes(), i % 2) for i, row in enumerate(expected)
  }


def test_floating_labels_are_real_targets_and_secret_ones_passed_over(data_dir):
  dataset = data.load_tfds(
    'tiny_scores', data_dir=data_dir, seed=0, label_column='score'
  )
  assert dataset.is_real
  assert dataset.name == 'tiny_scores'
  assert dataset.notes[0] == 'test part: split validation'
  np.testing.assert_allclose(dataset.train_labels.mean(), 0, atol=1e-6)
  np.testing.assert_allclose(dataset.train_labels.std(), 1, rtol=1e-6)
  lengths = (
    (dataset.train_inputs != 0).sum(1),
    (dataset.test_inputs != 0).sum(1),
  )
  assert (len(lengths[0]), len(lengths[1])) == (20, 6)
  expected = [*(lengths[0] - 1) / 4, *(lengths[1] - 1) / 4 + 1]
  np.testing.assert_allclose(dataset.labels_by_id, expected, atol=1e-6)


def test_classes_are_taken_before_floating_numbers(data_dir):
  dataset = data.load_tfds('tiny_scores', data_dir=data_dir, seed=0)
  assert dataset.num_classes == 2


def test_a_fifth_of_real_targets_is_held_out_and_subsets_are_drawn(data_dir):
  kwargs = dict(data_dir=data_dir, seed=0)
  dataset = data.load_tfds('tiny_ratings', **kwargs)
  assert (len(dataset.train_labels), len(dataset.test_labels)) == (16, 4)
  images = np.concatenate([dataset.train_inputs, dataset.test_inputs])
  found = np.round(images[:, 0, 0, 0] * 255)
  assert sorted(found) == list(range(20))
  np.testing.assert_allclose(dataset.labels_by_id, 100 + found, rtol=1e-6)
  few = data.load_tfds('tiny_ratings', num_train=5, num_test=2, **kwargs)
  assert (len(few.train_labels), len(few.test_labels)) == (5, 2)
  np.testing.assert_allclose(few.train_labels.std(), 1, rtol=1e-6)
  _refused(
    'classes must not be given: rating of tiny_ratings is a real number',
    'tiny_ratings',
    data_dir=data_dir,
    classes=['1', '2'],
  )


def test_ambiguous_and_unknown_features_are_refused(data_dir):
  kwargs = dict(data_dir=data_dir)
  name = 'tiny_texts'
  listed = 'label_column must be one of coarse, fine in tiny_texts'
  _refused(f'{listed}, got None', name, **kwargs)
  _refused(f"{listed}, got 'text'", name, label_column='text', **kwargs)
  _refused(
    "text_column must be one of text in tiny_texts, got 'txt'",
    name,
    label_column='fine',
    text_column='txt',
    **kwargs,
  )
  # The set's own choice counts, where there is one.
  data.load_tfds('tiny_images', seed=0, **kwargs)
  _refused(
    'text_column must be one of id, image',
    'tiny_images',
    text_column='label',
    **kwargs,
  )
  ids = data.load_tfds('tiny_images', seed=0, text_column='id', **kwargs)
  assert ids.vocabulary_size is not None


def test_names_may_contain_a_version(data_dir):
  dataset = data.load_tfds('tiny_images:1.0.0', data_dir=data_dir, seed=0)
  assert dataset.num_classes == 3
  there = r'\(there is tiny_images with 1.0.0\)'
  _refused(
    there, 'tiny_images:2.0.0', data_dir=data_dir, error=FileNotFoundError
  )


def test_name_that_cannot_be_parsed_is_refused(data_dir):
  _refused("name must be like 'trec'", 'tiny images', data_dir=data_dir)


def test_closest_name_is_told(data_dir):
  _refused(
    r'\(did you mean fashion_mnist\?\)',
    'fashon_mnist',
    data_dir=data_dir,
    error=FileNotFoundError,
  )


def test_message_for_a_missing_set_has_the_command_that_prepares_it(tmp_path):
  folder = tmp_path / "a user's folder"
  message = _refused(
    'mnist is not prepared in data_dir .*folder',
    'mnist',
    data_dir=folder,
    error=FileNotFoundError,
  )
  words = shlex.split(message[message.index('python -c ') :])
  assert words[:2] == ['python', '-c']
  assert len(words) == 3
  compile(words[2], 'command', 'exec')
  # The same on a set that needs no download.
  registered = type('TinyAgain', (TinyVaried,), {})
  assert registered.name == 'tiny_again'
  exec(words[2].replace('"mnist"', '"tiny_again"'), {})
  dataset = data.load_tfds('tiny_again', data_dir=folder, seed=0, image_size=3)
  assert len(dataset.labels_by_id) == 20


def test_set_in_another_file_format_is_refused(data_dir, tmp_path):
  shutil.copytree(data_dir / 'tiny_images', tmp_path / 'tiny_images')
  path = tmp_path / 'tiny_images' / '1.0.0' / 'dataset_info.json'
  info = json.loads(path.read_text()) | {'fileFormat': 'tfrecord'}
  path.write_text(json.dumps(info))
  message = _refused(
    'tiny_images is in data_dir .* as tfrecord files',
    'tiny_images',
    data_dir=tmp_path,
    error=FileNotFoundError,
  )
  command = shlex.split(message[message.index('python -c ') :])[2]
  assert str(tmp_path / 'array_record') in command


def test_default_data_dir_is_that_of_tensorflow_datasets(monkeypatch, data_dir):
  from tensorflow_datasets.core import constants

  monkeypatch.setattr(constants, 'DATA_DIR', str(data_dir))
  dataset = data.load_tfds('tiny_images', seed=0)
  assert dataset.num_classes == 3


def test_reading_imports_no_tensorflow(data_dir):
  code = f"""
import sys
from splitjax import data
heavy = {{'pandas', 'tensorflow', 'tensorflow_datasets', 'sklearn'}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
dataset = data.load_tfds('tiny_images', data_dir={str(data_dir)!r}, seed=0)
assert len(dataset.train_labels) == 30
assert 'tensorflow' not in sys.modules
"""
  root = pathlib.Path(__file__).parents[2]
  done = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, cwd=root
  )
  assert done.returncode == 0, done.stderr


def test_features_without_texts_or_images_are_a_table(data_dir):
  kwargs = dict(data_dir=data_dir, seed=0)
  found = data.load_tfds('tiny_table', label_column='bought', **kwargs)
  assert found.class_names == ('5', '6')
  assert found.train_inputs.shape == (20, 5)
  assert found.category_sizes == (256, 256)  # Kind and name.
  assert found.test_inputs.shape == (10, 5)
  numbers = found.train_inputs[:, :3]
  np.testing.assert_allclose(numbers[:, 1], -numbers[:, 2], rtol=1e-6)
  np.testing.assert_allclose(numbers.std(0), 1, rtol=1e-5)
  real = data.load_tfds(
    'tiny_table', label_column='bought', target='real', **kwargs
  )
  assert set(real.labels_by_id) == {5, 6}
  kinds = data.load_tfds(
    'tiny_table', label_column='kind', drop_columns=['name', 'size'], **kwargs
  )
  assert kinds.class_names == tuple(NAMES)
  assert kinds.train_inputs.shape == (20, 2)


def _damage(data_dir, folder, name, change):
  shutil.copytree(data_dir / 'tiny_images', folder / 'tiny_images')
  (path,) = (folder / 'tiny_images' / '1.0.0').glob(name)
  path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
  'name,change,match',
  [
    ('*train*', lambda x: x[: len(x) // 2], 'records of train'),
    ('*train*', lambda x: b'', 'records of train'),
    ('*train*', lambda x: x[:200] + bytes(200) + x[400:], 'hash mismatch'),
    ('features.json', lambda x: x[:100], 'must be a whole set'),
    ('features.json', lambda x: b'{}', 'must be a whole set'),
    ('dataset_info.json', lambda x: x[:100], 'must be a whole set'),
    (
      'dataset_info.json',
      lambda x: x.replace(b'"30"', b'"20"'),
      '30 records of 20',
    ),
    ('label.labels.txt', lambda x: b'cat\ndog\n', '2 names of 3 classes'),
    ('label.labels.txt', lambda x: b'cat\ncat\ndog\n', 'equal names'),
  ],
)
def test_damaged_sets_are_refused(data_dir, tmp_path, name, change, match):
  _damage(data_dir, tmp_path, name, change)
  _refused(match, 'tiny_images', data_dir=tmp_path)


def test_images_beyond_the_memory_are_refused(data_dir):
  _refused(
    'image_size=1000000: expected less',
    'tiny_images',
    data_dir=data_dir,
    image_size=1_000_000,
  )
