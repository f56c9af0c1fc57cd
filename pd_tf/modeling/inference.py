"""The classifier once more, for inference alone: fewer and cheaper operations.

Beside the trained one (`bert.py`), with which its outputs are compared
(tests/modeling/inference_test.py), it
- holds its weights as constants, cast once, so that matrix products take them
  in the layout that they want;
- takes padded rows, which for texts sorted by length have hardly any padding:
  attention over packed rows would compare texts that do not attend;
- computes of the last layer only what [CLS] needs: keys and values of all
  tokens, and all else of one in a row;
- scales queries beforehand, and keeps what goes from one product to the next in
  the products' type. Sums and LayerNorm stay float32.
"""

from collections.abc import Mapping
import math

import numpy as np
import tensorflow as tf

from pd_tf.config import encoder as encoder_config
from pd_tf.config import errors

# Added to the score of padding; a float16 holds it.
_FORBIDDEN = -3e4
# A graph holds 2 GiB of constants at the most.
_GRAPH_BYTES = 3 << 29


class Classifier:
  """Runs encoder, pooler and task head over padded rows."""

  def __init__(
      self,
      config: encoder_config.EncoderConfig,
      weights: Mapping[str, np.ndarray],
      compute_dtype: str = "float32",
  ):
    """Takes the weights.

    Args:
      config: Shape of the encoder.
      weights: Float32 by canonical name, `output_weights` among them.
      compute_dtype: "float32", "bfloat16" or "float16", of matrix products.

    Raises:
      InputError: A weight is missing.
    """
    self._config = config
    self._weights = weights
    self._dtype = tf.as_dtype(compute_dtype)
    kernels = config.num_layers * config.hidden_size * (
        4 * config.hidden_size + 2 * config.feed_forward_size
    )
    self._is_large = kernels * self._dtype.size > _GRAPH_BYTES
    ids = tf.TensorSpec([None, None], tf.int32)
    self.num_outputs = len(self._weight("output_bias"))
    self._call = tf.function(
        self._logits,
        input_signature=[ids, ids, tf.TensorSpec([None], tf.int32)],
        autograph=False,
    ).get_concrete_function()

  def logits(
      self, input_ids: np.ndarray, type_ids: np.ndarray, lengths: np.ndarray
  ) -> np.ndarray:
    """Returns Float32 [B, C].

    Args:
      input_ids: Int32 [B, S], each row `[CLS] …`.
      type_ids: Int32 [B, S].
      lengths: Int32 [B], tokens of each row; the rest is padding.
    """
    return self._call(
        tf.constant(input_ids), tf.constant(type_ids), tf.constant(lengths)
    ).numpy()

  def _logits(
      self, input_ids: tf.Tensor, type_ids: tf.Tensor, lengths: tf.Tensor
  ) -> tf.Tensor:
    shape = tf.shape(input_ids)
    tokens = self._embed(input_ids, type_ids)
    mask = tf.sequence_mask(lengths, shape[1])[:, None, None, :]
    bias = tf.cast(tf.where(mask, 0.0, _FORBIDDEN), self._dtype)
    for index in range(self._config.num_layers):
      last = index == self._config.num_layers - 1
      tokens = self._layer(f"bert/encoder/layer_{index}/", tokens, bias, last)
    pooled = tf.tanh(self._dense(tokens, "bert/pooler/dense/", "float32"))
    return tf.nn.bias_add(
        tf.matmul(pooled, self._weight("output_weights"), transpose_b=True),
        self._weight("output_bias"),
    )

  def _embed(self, input_ids: tf.Tensor, type_ids: tf.Tensor) -> tf.Tensor:
    """Returns Float32 [B S, H]."""
    name = "bert/embeddings/"
    length = tf.shape(input_ids)[1]
    words = tf.gather(_held(self._weight(name + "word_embeddings")), input_ids)
    types = tf.gather(self._weight(name + "token_type_embeddings"), type_ids)
    table = tf.constant(self._weight(name + "position_embeddings"))
    positions = table[:length]
    embedded = tf.reshape(words + types + positions, [-1, words.shape[-1]])
    return self._normalized(embedded, name)

  def _layer(
      self, name: str, tokens: tf.Tensor, bias: tf.Tensor, last: bool
  ) -> tf.Tensor:
    """Returns a layer's output.

    Args:
      name: Of its weights, with a slash.
      tokens: Float32 [B S, H].
      bias: [B, 1, 1, S], added to scores.
      last: Whether only the first token of each row is wanted.

    Returns:
      Float32 [B S, H]; if last [B, H].
    """
    attended = self._attend(name + "attention/self/", tokens, bias, last)
    if last:
      batch, length = tf.shape(bias)[0], tf.shape(bias)[3]
      tokens = tf.reshape(tokens, [batch, length, tokens.shape[-1]])[:, 0]
    attended = self._dense(attended, name + "attention/output/dense/")
    tokens = self._normalized(
        tokens + tf.cast(attended, tf.float32), name + "attention/output/"
    )
    # The form that oneDNN makes one with the product and its bias.
    inner = tf.nn.gelu(
        self._dense(tokens, name + "intermediate/dense/"),
        approximate=self._config.hidden_act == "gelu",
    )
    fed = self._dense(inner, name + "output/dense/")
    return self._normalized(
        tokens + tf.cast(fed, tf.float32), name + "output/"
    )

  def _attend(
      self, name: str, tokens: tf.Tensor, bias: tf.Tensor, last: bool
  ) -> tf.Tensor:
    """Returns the context of each token (of the first if last), [., H]."""
    heads, size = self._config.num_heads, self._config.head_size
    batch, length = tf.shape(bias)[0], tf.shape(bias)[3]
    kernels, biases = [], []
    for part in ("query", "key", "value"):
      scale = 1.0 / math.sqrt(size) if part == "query" else 1.0
      kernels.append(self._weight(f"{name}{part}/kernel") * scale)
      biases.append(self._weight(f"{name}{part}/bias") * scale)
    qkv = self._product(
        tokens, np.concatenate(kernels, 1), np.concatenate(biases),
        self._dtype,
    )
    qkv = tf.reshape(qkv, [batch, length, 3, heads, size])
    query, key, value = tf.unstack(tf.transpose(qkv, [2, 0, 3, 1, 4]))
    if last:
      query = query[:, :, :1]
    scores = tf.matmul(query, key, transpose_b=True) + bias
    context = tf.matmul(tf.nn.softmax(scores), value)
    context = tf.transpose(context, [0, 2, 1, 3])
    return tf.reshape(context, [-1, heads * size])

  def _dense(
      self, x: tf.Tensor, name: str, dtype: tf.DType | str | None = None
  ) -> tf.Tensor:
    return self._product(
        x, self._weight(name + "kernel"), self._weight(name + "bias"),
        tf.as_dtype(dtype or self._dtype),
    )

  def _product(
      self, x: tf.Tensor, kernel: np.ndarray, bias: np.ndarray, dtype: tf.DType
  ) -> tf.Tensor:
    kernel = kernel.astype(dtype.as_numpy_dtype)
    bias = bias.astype(dtype.as_numpy_dtype)
    held = _held(kernel) if self._is_large else tf.constant(kernel)
    return tf.nn.bias_add(tf.matmul(tf.cast(x, dtype), held), bias)

  def _normalized(self, x: tf.Tensor, name: str) -> tf.Tensor:
    centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
    variance = tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True)
    inverse = tf.math.rsqrt(variance + self._config.layer_norm_epsilon)
    gamma = self._weight(name + "LayerNorm/gamma")
    return centred * inverse * gamma + self._weight(name + "LayerNorm/beta")

  def _weight(self, name: str) -> np.ndarray:
    if name not in self._weights:
      raise errors.InputError(f"model: expected a weight {name}, has none.")
    return np.asarray(self._weights[name], np.float32)


def _held(array: np.ndarray) -> tf.Tensor:
  """Returns a tensor beside the graph, not a constant in it."""
  with tf.init_scope():
    return tf.constant(array)
