"""What lies between a layer's matrix products, one kernel each way.

For training; the plain forms are in transformer.py, normalization.py and
activations.py. They take products in the dtype that these were computed in,
work in float32, and give what the next product takes.
"""

import tensorflow as tf

from pd_tf.modeling import activations
from pd_tf.modeling import dropout
from pd_tf.modeling import fusion
from pd_tf.modeling import rows as rows_lib


def residual_norm(
    x: tf.Tensor,
    added: tf.Tensor,
    bias: tf.Tensor,
    mask: dropout.Mask | None,
    gamma: tf.Tensor,
    beta: tf.Tensor,
    epsilon: float,
) -> tuple[tf.Tensor, tf.Tensor]:
  """Returns LayerNorm(x + dropout(added + bias)), Float32 and as `added`.

  Args:
    x: Float32 [T, H].
    added: Float [T, H], a product.
    bias: Float32 [H].
    mask: Of `added`, or None.
    gamma: Float32 [H].
    beta: Float32 [H].
    epsilon: Added to the variance.
  """

  @tf.custom_gradient
  def compute(x, added, bias, gamma, beta):
    outputs, normal, inverse = _residual_norm(
        x, added, bias, mask, gamma, beta, epsilon
    )

    def gradient(*upstream: tf.Tensor):
      return _residual_norm_gradient(
          upstream, normal, inverse, mask, gamma, added.dtype
      )

    return outputs, gradient

  return _pair(compute(x, added, bias, gamma, beta))


@fusion.fused
def _residual_norm(x, added, bias, mask, gamma, beta, epsilon):
  x += _masked(tf.cast(added, tf.float32) + bias, mask)
  normal, inverse = _normal(x, epsilon)
  return _outputs(normal * gamma + beta, added.dtype), normal, inverse


@fusion.fused
def _residual_norm_gradient(upstream, normal, inverse, mask, gamma, dtype):
  total = _total(upstream)
  d_x = _normal_gradient(total * gamma, normal, inverse)
  d_added = _masked(d_x, mask)
  return (
      d_x, tf.cast(d_added, dtype), tf.reduce_sum(d_added, axis=0),
      tf.reduce_sum(total * normal, axis=0), tf.reduce_sum(total, axis=0),
  )  # fmt: skip


