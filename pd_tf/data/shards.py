"""The directory of prepared segments: TFRecord shards and their manifest.

A record is a tf.train.Example, one row, with the int64 lists
  input_ids        tokens of the row's segments, one after another, [CLS] and
                   [SEP] included, at most seq_length;
  segment_lengths  tokens of each segment (at most max_segments of them);
  first_lengths    of these, how many are of type 0: [CLS] A [SEP];
  random_next      1 where part B is from another document, else 0.
"""

from collections.abc import Iterator
import json
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf
import tqdm

from pd_tf.config import errors
from pd_tf.config import run_dir as run_dir_lib
from pd_tf.data import corpus as corpus_lib
from pd_tf.data import segments as segments_lib
from pd_tf.text import vocabulary as vocabulary_lib

MANIFEST_FILE = "manifest.json"
VOCAB_FILE = "vocab.txt"
FORMAT = "pd_tf segments 1"
INPUT_IDS, SEGMENT_LENGTHS = "input_ids", "segment_lengths"
FIRST_LENGTHS, RANDOM_NEXT = "first_lengths", "random_next"
FEATURES = (INPUT_IDS, SEGMENT_LENGTHS, FIRST_LENGTHS, RANDOM_NEXT)

# Rows whose tokens are gathered in one go: about 1 M tokens at 128.
_BLOCK_ROWS = 8192


def shard_name(shard: int, num_shards: int) -> str:
  """Returns the file name of a shard."""
  return f"segments-{shard:05d}-of-{num_shards:05d}.tfrecord"


def write(
    directory: pathlib.Path,
    corpus: corpus_lib.Corpus,
    segments: segments_lib.Segments,
    rows: list[list[int]],
    vocabulary: vocabulary_lib.Vocabulary,
    num_shards: int,
) -> list[dict[str, Any]]:
  """Writes rows as TFRecords, split near-evenly and in order.

  Args:
    directory: An existing directory.
    corpus: What the segments point into.
    segments: The segments.
    rows: Indices of the segments of each row.
    vocabulary: Has the ids of [CLS] and [SEP].
    num_shards: Files to write, at most the number of rows.

  Returns:
    Name, number of rows and bytes of each file.
  """
  if num_shards > len(rows):
    raise errors.InputError(
        f"num_shards ({num_shards}) must be at most the number of rows "
        f"({len(rows)})."
    )
  bounds = np.linspace(0, len(rows), num_shards + 1).astype(int).tolist()
  files = []
  with tqdm.tqdm(
      total=len(rows), desc="write", unit=" rows", unit_scale=True, disable=None
  ) as progress:
    for shard in range(num_shards):
      path = directory / shard_name(shard, num_shards)
      mine = rows[bounds[shard]:bounds[shard + 1]]
      with tf.io.TFRecordWriter(str(path)) as writer:
        for record in _records(corpus, segments, mine, vocabulary):
          writer.write(record)
      progress.update(len(mine))
      files.append({
          "name": path.name,
          "rows": len(mine),
          "bytes": path.stat().st_size,
      })
  return files


def write_manifest(directory: pathlib.Path, manifest: dict[str, Any]) -> None:
  """Writes the manifest atomically; its presence means all shards are there."""
  run_dir_lib.write_atomically(
      directory / MANIFEST_FILE,
      json.dumps({"format": FORMAT} | manifest, indent=2),
  )


def read_manifest(directory: pathlib.Path) -> dict[str, Any]:
  """Returns the manifest of finished segments.

  Raises:
    InputError: The directory is missing, not finished, or not of segments.
  """
  path = directory / MANIFEST_FILE
  if not directory.is_dir():
    raise errors.InputError(
        f"segments: {directory} is not a directory; expected what "
        "`pd-tf prepare` writes."
    )
  if not path.exists():
    raise errors.InputError(
        f"segments: {directory} has no {MANIFEST_FILE}; expected a finished "
        "run of `pd-tf prepare`."
    )
  try:
    manifest = json.loads(path.read_text(encoding="utf-8"))
  except ValueError as error:
    raise errors.InputError(f"{path}: not valid JSON: {error}.") from None
  found = manifest.get("format") if isinstance(manifest, dict) else None
  if found != FORMAT:
    raise errors.InputError(
        f"{path}: expected format {FORMAT!r}, got {found!r}."
    )
  return manifest


def _records(
    corpus: corpus_lib.Corpus,
    segments: segments_lib.Segments,
    rows: list[list[int]],
    vocabulary: vocabulary_lib.Vocabulary,
) -> Iterator[bytes]:
  cls_id = vocabulary.id_of(vocabulary_lib.CLS)
  sep_id = vocabulary.id_of(vocabulary_lib.SEP)
  for start in range(0, len(rows), _BLOCK_ROWS):
    block = rows[start:start + _BLOCK_ROWS]
    mine = segments.take(np.concatenate(block))
    ids = segments_lib.token_ids(corpus, mine, cls_id, sep_id)
    lengths = mine.num_tokens.tolist()
    firsts = (mine.first_lengths + 2).tolist()
    labels = mine.random_next.tolist()
    segment, token = 0, 0
    for row in block:
      of_row = slice(segment, segment + len(row))
      segment += len(row)
      num_tokens = sum(lengths[of_row])
      yield _record(
          ids[token:token + num_tokens].tolist(),
          lengths[of_row],
          firsts[of_row],
          labels[of_row],
      )
      token += num_tokens


def _record(
    ids: list[int], lengths: list[int], firsts: list[int], labels: list[int]
) -> bytes:
  example = tf.train.Example()
  feature = example.features.feature
  feature[INPUT_IDS].int64_list.value.extend(ids)
  feature[SEGMENT_LENGTHS].int64_list.value.extend(lengths)
  feature[FIRST_LENGTHS].int64_list.value.extend(firsts)
  feature[RANDOM_NEXT].int64_list.value.extend(labels)
  # A map has no order of its own; the same settings shall give the same bytes.
  return example.SerializeToString(deterministic=True)
