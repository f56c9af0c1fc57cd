"""The encoder in plain TensorFlow operations, over tensors by released name.

What leaves for TF-Hub is run and trained by others: in graphs of TensorFlow 1,
and without pd_tf. So no layers, no gradients of our own, which a loader would
not find, and no operation that TensorFlow 1.15 lacks. The values are those of
the encoder that pd_tf trains.
"""

from collections.abc import Callable
from collections.abc import Mapping
import math
from typing import NamedTuple

import tensorflow as tf

from pd_tf.config import encoder as encoder_config

# By names of the released checkpoints; kernels are [in, out].
Weights = Mapping[str, tf.Tensor]

# Model Garden's, with whose outputs these are compared.
_FORBIDDEN = -1e9


class Outputs(NamedTuple):
  """What the encoder gives for a text, or a pair of texts, a row.

  Attributes:
    pooled: Float32 [B, H], tanh of a dense layer over [CLS].
    layers: Output of each layer, L of Float32 [B, S, H].
  """

  pooled: tf.Tensor
  layers: list[tf.Tensor]


def encode(
    weights: Weights,
    config: encoder_config.EncoderConfig,
    ids: tf.Tensor,
    mask: tf.Tensor,
    type_ids: tf.Tensor,
    training: bool = False,
) -> Outputs:
  """Runs the encoder.

  Args:
    weights: Those of encoder and pooler.
    config: Shape of the encoder.
    ids: Int32 [B, S].
    mask: Int32 [B, S], 0 where padded.
    type_ids: Int32 [B, S].
    training: With dropout, drawn anew in each run of the graph.
  """
  shape = tf.shape(ids)
  hidden_dropout = _dropout(config.hidden_dropout, training)
  tokens = hidden_dropout(_embed(weights, config, ids, type_ids))
  bias = (1.0 - tf.cast(tf.not_equal(mask, 0), tf.float32)) * _FORBIDDEN
  layers = []
  for index in range(config.num_layers):
    tokens = _layer(
        weights, config, index, tokens, bias[:, None, None, :], shape, training
    )
    layers.append(
        tf.reshape(tokens, [shape[0], shape[1], config.hidden_size])
    )
  pooled = tf.tanh(_dense(weights, "bert/pooler/dense", layers[-1][:, 0]))
  return Outputs(pooled, layers)


def masked_lm_logits(
    weights: Weights,
    config: encoder_config.EncoderConfig,
    sequence: tf.Tensor,
    positions: tf.Tensor,
) -> tf.Tensor:
  """Returns the masked LM's logits at some positions.

  Args:
    weights: Those of the word embeddings and the masked LM head.
    config: Shape of the encoder.
    sequence: Float32 [B, S, H].
    positions: Int32 [B, P].

  Returns:
    Float32 [B, P, V].
  """
  shape, length = tf.shape(positions), tf.shape(sequence)[1]
  starts = tf.range(shape[0])[:, None] * length
  tokens = tf.gather(
      tf.reshape(sequence, [-1, config.hidden_size]),
      tf.reshape(starts + positions, [-1]),
  )
  scope = "cls/predictions/transform"
  tokens = ACTIVATIONS[config.hidden_act](
      _dense(weights, f"{scope}/dense", tokens)
  )
  tokens = _layer_norm(weights, config, scope, tokens)
  table = weights["bert/embeddings/word_embeddings"]
  logits = tf.matmul(tokens, table, transpose_b=True)
  logits = logits + weights["cls/predictions/output_bias"]
  return tf.reshape(logits, [shape[0], shape[1], config.vocab_size])


def _embed(
    weights: Weights,
    config: encoder_config.EncoderConfig,
    ids: tf.Tensor,
    type_ids: tf.Tensor,
) -> tf.Tensor:
  """Returns Float32 [B S, H]."""
  scope = "bert/embeddings"
  length = tf.shape(ids)[1]
  words = tf.gather(weights[f"{scope}/word_embeddings"], ids)
  types = tf.gather(weights[f"{scope}/token_type_embeddings"], type_ids)
  tokens = words + weights[f"{scope}/position_embeddings"][:length] + types
  tokens = tf.reshape(tokens, [-1, config.hidden_size])
  return _layer_norm(weights, config, scope, tokens)


