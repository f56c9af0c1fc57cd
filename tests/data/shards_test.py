"""The directory of prepared segments: what is written and what is refused."""

import json

import numpy as np
import pytest
import tensorflow as tf

from pd_tf.config import errors
from pd_tf.data import corpus as corpus_lib
from pd_tf.data import segments as segments_lib
from pd_tf.data import shards
from pd_tf.text import vocabulary as vocabulary_lib

VOCABULARY = vocabulary_lib.Vocabulary(
    (*vocabulary_lib.SPECIAL_TOKENS, *"abcdefghij")
)
CLS, SEP = 2, 3


def _written(directory, num_shards=2):
  """Writes three rows: two segments, a pair, a single one."""
  corpus = corpus_lib.Corpus(
      tokens=np.arange(5, 15, dtype=np.uint16),
      sentence_splits=np.array([0, 2, 5, 10]),
      document_splits=np.array([0, 2, 3]),
  )
  columns = ([0, 2, 5, 7], [2, 3, 2, 3], [0, 0, 0, 0], [0, 0, 5, 0],
             [0, 0, 1, 0])
  segments = segments_lib.Segments(*map(np.array, columns))
  return shards.write(
      directory, corpus, segments, [[1, 0], [2], [3]], VOCABULARY, num_shards
  )


def _lists(record):
  feature = tf.train.Example.FromString(record).features.feature
  return {name: list(feature[name].int64_list.value) for name in feature}


def test_records_by_hand(tmp_path):
  files = _written(tmp_path)
  assert [file["name"] for file in files] == [
      "segments-00000-of-00002.tfrecord", "segments-00001-of-00002.tfrecord"
  ]
  assert [file["rows"] for file in files] == [1, 2]
  paths = [tmp_path / file["name"] for file in files]
  assert [file["bytes"] for file in files] == [
      path.stat().st_size for path in paths
  ]
  records = list(tf.data.TFRecordDataset(paths).as_numpy_iterator())
  assert [_lists(record) for record in records] == [
      {
          "input_ids": [CLS, 7, 8, 9, SEP, CLS, 5, 6, SEP],
          "segment_lengths": [5, 4],
          "first_lengths": [5, 4],
          "random_next": [0, 0],
      },
      {
          "input_ids": [CLS, 10, 11, SEP, 5, 6, 7, 8, 9, SEP],
          "segment_lengths": [10],
          "first_lengths": [4],
          "random_next": [1],
      },
      {
          "input_ids": [CLS, 12, 13, 14, SEP],
          "segment_lengths": [5],
          "first_lengths": [5],
          "random_next": [0],
      },
  ]


def test_blocks_change_nothing(tmp_path, monkeypatch):
  (tmp_path / "a").mkdir()
  (tmp_path / "b").mkdir()
  _written(tmp_path / "a")
  monkeypatch.setattr(shards, "_BLOCK_ROWS", 1)
  _written(tmp_path / "b")
  for path in (tmp_path / "a").iterdir():
    assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_more_shards_than_rows(tmp_path):
  with pytest.raises(errors.InputError) as error:
    _written(tmp_path, num_shards=4)
  assert str(error.value) == (
      "num_shards (4) must be at most the number of rows (3)."
  )
  assert not list(tmp_path.iterdir())


def test_manifest_round_trip(tmp_path):
  shards.write_manifest(tmp_path, {"num_rows": 3})
  assert shards.read_manifest(tmp_path) == {
      "format": shards.FORMAT, "num_rows": 3
  }


def test_directories_that_are_no_segments(tmp_path):
  (tmp_path / "empty").mkdir()
  (tmp_path / "file").write_text("x")
  for name, contents in (
      ("broken", "{"), ("list", "[]"), ("other", json.dumps({"format": "x"}))
  ):
    (tmp_path / name).mkdir()
    (tmp_path / name / "manifest.json").write_text(contents)
  cases = {
      "missing": "is not a directory",
      "file": "is not a directory",
      "empty": "expected a finished run of `pd-tf prepare`",
      "broken": "not valid JSON",
      "list": "expected format .*, got None",
      "other": "expected format .*, got 'x'",
  }
  for name, message in cases.items():
    with pytest.raises(errors.InputError, match=message) as error:
      shards.read_manifest(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)
