"""A matrix product with bias, optionally in bfloat16."""

import tensorflow as tf
import tf_keras


def matmul(
    x: tf.Tensor,
    y: tf.Tensor,
    dtype: str,
    transpose_a: bool = False,
    transpose_b: bool = False,
) -> tf.Tensor:
  """Returns the product, Float32, computed in `dtype`.

  Args:
    x: Float32 [..., M, K].
    y: Float32 [..., K, N].
    dtype: "float32" or "bfloat16", of the inputs of the product.
    transpose_a: x is [..., K, M].
    transpose_b: y is [..., N, K].
  """
  if dtype == "float32":
    return tf.matmul(x, y, transpose_a=transpose_a, transpose_b=transpose_b)
  product = tf.matmul(
      tf.cast(x, dtype), tf.cast(y, dtype),
      transpose_a=transpose_a, transpose_b=transpose_b,
  )
  return tf.cast(product, tf.float32)


class Dense(tf_keras.layers.Layer):
  """x kernel + bias, over [T, in] matrices of tokens."""

  def __init__(
      self, in_size: int, out_size: int, compute_dtype: str, name: str
  ):
    super().__init__(name=name)
    self._matmul_dtype = compute_dtype
    with tf.name_scope(name):
      self.kernel = self.add_weight("kernel", [in_size, out_size])
      self.bias = self.add_weight("bias", [out_size], initializer="zeros")

  def call(self, x: tf.Tensor) -> tf.Tensor:
    """Returns Float32 [T, out] for Float32 [T, in]."""
    product = matmul(x, self.kernel, self._matmul_dtype)
    return tf.nn.bias_add(product, self.bias)