def biased(product: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
  """Returns product + bias, in the dtype of the product.

  Args:
    product: Float [T, F].
    bias: Float32 [F].
  """

  @tf.custom_gradient
  def compute(product, bias):

    def gradient(upstream: tf.Tensor):
      # TensorFlow's own sums bfloat16 in bfloat16: over thousands of rows it
      # is off by a fifth. A product sums in float32, in half the time, and is
      # then rounded.
      ones = tf.ones([1, tf.shape(upstream)[0]], upstream.dtype)
      return upstream, tf.cast(tf.matmul(ones, upstream)[0], bias.dtype)

    # Not of two dimensions: of product and `bias_add` oneDNN would make one
    # operation, which in bfloat16 takes twice as long as the two.
    rows = product[:, None] + tf.cast(bias, product.dtype)
    return tf.squeeze(rows, axis=1), gradient

  return compute(product, bias)


def embedding_norm(
    parts: list[tf.Tensor],
    types: tf.Tensor,
    table: tf.Tensor,
    mask: dropout.Mask | None,
    gamma: tf.Tensor,
    beta: tf.Tensor,
    epsilon: float,
    dtype: str,
) -> tuple[tf.Tensor, tf.Tensor]:
  """Returns dropout(LayerNorm(sum of parts and of types)), in two dtypes.

  Args:
    parts: Each Float32 [T, H].
    types: Int32 [T].
    table: Float32 [K, H], of few types.
    mask: Of the whole, or None.
    gamma: Float32 [H].
    beta: Float32 [H].
    epsilon: Added to the variance.
    dtype: Of products; the other is Float32, and first.
  """
  num_types = table.shape[0]

  @tf.custom_gradient
  def compute(table, gamma, beta, *parts):
    outputs, normal, inverse = _embedding_norm(
        parts, types, table, mask, gamma, beta, epsilon, dtype
    )

    def gradient(*upstream: tf.Tensor):
      d_x, *others = _embedding_norm_gradient(
          upstream, types, num_types, normal, inverse, mask, gamma
      )
      return *others, *([d_x] * len(parts))

    return outputs, gradient

  return _pair(compute(table, gamma, beta, *parts))


@fusion.fused
def _embedding_norm(parts, types, table, mask, gamma, beta, epsilon, dtype):
  # Of so few rows, each where it is wanted: a look-up would go number by
  # number.
  of_types = [
      tf.where((types == number)[:, None], table[number], 0.0)
      for number in range(table.shape[0])
  ]
  normal, inverse = _normal(sum(of_types, sum(parts[1:], parts[0])), epsilon)
  out = _masked(normal * gamma + beta, mask)
  return _outputs(out, tf.dtypes.as_dtype(dtype)), normal, inverse


@fusion.fused
def _embedding_norm_gradient(
    upstream, types, num_types, normal, inverse, mask, gamma
):
  total = _masked(_total(upstream), mask)
  d_x = _normal_gradient(total * gamma, normal, inverse)
  d_table = [
      tf.reduce_sum(tf.where((types == number)[:, None], d_x, 0.0), axis=0)
      for number in range(num_types)
  ]
  return (
      d_x, tf.stack(d_table),
      tf.reduce_sum(total * normal, axis=0), tf.reduce_sum(total, axis=0),
  )  # fmt: skip


def activation(x: tf.Tensor, bias: tf.Tensor, name: str) -> tf.Tensor:
  """Returns the activation of x + bias, in the dtype of x.

  Args:
    x: Float [T, F], a product.
    bias: Float32 [F].
    name: Of the activation.
  """

  @tf.custom_gradient
  def compute(x, bias):

    def gradient(upstream: tf.Tensor):
      return _activation_gradient(upstream, x, bias, name)

    return _activation(x, bias, name), gradient

  return compute(x, bias)


@fusion.fused
def _activation(x, bias, name):
  active = activations.ACTIVATIONS[name](tf.cast(x, tf.float32) + bias)
  return tf.cast(active, x.dtype)


@fusion.fused
def _activation_gradient(upstream, x, bias, name):
  slope = activations.SLOPES[name](tf.cast(x, tf.float32) + bias)
  d_x = tf.cast(upstream, tf.float32) * slope
  return tf.cast(d_x, x.dtype), tf.reduce_sum(d_x, axis=0)


def attention_weights(
    scores: tf.Tensor,
    example_ids: tf.Tensor,
    mask: dropout.Mask | None,
    scale: float,
) -> tf.Tensor:
  """Returns dropout(softmax(scale scores)), in the dtype of scores.

  The softmax is over the tokens that `rows.attention_bias` lets one attend to.

  Args:
    scores: Float [B, A, S, S], a product.
    example_ids: Int32 [B, S], 0 where padded.
    mask: Of the weights, or None.
    scale: Of the scores.
  """

  @tf.custom_gradient
  def compute(scores):
    weights, dropped = _attention_weights(scores, example_ids, mask, scale)

    def gradient(upstream: tf.Tensor):
      return _attention_weights_gradient(upstream, weights, mask, scale)

    return dropped, gradient

  return compute(scores)


@fusion.fused
def _attention_weights(scores, example_ids, mask, scale):
  bias = rows_lib.attention_bias(example_ids)
  weights = tf.nn.softmax(tf.cast(scores, tf.float32) * scale + bias)
  dropped = tf.cast(_masked(weights, mask), scores.dtype)
  return tf.cast(weights, scores.dtype), dropped


@fusion.fused
def _attention_weights_gradient(upstream, weights, mask, scale):
  dtype, weights = weights.dtype, tf.cast(weights, tf.float32)
  upstream = _masked(tf.cast(upstream, tf.float32), mask) * weights
  total = tf.reduce_sum(upstream, axis=-1, keepdims=True)
  return tf.cast((upstream - weights * total) * scale, dtype)


def _masked(x: tf.Tensor, mask: dropout.Mask | None) -> tf.Tensor:
  return x if mask is None else x * mask.factors()


def _normal(x: tf.Tensor, epsilon: float) -> tuple[tf.Tensor, tf.Tensor]:
  """Returns (x - mean) / deviation, and one over the deviation [T, 1]."""
  centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
  variance = tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True)
  inverse = tf.math.rsqrt(variance + epsilon)
  return centred * inverse, inverse


def _normal_gradient(
    upstream: tf.Tensor, normal: tf.Tensor, inverse: tf.Tensor
) -> tf.Tensor:
  mean = tf.reduce_mean(upstream, axis=-1, keepdims=True)
  along = tf.reduce_mean(upstream * normal, axis=-1, keepdims=True)
  return inverse * (upstream - mean - normal * along)


def _outputs(out: tf.Tensor, dtype: tf.DType) -> tuple[tf.Tensor, ...]:
  return (out,) if dtype == out.dtype else (out, tf.cast(out, dtype))


def _pair(outputs: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, tf.Tensor]:
  return outputs[0], outputs[-1]


def _total(upstream: tuple[tf.Tensor, ...]) -> tf.Tensor:
  first, *others = (tf.cast(each, tf.float32) for each in upstream)
  return sum(others, first)
