"""Texts to the encoder's inputs, inside the graph."""

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_text as tf_text

from pd_tf.text import vocabulary as vocabulary_lib
from pd_tf.text import wordpiece


class Packer:
  """Tokenizes, truncates and joins texts, as they were for training."""

  def __init__(
      self,
      vocabulary: vocabulary_lib.Vocabulary,
      lower_case: bool,
      seq_length: int,
  ):
    self._word_piece = wordpiece.WordPiece(vocabulary, lower_case)
    self._cls_id = vocabulary.id_of(vocabulary_lib.CLS)
    self._sep_id = vocabulary.id_of(vocabulary_lib.SEP)
    self._seq_length = seq_length

  def __call__(
      self, texts: Sequence[tf.Tensor]
  ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns ids, mask and type ids, each Int32 [B, S].

    S is what the longest example needs. Of a pair that is too long, the longer
    text loses tokens first (google-research/bert, `_truncate_seq_pair`).

    Args:
      texts: One or two tensors, String [B].
    """
    pieces = [self._word_piece.ragged(text) for text in texts]
    room = self._seq_length - len(texts) - 1
    trimmed = tf_text.RoundRobinTrimmer(room).trim(pieces)
    ids, type_ids = tf_text.combine_segments(
        trimmed, self._cls_id, self._sep_id
    )
    # Zeros fill up: [PAD] is entry 0 of every vocabulary that is read.
    return (
        ids.to_tensor(), tf.ones_like(ids).to_tensor(), type_ids.to_tensor()
    )
