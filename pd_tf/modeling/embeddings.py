"""Word, position and type embeddings, summed and normalized."""

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf
import tf_keras

from pd_tf.config import encoder as encoder_config
from pd_tf.modeling import blocks
from pd_tf.modeling import dropout
from pd_tf.modeling import normalization


class TiedTable(NamedTuple):
  """The word table for a head, which uses it in two ways.

  Attributes:
    products: Float32 [V, H], for products with all of it.
    rows: The same, to look up rows of.
  """

  products: tf.Tensor
  rows: tf.Tensor


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

  def train(
      self,
      rows: Mapping[str, tf.Tensor],
      seed: tf.Tensor,
      dtype: str,
      tied: bool,
  ) -> tuple[tf.Tensor, tf.Tensor, TiedTable]:
    """Returns what a training step needs of rows.

    Args:
      rows: Of tokens.
      seed: Int32 [2] for dropout.
      dtype: Of products.
      tied: Whether a head uses the word table. If none does, its gradient is
        that of the rows looked up alone.

    Returns:
      The embedded tokens [B S, H], in Float32 and in `dtype`, and the word
      table, for the head tied to it.
    """
    if tied:
      words, table = _look_up_tied(self.word, rows["input_ids"])
    else:
      words = _look_up(self.word, rows["input_ids"])
      table = TiedTable(self.word, self.word)
    parts = [words, _look_up(self.position, rows["position_ids"])]
    types = tf.reshape(rows["type_ids"], [-1])
    mask = dropout.mask(tf.shape(words), self._rate, seed, site=0)
    tokens, low = blocks.embedding_norm(
        parts, types, tf.convert_to_tensor(self.type), mask,
        tf.convert_to_tensor(self.norm.gamma),
        tf.convert_to_tensor(self.norm.beta), self.norm.epsilon, dtype,
    )  # fmt: skip
    return tokens, low, table


def _look_up(table: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
  return tf.gather(table, tf.reshape(ids, [-1]))


def _look_up_tied(
    table: tf.Variable, ids: tf.Tensor
) -> tuple[tf.Tensor, TiedTable]:
  """Returns rows of a table and the table, whose gradients are summed here.

  Those of rows are added at once to that of the products, as each such sum
  makes another table; else they would become tables of zeros before.
  """
  ids = tf.reshape(ids, [-1])

  @tf.custom_gradient
  def compute(table):

    def gradient(d_words, d_products, d_rows) -> tf.Tensor:
      places, values = [ids], [d_words]
      if isinstance(d_rows, tf.IndexedSlices):
        places.append(tf.cast(d_rows.indices, ids.dtype))
        values.append(d_rows.values)
      else:
        d_products += d_rows
      return tf.tensor_scatter_nd_add(
          d_products, tf.concat(places, 0)[:, None], tf.concat(values, 0)
      )

    outputs = tf.gather(table, ids), tf.identity(table), tf.identity(table)
    return outputs, gradient

  words, products, rows = compute(tf.convert_to_tensor(table))
  return words, TiedTable(products, rows)
