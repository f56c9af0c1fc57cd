"""One post-LayerNorm Transformer layer over packed rows."""

import math
from typing import NamedTuple

import tensorflow as tf
import tf_keras

from pd_tf.config import encoder as encoder_config
from pd_tf.modeling import activations
from pd_tf.modeling import blocks
from pd_tf.modeling import dense
from pd_tf.modeling import dropout
from pd_tf.modeling import normalization

# Places of dropout in a layer: attention, its output, the feed-forward output.
SITES = 3


class Masks(NamedTuple):
  """What the dropout of a layer drops; None where it drops nothing.

  Attributes:
    attention: Of its weights, [B, A, S, S].
    attended: Of its output, [B, S, H].
    fed: Of the feed-forward output, [B, S, H].
  """

  attention: dropout.Mask | None
  attended: dropout.Mask | None
  fed: dropout.Mask | None

  def split(self, spans: list[tuple[int, int]]) -> "list[Masks]":
    """Returns those of parts of the rows, as `rows.spans` has them."""
    if not spans:
      return [self]
    return [
        Masks(*(mask and mask.rows(*span) for mask in self)) for span in spans
    ]


class TransformerLayer(tf_keras.layers.Layer):
  """Self-attention and feed-forward, each with dropout, sum and LayerNorm.

  Tokens are kept as one [T, H] matrix, T = B S; query, key and value come out
  of one product (Devlin et al., 2019; Vaswani et al., 2017, Section 3).
  """

  def __init__(
      self,
      config: encoder_config.EncoderConfig,
      index: int,
      compute_dtype: str,
      name: str,
  ):
    super().__init__(name=name)
    size, epsilon = config.hidden_size, config.layer_norm_epsilon
    self._config = config
    self._first_site = 1 + index * SITES
    self._matmul_dtype = compute_dtype
    self._activation = activations.ACTIVATIONS[config.hidden_act]
    # The scope names the variables, by which optimizers of others choose what
    # to decay: those of a LayerNorm are to hold the word.
    with tf.name_scope(name):
      self.qkv = dense.Dense(size, 3 * size, compute_dtype, name="qkv")
      self.attention_output = dense.Dense(
          size, size, compute_dtype, name="attention_output"
      )
      self.attention_norm = normalization.LayerNorm(
          size, epsilon, name="attention_layer_norm"
      )
      self.intermediate = dense.Dense(
          size, config.feed_forward_size, compute_dtype, name="intermediate"
      )
      self.output_dense = dense.Dense(
          config.feed_forward_size, size, compute_dtype, name="output"
      )
      self.output_norm = normalization.LayerNorm(
          size, epsilon, name="output_layer_norm"
      )

  def call(
      self, tokens: tf.Tensor, bias: tf.Tensor, seed: tf.Tensor | None
  ) -> tf.Tensor:
    """Returns the layer's output.

    Args:
      tokens: Float32 [B S, H].
      bias: Float32 [B, 1, S, S], from `rows.attention_bias`.
      seed: Int32 [2] for dropout, or None.

    Returns:
      Float32 [B S, H].
    """
    rate = self._config.hidden_dropout
    attended = self.attention_output(self._attend(tokens, bias, seed))
    attended = dropout.dropout(attended, rate, seed, self._first_site + 1)
    tokens = self.attention_norm(tokens + attended)
    fed = self.output_dense(self._activation(self.intermediate(tokens)))
    fed = dropout.dropout(fed, rate, seed, self._first_site + 2)
    return self.output_norm(tokens + fed)

  def masks(self, example_ids: tf.Tensor, seed: tf.Tensor) -> Masks:
    """Draws what `train` drops.

    Args:
      example_ids: Of the rows, [B, S].
      seed: Int32 [2] for dropout.
    """
    config, site = self._config, self._first_site
    batch, length = tf.unstack(tf.shape(example_ids))
    weights = [batch, config.num_heads, length, length]
    hidden = [batch, length, config.hidden_size]
    return Masks(
        dropout.mask(weights, config.attention_dropout, seed, site),
        dropout.mask(hidden, config.hidden_dropout, seed, site + 1),
        dropout.mask(hidden, config.hidden_dropout, seed, site + 2),
    )

  def train(
      self,
      tokens: tf.Tensor,
      low: tf.Tensor,
      example_ids: tf.Tensor,
      masks: Masks,
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns what a call returns, from few large kernels both ways.

    Args:
      tokens: Float32 [B S, H].
      low: The same in the dtype of products.
      example_ids: Int32 [B, S], 0 where padded.
      masks: Of these rows.

    Returns:
      Float32 [B S, H], and the same in the dtype of products.
    """
    attended = self._product(
        self.attention_output,
        self._attend_fused(low, example_ids, masks.attention),
    )
    tokens, low = self._residual(
        self.attention_output, self.attention_norm, tokens, attended,
        masks.attended,
    )
    fed = blocks.activation(
        self._product(self.intermediate, low),
        tf.convert_to_tensor(self.intermediate.bias), self._config.hidden_act,
    )
    fed = self._product(self.output_dense, fed)
    return self._residual(
        self.output_dense, self.output_norm, tokens, fed, masks.fed
    )

  def _attend(
      self, tokens: tf.Tensor, bias: tf.Tensor, seed: tf.Tensor | None
  ) -> tf.Tensor:
    heads, size = self._config.num_heads, self._config.head_size
    batch, length = tf.shape(bias)[0], tf.shape(bias)[2]
    qkv = tf.reshape(self.qkv(tokens), [batch, length, 3, heads, size])
    query, key, value = tf.unstack(tf.transpose(qkv, [2, 0, 3, 1, 4]))
    scores = dense.matmul(
        query * (1.0 / math.sqrt(size)), key, self._matmul_dtype,
        transpose_b=True,
    )
    weights = tf.nn.softmax(scores + bias)
    weights = dropout.dropout(
        weights, self._config.attention_dropout, seed, self._first_site
    )
    context = dense.matmul(weights, value, self._matmul_dtype)
    context = tf.transpose(context, [0, 2, 1, 3])
    return tf.reshape(context, [batch * length, heads * size])

  def _attend_fused(
      self,
      low: tf.Tensor,
      example_ids: tf.Tensor,
      mask: dropout.Mask | None,
  ) -> tf.Tensor:
    heads, size = self._config.num_heads, self._config.head_size
    batch, length = tf.unstack(tf.shape(example_ids))
    qkv = blocks.biased(
        self._product(self.qkv, low), tf.convert_to_tensor(self.qkv.bias)
    )
    qkv = tf.reshape(qkv, [batch, length, 3, heads, size])
    query, key, value = tf.unstack(tf.transpose(qkv, [2, 0, 3, 1, 4]))
    scores = tf.matmul(query, key, transpose_b=True)
    weights = blocks.attention_weights(
        scores, example_ids, mask, 1.0 / math.sqrt(size)
    )
    context = tf.transpose(tf.matmul(weights, value), [0, 2, 1, 3])
    return tf.reshape(context, [batch * length, heads * size])

  def _product(self, layer: dense.Dense, x: tf.Tensor) -> tf.Tensor:
    return tf.matmul(x, tf.cast(layer.kernel, x.dtype))

  def _residual(
      self,
      layer: dense.Dense,
      norm: normalization.LayerNorm,
      tokens: tf.Tensor,
      added: tf.Tensor,
      mask: dropout.Mask | None,
  ) -> tuple[tf.Tensor, tf.Tensor]:
    return blocks.residual_norm(
        tokens, added, tf.convert_to_tensor(layer.bias), mask and mask.flat(),
        tf.convert_to_tensor(norm.gamma), tf.convert_to_tensor(norm.beta),
        norm.epsilon,
    )  # fmt: skip
