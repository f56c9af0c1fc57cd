"""The inputs of the encoder: rows of tokens."""

from collections.abc import Sequence
import itertools

import tensorflow as tf

# Int32, all [B, S] but the last, [B, E].
KEYS = ("input_ids", "type_ids", "position_ids", "example_ids", "cls_positions")

# What is added to the score of a forbidden pair (google-research/bert's value
# is -10,000; Model Garden's, with which outputs are compared, is this one).
_FORBIDDEN = -1e9


def padded(
    input_ids: tf.Tensor, input_mask: tf.Tensor, type_ids: tf.Tensor
) -> dict[str, tf.Tensor]:
  """Returns rows of one example each from BERT's padded inputs.

  Args:
    input_ids: Int32 [B, S].
    input_mask: Int32 [B, S], 0 where padded.
    type_ids: Int32 [B, S].
  """
  shape = tf.shape(input_ids)
  positions = tf.broadcast_to(tf.range(shape[1])[None], shape)
  return {
      "input_ids": input_ids,
      "type_ids": type_ids,
      "position_ids": positions,
      "example_ids": tf.cast(input_mask != 0, tf.int32),
      "cls_positions": tf.zeros([shape[0], 1], tf.int32),
  }


def attention_bias(example_ids: tf.Tensor) -> tf.Tensor:
  """Returns what is added to scores to keep attention inside an example.

  Args:
    example_ids: Int32 [B, S], 0 where padded.

  Returns:
    Float32 [B, 1, S, S]: 0 where a token attends, else a large negative
    number. Nothing attends to padding; padding attends to all tokens of its
    row, as in a padded batch of BERT's, and nothing reads what it gets.
  """
  query, key = example_ids[:, :, None], example_ids[:, None, :]
  allowed = ((query == key) | (query == 0)) & (key != 0)
  return tf.where(allowed, 0.0, _FORBIDDEN)[:, None]


def spans(batch_size: int | None, parts: int) -> list[tuple[int, int]]:
  """Returns the rows [start, end) of each part, as equal as can be.

  Args:
    batch_size: B; None where it is not known.
    parts: How many are wanted.

  Returns:
    At most a part for each row; none where that would be one, or B is unknown.
  """
  if batch_size is None or min(parts, batch_size) <= 1:
    return []
  parts = min(parts, batch_size)
  bounds = [number * batch_size // parts for number in range(parts + 1)]
  return list(itertools.pairwise(bounds))


def split(
    x: tf.Tensor, spans: list[tuple[int, int]]
) -> Sequence[tf.Tensor]:
  """Returns the parts of what has a number of entries for each row.

  Args:
    x: [B n, …].
    spans: Of the parts; of none, x is the only one.
  """
  if not spans:
    return [x]
  entries = tf.shape(x)[0] // spans[-1][1]
  return tf.split(x, [(end - start) * entries for start, end in spans])
