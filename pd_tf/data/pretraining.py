"""Batches for pre-training out of prepared segments.

The batch of a step follows from (seed, step) alone: a run that resumes at a
step gets the batches that it would have got.
"""

import pathlib
from typing import Any

import tensorflow as tf

from pd_tf.config import errors
from pd_tf.data import masking
from pd_tf.data import prepared
from pd_tf.data import shards
from pd_tf.text import vocabulary as vocabulary_lib

# Rows shuffled at a time in an epoch. They were shuffled globally when they
# were written; this, and the order of the shards, make epochs differ.
_BLOCK_ROWS = 8192


def manifest(segments: pathlib.Path) -> dict[str, Any]:
  """Returns the manifest that `pd-tf prepare` wrote.

  Args:
    segments: Directory of a finished `pd-tf prepare`.

  Raises:
    InputError: It is missing, unfinished, or something else.
  """
  return shards.read_manifest(pathlib.Path(segments))


def dataset(
    segments: pathlib.Path,
    batch_size: int,
    mask_rate: float,
    max_predictions: int | None,
    seed: int,
    start_step: int = 0,
) -> tf.data.Dataset:
  """Returns endless batches, from a step on.

  Args:
    segments: Directory of a finished `pd-tf prepare`.
    batch_size: Rows of a batch, B.
    mask_rate: Share of the tokens to predict.
    max_predictions: Most predictions of a row, P; None is 20 per 128 tokens.
    seed: Of the order and the masks.
    start_step: The first batch is that of this step.

  Returns:
    Dictionaries of input_ids (after masking), type_ids, position_ids,
    example_ids (0 where padding), Int32 [B, S]; cls_positions,
    next_sentence_labels (1: random), Int32 [B, E], next_sentence_weights
    Float32 [B, E] (0 where there is no segment or no part B); masked_positions,
    masked_ids, Int32 [B, P], masked_weights Float32 [B, P]. Not sharded over
    workers: every worker sees every batch.

  Raises:
    InputError: The segments are unfinished, or a file is not as the manifest
      says.
  """
  source = prepared.read(pathlib.Path(segments))
  num_predictions = _num_predictions(max_predictions, source.seq_length)
  if not 0 < mask_rate < 1:
    raise errors.InputError(f"mask_rate ({mask_rate}) must be in (0, 1).")

  def to_batch(step: tf.Tensor, records: tf.Tensor) -> dict[str, tf.Tensor]:
    rows = _parsed(records, source)
    rows.update(_masked(
        rows["input_ids"], source.vocabulary, mask_rate, num_predictions,
        tf.stack([tf.constant(seed, tf.int64), step]),
    ))
    return rows

  batches = _records(source, seed, start_step * batch_size).batch(
      batch_size, drop_remainder=True
  )
  batches = batches.enumerate(start_step).map(
      to_batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
  )
  return batches.prefetch(4).with_options(_options())


def layout(
    lengths: tf.Tensor, first_lengths: tf.Tensor, seq_length: int
) -> dict[str, tf.Tensor]:
  """Returns where the segments of packed rows are.

  Args:
    lengths: Int32 [B, E], tokens of each segment, 0 where there is none.
    first_lengths: Int32 [B, E], how many of these are of type 0.
    seq_length: Tokens of a row, S.

  Returns:
    type_ids, position_ids, example_ids (from 1, 0 where padding), Int32 [B, S],
    and cls_positions, Int32 [B, E], 0 where there is no segment.
  """
  ends = tf.cumsum(lengths, axis=1)
  starts = ends - lengths
  positions = tf.range(seq_length)[tf.newaxis, :, tf.newaxis]
  inside = (positions >= starts[:, tf.newaxis]) & (
      positions < ends[:, tf.newaxis]
  )
  inside = tf.cast(inside, tf.int32)
  numbers = tf.range(1, lengths.shape[1] + 1)
  offsets = positions - starts[:, tf.newaxis]
  second = tf.cast(offsets >= first_lengths[:, tf.newaxis], tf.int32)
  return {
      "type_ids": tf.reduce_sum(inside * second, axis=2),
      "position_ids": tf.reduce_sum(inside * offsets, axis=2),
      "example_ids": tf.reduce_sum(inside * numbers, axis=2),
      "cls_positions": tf.where(lengths > 0, starts, 0),
  }


