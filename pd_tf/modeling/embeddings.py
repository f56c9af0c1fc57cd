"""Word, position and type embeddings, summed and normalized."""

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf
import tf_keras

from pd_tf.config import encoder as encoder_config
from pd_tf.modeling import blocks
from pd_tf.modeling import dropout
from pd_tf.modeling import fusion
from pd_tf.modeling import normalization


class TiedTable(NamedTuple):
  """The word table for a head, which uses it in two ways.

  Attributes:
    products: [V, H + 1], in the dtype of products: a word's row and, as one
      more entry, the bias that the head has for it.
    rows: Float32 [V, H], to look up rows of.
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

  def tied_table(self, head_bias: tf.Tensor, dtype: str) -> TiedTable:
    """Returns the word table for a head; `train` has one of less memory."""
    return TiedTable(_joined(self.word, head_bias, dtype), self.word)

  def train(
      self,
      rows: Mapping[str, tf.Tensor],
      seed: tf.Tensor,
      dtype: str,
      head_bias: tf.Tensor | None,
  ) -> tuple[tf.Tensor, tf.Tensor, TiedTable | None]:
    """Returns what a training step needs of rows.

    Args:
      rows: Of tokens.
      seed: Int32 [2] for dropout.
      dtype: Of products.
      head_bias: Float32 [V], of the head that uses the word table. If none
        does, None, its gradient is that of the rows looked up alone.

    Returns:
      The embedded tokens [B S, H], in Float32 and in `dtype`, and the word
      table, for the head tied to it.
    """
    if head_bias is None:
      words, table = _look_up(self.word, rows["input_ids"]), None
    else:
      words, table = _look_up_tied(
          self.word, head_bias, rows["input_ids"], dtype
      )
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
    table: tf.Variable, bias: tf.Tensor, ids: tf.Tensor, dtype: str
) -> tuple[tf.Tensor, TiedTable]:
  """Returns rows of a table and the table, whose gradients are summed here.

  At the end, when the layers' are made, and in one kernel: before, the gradient
  of the products is in their dtype, and each sum would make another table.
  """
  ids = tf.reshape(ids, [-1])

  @tf.custom_gradient
  def compute(table, bias):

    def gradient(d_words, d_products, d_rows) -> tuple[tf.Tensor, tf.Tensor]:
      places, values = [ids], [d_words]
      if isinstance(d_rows, tf.IndexedSlices):
        places.append(tf.cast(d_rows.indices, ids.dtype))
        values.append(d_rows.values)
        d_rows = None
      d_table, d_bias = _parted(
          d_products, tf.concat(places, 0), tf.concat(values, 0)
      )
      return d_table if d_rows is None else d_table + d_rows, d_bias

    products = _joined(table, bias, dtype)
    return (tf.gather(table, ids), products, tf.identity(table)), gradient

  words, products, rows = compute(
      tf.convert_to_tensor(table), tf.convert_to_tensor(bias)
  )
  return words, TiedTable(products, rows)


@fusion.fused
def _joined(table: tf.Tensor, bias: tf.Tensor, dtype: str) -> tf.Tensor:
  return tf.cast(tf.concat([table, bias[:, None]], axis=1), dtype)


@fusion.fused
def _parted(
    both: tf.Tensor, places: tf.Tensor, values: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
  """Returns table and bias of a joined table, values added to rows of it."""
  both = tf.cast(both, tf.float32)
  table = tf.tensor_scatter_nd_add(both[:, :-1], places[:, None], values)
  return table, both[:, -1]
