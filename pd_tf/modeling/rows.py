"""The inputs of the encoder: rows of tokens."""

import tensorflow as tf

# Int32, all [B, S] but the last, [B, E].
KEYS = ("input_ids", "type_ids", "position_ids", "example_ids", "cls_positions")


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
