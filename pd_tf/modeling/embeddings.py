"""Word, position and type embeddings, summed and normalized."""

import tensorflow as tf
import tf_keras

from pd_tf.config import encoder as encoder_config
from pd_tf.modeling import dropout
from pd_tf.modeling import normalization


class Embeddings(tf_keras.layers.Layer):
  """The three tables of BERT (Devlin et al., 2019, Figure 2)."""

  def __init__(self, config: encoder_config.EncoderConfig, name: str):
    super().__init__(name=name)
    size = config.hidden_size
    self._rate = config.hidden_dropout
    positions = config.max_positions
    with tf.name_scope(name):
      self.word = self.add_weight("word", [config.vocab_size, size])
      self.position = self.add_weight("position", [positions, size])
      self.type = self.add_weight("type", [config.type_vocab_size, size])
      self.norm = normalization.LayerNorm(
          size, config.layer_norm_epsilon, name="layer_norm"
      )

  def call(
      self, rows: dict[str, tf.Tensor], seed: tf.Tensor | None
  ) -> tf.Tensor:
    """Returns the embedded tokens of rows, Float32 [B S, H]."""
    embedded = _look_up(self.word, rows["input_ids"])
    embedded += _look_up(self.position, rows["position_ids"])
    embedded += _look_up(self.type, rows["type_ids"])
    return dropout.dropout(self.norm(embedded), self._rate, seed, site=0)


def _look_up(table: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
  return tf.gather(table, tf.reshape(ids, [-1]))