def _num_predictions(max_predictions: int | None, seq_length: int) -> int:
  if max_predictions is None:
    return masking.default_max_predictions(seq_length)
  if not 1 <= max_predictions <= seq_length:
    raise errors.InputError(
        f"max_predictions ({max_predictions}) must be from 1 to the seq_length "
        f"of the segments ({seq_length})."
    )
  return max_predictions


def _records(
    source: prepared.Prepared, seed: int, start_row: int
) -> tf.data.Dataset:
  """Returns the raw records of epoch after epoch from a row on."""
  first_epoch, skipped = divmod(start_row, source.num_rows)

  def epoch_records(epoch: tf.Tensor, rows_to_skip: tf.Tensor):
    paths = tf.random.experimental.stateless_shuffle(
        tf.constant(source.paths),
        tf.stack([tf.constant(seed, tf.int64), epoch]),
    )
    block, offset = rows_to_skip // _BLOCK_ROWS, rows_to_skip % _BLOCK_ROWS

    def shuffled(number: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
      key = tf.random.fold_in(
          tf.stack([tf.constant(seed, tf.int64), epoch]), number + 1
      )
      return tf.random.experimental.stateless_shuffle(rows, key)

    # Skipping before the blocks are made reads no more than record headers.
    rows = tf.data.TFRecordDataset(paths).skip(block * _BLOCK_ROWS)
    blocks = rows.batch(_BLOCK_ROWS).enumerate(block)
    return blocks.map(shuffled).unbatch().skip(offset)

  started = tf.data.Dataset.from_tensors(
      (tf.constant(first_epoch, tf.int64), tf.constant(skipped, tf.int64))
  )
  later = tf.data.Dataset.counter(first_epoch + 1).map(
      lambda epoch: (epoch, tf.constant(0, tf.int64))
  )
  return started.concatenate(later).flat_map(epoch_records)


def _parsed(
    records: tf.Tensor, source: prepared.Prepared
) -> dict[str, tf.Tensor]:
  """Returns unmasked rows of serialized examples, String [B]."""
  parsed = tf.io.parse_example(records, {
      name: tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64)
      for name in shards.FEATURES
  })
  batch_size = records.shape[0]

  def dense(name: str, width: int) -> tf.Tensor:
    values = tf.cast(parsed[name], tf.int32)
    return values.to_tensor(shape=[batch_size, width])

  lengths = dense(shards.SEGMENT_LENGTHS, source.max_segments)
  first_lengths = dense(shards.FIRST_LENGTHS, source.max_segments)
  is_pair = (lengths > first_lengths) & source.next_sentence
  return {
      "input_ids": dense(shards.INPUT_IDS, source.seq_length),
      "next_sentence_labels": dense(shards.RANDOM_NEXT, source.max_segments),
      "next_sentence_weights": tf.cast(is_pair, tf.float32),
  } | layout(lengths, first_lengths, source.seq_length)


def _masked(
    input_ids: tf.Tensor,
    vocabulary: vocabulary_lib.Vocabulary,
    mask_rate: float,
    max_predictions: int,
    seed: tf.Tensor,
) -> dict[str, tf.Tensor]:
  pad, _, cls, sep, mask = vocabulary.special_ids
  return masking.mask(
      input_ids,
      never=(pad, cls, sep),
      pad_id=pad,
      mask_id=mask,
      vocab_size=len(vocabulary),
      mask_rate=mask_rate,
      max_predictions=max_predictions,
      seed=seed,
  )


def _options() -> tf.data.Options:
  options = tf.data.Options()
  options.deterministic = True
  # Of files, it would give each worker other rows and break (seed, step).
  options.experimental_distribute.auto_shard_policy = (
      tf.data.experimental.AutoShardPolicy.OFF
  )
  return options
