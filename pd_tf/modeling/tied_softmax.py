"""Cross-entropy over the vocabulary, with its gradient written out.

The plain form is `MaskedLmHead.__call__` and
`objectives.pretraining.masked_lm`; this one is for training. Of N x V numbers
there are the logits and the probabilities, both in the precision of products;
every pass over them counts, as they are most of what a small model moves. The
factors of the rows, which the gradient has, go into the [N, H] side of the
products, and what is special about the label is computed apart from them.
"""

import tensorflow as tf

from pd_tf.modeling import fusion

# Integers of a number's width. Numbers that are not negative are in the order
# of their bits, and of 16-bit floats TensorFlow has no fast maximum.
_BITS = {2: tf.int16, 4: tf.int32}
# Below these, numbers lose bits, and then vanish.
_SMALLEST = {"float32": 2.0**-126, "bfloat16": 2.0**-126, "float16": 2.0**-14}


def cross_entropy(
    hidden: tf.Tensor,
    table: tf.Tensor,
    label_rows: tf.Tensor,
    bias: tf.Tensor,
    labels: tf.Tensor,
    dtype: str,
) -> tuple[tf.Tensor, tf.Tensor]:
  """Returns -log softmax(hidden table^T + bias) of each label.

  Args:
    hidden: Float32 [N, H].
    table: Float32 [V, H].
    label_rows: Float32 [N, H], what is looked up of the same table for the
      labels. It has no value of its own: by it goes the labels' part of the
      table's gradient, which added here would make one more table.
    bias: Float32 [V].
    labels: Int32 [N], in [0, V).
    dtype: Of products, logits and probabilities.

  Returns:
    Values (nats), Float32 [N], and whether nothing is likelier than the label,
    Bool [N].
  """

  @tf.custom_gradient
  def compute(hidden, table, label_rows, bias):
    low_table = tf.cast(table, dtype)
    low = tf.cast(hidden, dtype), low_table, tf.cast(bias, dtype)
    probabilities = tf.nn.softmax(_logits(*low))
    at_label = tf.gather(probabilities, labels, batch_dims=1)
    right = _are_likeliest(at_label, probabilities)
    values = _values(at_label, labels, *low)

    def gradient(d_values: tf.Tensor, _: tf.Tensor):
      rows = d_values[:, None]
      d_hidden = tf.cast(tf.matmul(probabilities, low_table), tf.float32)
      d_hidden = (d_hidden - label_rows) * rows
      # One after the other, and before the layers' gradients: of two at a time
      # the memory would be the peak.
      with tf.control_dependencies([d_hidden]):
        weighted = tf.concat([hidden * rows, rows], axis=1)
      d_table, d_bias = _table_gradient(probabilities, weighted, labels)
      with tf.control_dependencies([d_table]):
        d_hidden = tf.identity(d_hidden)
      return d_hidden, d_table, -weighted[:, :-1], d_bias

    return (values, right), gradient

  return compute(hidden, table, label_rows, bias)


def _logits(hidden: tf.Tensor, table: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
  """Returns hidden table^T + bias, [N, V]."""
  product = tf.matmul(hidden, table, transpose_b=True)
  if product.dtype == tf.float32:
    return tf.nn.bias_add(product, bias)
  # With one more dimension TensorFlow does not take the two for one operation,
  # for which oneDNN would need all logits in float32 as well.
  stacked = tf.nn.bias_add(product[None], bias)
  return tf.reshape(stacked, tf.shape(product))


def _are_likeliest(at_label: tf.Tensor, probabilities: tf.Tensor) -> tf.Tensor:
  """Returns whether nothing is likelier than the label, Bool [N]."""
  bits = _BITS[at_label.dtype.size]
  likeliest = tf.reduce_max(tf.bitcast(probabilities, bits), axis=-1)
  return tf.bitcast(at_label, bits) >= likeliest


def _values(
    at_label: tf.Tensor, labels: tf.Tensor, *low: tf.Tensor
) -> tf.Tensor:
  """Returns -log of the label's probability, Float32 [N]."""
  least = _SMALLEST[at_label.dtype.name]
  at_label = tf.cast(at_label, tf.float32)
  values = -tf.math.log(tf.maximum(at_label, least))

  def far() -> tf.Tensor:
    # Made again: to keep them would cost every step their memory.
    exact = tf.cast(_logits(*low), tf.float32)
    return tf.reduce_logsumexp(exact, axis=-1) - tf.gather(
        exact, labels, batch_dims=1
    )

  # A pass more, only where some label's probability is too small for dtype.
  vanishing = at_label <= least
  return tf.cond(
      tf.reduce_any(vanishing),
      lambda: tf.where(vanishing, far(), values),
      lambda: values,
  )


def _table_gradient(
    probabilities: tf.Tensor, weighted: tf.Tensor, labels: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
  """Returns the gradients of the table, without that of its rows, and of bias.

  Args:
    probabilities: [N, V].
    weighted: Float32 [N, H + 1], what they are multiplied by: the bias is one
      more entry of the table's rows, and that of hidden is 1.
    labels: Int32 [N].
  """
  low = tf.cast(weighted, probabilities.dtype)
  d_table, d_bias = _parted(tf.matmul(probabilities, low, transpose_a=True))
  return d_table, tf.tensor_scatter_nd_sub(
      d_bias, labels[:, None], weighted[:, -1]
  )


@fusion.fused
def _parted(both: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  both = tf.cast(both, tf.float32)
  return both[:, :-1], both[:, -1]
