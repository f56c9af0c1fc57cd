"""Heads: pooler, masked LM tied to the embeddings, next sentence, task."""

import tensorflow as tf
import tf_keras

from pd_tf.config import encoder as encoder_config
from pd_tf.modeling import activations
from pd_tf.modeling import dense
from pd_tf.modeling import embeddings
from pd_tf.modeling import normalization
from pd_tf.modeling import tied_softmax


class MaskedLmHead(tf_keras.layers.Layer):
  """Transform, LayerNorm and the tied decoder (google-research/bert)."""

  def __init__(
      self,
      config: encoder_config.EncoderConfig,
      compute_dtype: str,
      name: str,
  ):
    super().__init__(name=name)
    size = config.hidden_size
    self._matmul_dtype = compute_dtype
    self._activation = activations.ACTIVATIONS[config.hidden_act]
    with tf.name_scope(name):
      self.transform = dense.Dense(size, size, compute_dtype, name="transform")
      self.norm = normalization.LayerNorm(
          size, config.layer_norm_epsilon, name="layer_norm"
      )
      self.output_bias = self.add_weight(
          "output_bias", [config.vocab_size], initializer="zeros"
      )

  def call(
      self, sequence: tf.Tensor, positions: tf.Tensor, word_table: tf.Tensor
  ) -> tf.Tensor:
    """Returns logits over the vocabulary at some positions.

    Args:
      sequence: Float32 [B, S, H].
      positions: Int32 [B, P].
      word_table: Float32 [V, H].

    Returns:
      Float32 [B, P, V].
    """
    tokens = self._transformed(sequence, positions)
    logits = dense.matmul(
        tokens, word_table, self._matmul_dtype, transpose_b=True
    )
    logits = tf.nn.bias_add(logits, self.output_bias)
    shape = tf.shape(positions)
    return tf.reshape(logits, [shape[0], shape[1], word_table.shape[0]])

  def cross_entropy(
      self,
      sequence: tf.Tensor,
      positions: tf.Tensor,
      word_table: embeddings.TiedTable,
      labels: tf.Tensor,
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the cross-entropy of labels, and whether they are likeliest.

    Args:
      sequence: Float32 [B, S, H].
      positions: Int32 [B, P].
      word_table: Of the input.
      labels: Int32 [B, P], in [0, V).

    Returns:
      Values (nats), Float32 [B, P], and Bool [B, P].
    """
    labels = tf.reshape(labels, [-1])
    label_rows = tf.concat(
        [
            tf.gather(word_table.rows, labels),
            tf.gather(self.output_bias, labels)[:, None],
        ],
        axis=1,
    )
    values, right = tied_softmax.cross_entropy(
        self._transformed(sequence, positions), word_table.products,
        label_rows, labels,
    )
    shape = tf.shape(positions)
    return tf.reshape(values, shape), tf.reshape(right, shape)

  def _transformed(
      self, sequence: tf.Tensor, positions: tf.Tensor
  ) -> tf.Tensor:
    at = tf.gather(sequence, positions, batch_dims=1)
    tokens = tf.reshape(at, [-1, sequence.shape[-1]])
    return self.norm(self._activation(self.transform(tokens)))
