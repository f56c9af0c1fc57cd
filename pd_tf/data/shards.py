"""The directory of prepared segments: TFRecord shards and their manifest.

A record is a tf.train.Example, one row, with the int64 lists
  input_ids        tokens of the row's segments, one after another, [CLS] and
                   [SEP] included, at most seq_length;
  segment_lengths  tokens of each segment (at most max_segments of them);
  first_lengths    of these, how many are of type 0: [CLS] A [SEP];
  random_next      1 where part B is from another document, else 0.
"""

import json
import pathlib
from typing import Any

import numpy as np

from pd_tf.config import errors
from pd_tf.config import run_dir as run_dir_lib
from pd_tf.data import corpus as corpus_lib
from pd_tf.data import ranges
from pd_tf.data import record_frames
from pd_tf.data import segments as segments_lib
from pd_tf.data import storage
from pd_tf.text import vocabulary as vocabulary_lib

MANIFEST_FILE = "manifest.json"
VOCAB_FILE = "vocab.txt"
FORMAT = "pd_tf segments 1"
INPUT_IDS, SEGMENT_LENGTHS = "input_ids", "segment_lengths"
FIRST_LENGTHS, RANDOM_NEXT = "first_lengths", "random_next"
FEATURES = (INPUT_IDS, SEGMENT_LENGTHS, FIRST_LENGTHS, RANDOM_NEXT)

# Field numbers and wire types of tf.train.Example and what is in it.
_FEATURES = 0x0A
_ENTRY, _KEY, _VALUE = 0x0A, 0x0A, 0x12
_INT64_LIST, _PACKED = 0x1A, 0x0A
# Rows serialized in one go: their numbers, 1 MB at 128, stay in the cache.
_BLOCK_ROWS = 512


def shard_name(shard: int, num_shards: int) -> str:
  """Returns the file name of a shard."""
  return f"segments-{shard:05d}-of-{num_shards:05d}.tfrecord"


def write_rows(
    path: str,
    corpus: corpus_lib.Corpus,
    segments: segments_lib.Segments,
    rows: list[list[int]],
    vocabulary: vocabulary_lib.Vocabulary,
) -> np.ndarray:
  """Writes rows as TFRecords, in order.

  Args:
    path: The file.
    corpus: What the segments point into.
    segments: The segments.
    rows: Indices of the segments of each row, R rows.
    vocabulary: Has the ids of [CLS] and [SEP].

  Returns:
    Int64 [R + 1], where in the file each record begins and the last one ends.
  """
  ends = [np.zeros(1, np.int64)]

  def blocks():
    for start in range(0, len(rows), _BLOCK_ROWS):
      block = rows[start:start + _BLOCK_ROWS]
      data, splits = _block(corpus, segments, block, vocabulary)
      sizes = np.diff(splits) + record_frames.FRAME_BYTES
      ends.append(ends[-1][-1] + np.cumsum(sizes))
      yield record_frames.framed(data, splits)

  storage.write(path, blocks())
  return np.concatenate(ends)


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


def _block(
    corpus: corpus_lib.Corpus,
    segments: segments_lib.Segments,
    rows: list[list[int]],
    vocabulary: vocabulary_lib.Vocabulary,
) -> tuple[bytes, np.ndarray]:
  """Returns rows serialized, and where each begins and the last ends."""
  mine = segments.take(np.array([i for row in rows for i in row], np.int64))
  ids = segments_lib.token_ids(
      corpus, mine, vocabulary.id_of(vocabulary_lib.CLS),
      vocabulary.id_of(vocabulary_lib.SEP),
  )
  lengths = mine.num_tokens
  counts = np.array([len(row) for row in rows], np.int64)
  token_counts = np.diff(ranges.splits(lengths)[ranges.splits(counts)])
  return _records({
      INPUT_IDS: (ids, token_counts),
      SEGMENT_LENGTHS: (lengths, counts),
      FIRST_LENGTHS: (mine.first_lengths + 2, counts),
      RANDOM_NEXT: (mine.random_next, counts),
  })


def _records(
    features: dict[str, tuple[np.ndarray, np.ndarray]]
) -> tuple[bytes, np.ndarray]:
  """Returns tf.train.Examples of lists of integers, serialized.

  Tags, lengths, names and values are all numbers that take seven bits a byte:
  they are put in one array and encoded at once.

  Args:
    features: Values, not negative, all records' one after another, and how many
      of them each of R records has, by name.

  Returns:
    The bytes, and Int64 [R + 1], where each record begins and the last ends.
  """
  # In the order of a deterministic serialization, that of the names.
  parts = [
      (_head(name, values, counts), values, counts)
      for name, (values, counts) in sorted(features.items())
  ]
  total = sum(head[:, 1] + 1 + _sizes(head[:, 1]) for head, _, _ in parts)
  lengths = sum(counts + head.shape[1] for head, _, counts in parts) + 2
  starts = ranges.splits(lengths)
  numbers = np.empty(starts[-1], np.int64)
  numbers[starts[:-1]] = _FEATURES
  numbers[starts[:-1] + 1] = total
  position = starts[:-1] + 2
  for head, values, counts in parts:
    width = head.shape[1]
    numbers[position[:, np.newaxis] + np.arange(width)] = head
    numbers[ranges.joined(position + width, counts)] = values
    position = position + width + counts
  data, ends = _varints(numbers)
  return data, ends[starts]


def _head(name: str, values: np.ndarray, counts: np.ndarray) -> np.ndarray:
  """Returns what stands before the values of a feature, Int64 [R, H].

  The number in column 1 is the length of all that follows.
  """
  ends = ranges.splits(_sizes(values))[ranges.splits(counts)]
  packed = np.diff(ends)
  int64_list = packed + 1 + _sizes(packed)
  feature = int64_list + 1 + _sizes(int64_list)
  key = [_KEY, len(name), *name.encode()]
  entry = len(key) + 1 + _sizes(feature) + feature
  head = np.empty([len(counts), len(key) + 8], np.int64)
  head[:, 0], head[:, 1] = _ENTRY, entry
  head[:, 2:-6] = key
  head[:, -6], head[:, -5] = _VALUE, feature
  head[:, -4], head[:, -3] = _INT64_LIST, int64_list
  head[:, -2], head[:, -1] = _PACKED, packed
  return head


def _sizes(values: np.ndarray) -> np.ndarray:
  """Returns how many bytes numbers take at seven bits a byte, Int64."""
  sizes = np.ones(len(values), np.int64)
  for bits in range(7, 64, 7):
    longer = values >= 1 << bits
    if not longer.any():
      break
    sizes += longer
  return sizes


def _varints(values: np.ndarray) -> tuple[bytes, np.ndarray]:
  """Returns numbers in seven bits a byte, as protocol buffers have them.

  Returns:
    The bytes, and Int64 [N + 1], where each number begins and the last ends.
  """
  sizes = _sizes(values)
  starts = ranges.splits(sizes)
  data = np.empty(starts[-1], np.uint8)
  for digit in range(sizes.max(initial=0)):
    has = np.flatnonzero(sizes > digit)
    more = (sizes[has] > digit + 1) << 7
    data[starts[has] + digit] = values[has] >> 7 * digit & 127 | more
  return data.tobytes(), starts