def _layer(
    weights: Weights,
    config: encoder_config.EncoderConfig,
    index: int,
    tokens: tf.Tensor,
    bias: tf.Tensor,
    shape: tf.Tensor,
    training: bool,
) -> tf.Tensor:
  """Returns the output of a layer for its input, Float32 [B S, H]."""
  scope = f"bert/encoder/layer_{index}"
  drop = _dropout(config.hidden_dropout, training)
  context = _attend(weights, config, scope, tokens, bias, shape, training)
  attended = _dense(weights, f"{scope}/attention/output/dense", context)
  tokens = _layer_norm(
      weights, config, f"{scope}/attention/output", tokens + drop(attended)
  )
  inner = ACTIVATIONS[config.hidden_act](
      _dense(weights, f"{scope}/intermediate/dense", tokens)
  )
  fed = drop(_dense(weights, f"{scope}/output/dense", inner))
  return _layer_norm(weights, config, f"{scope}/output", tokens + fed)


def _attend(
    weights: Weights,
    config: encoder_config.EncoderConfig,
    scope: str,
    tokens: tf.Tensor,
    bias: tf.Tensor,
    shape: tf.Tensor,
    training: bool,
) -> tf.Tensor:
  def heads(part: str) -> tf.Tensor:
    vectors = _dense(weights, f"{scope}/attention/self/{part}", tokens)
    split = [shape[0], shape[1], config.num_heads, config.head_size]
    return tf.transpose(tf.reshape(vectors, split), [0, 2, 1, 3])

  query = heads("query") * (1.0 / math.sqrt(config.head_size))
  scores = tf.matmul(query, heads("key"), transpose_b=True) + bias
  probabilities = _dropout(config.attention_dropout, training)(
      tf.nn.softmax(scores)
  )
  context = tf.matmul(probabilities, heads("value"))
  context = tf.transpose(context, [0, 2, 1, 3])
  return tf.reshape(context, [-1, config.hidden_size])


def _dense(weights: Weights, scope: str, x: tf.Tensor) -> tf.Tensor:
  product = tf.matmul(x, weights[f"{scope}/kernel"])
  return tf.nn.bias_add(product, weights[f"{scope}/bias"])


def _layer_norm(
    weights: Weights,
    config: encoder_config.EncoderConfig,
    scope: str,
    x: tf.Tensor,
) -> tf.Tensor:
  centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
  variance = tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True)
  normal = centred * tf.math.rsqrt(variance + config.layer_norm_epsilon)
  gamma = weights[f"{scope}/LayerNorm/gamma"]
  return normal * gamma + weights[f"{scope}/LayerNorm/beta"]


def _gelu_tanh(x: tf.Tensor) -> tf.Tensor:
  inner = math.sqrt(2 / math.pi) * x * (1.0 + 0.044715 * x * x)
  return 0.5 * x * (1.0 + tf.tanh(inner))


def _gelu_erf(x: tf.Tensor) -> tf.Tensor:
  return 0.5 * x * (1.0 + tf.math.erf(x / math.sqrt(2)))


ACTIVATIONS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "gelu": _gelu_tanh,
    "gelu_erf": _gelu_erf,
}


def _dropout(rate: float, training: bool) -> Callable[[tf.Tensor], tf.Tensor]:
  """Returns a function that zeroes entries at that rate and scales the rest."""

  def drop(x: tf.Tensor) -> tf.Tensor:
    # The raw operation, because tf.random would write a global seed set in
    # this process into the graph: all who load it would draw the same masks.
    draws = tf.raw_ops.RandomUniform(
        shape=tf.shape(x), dtype=tf.float32, seed=0, seed2=0
    )
    kept = tf.cast(draws >= rate, tf.float32)
    return x * kept * (1.0 / (1.0 - rate))

  return drop if training and rate else lambda x: x
