"""Cross-entropy over the vocabulary, with its gradient written out.

The plain form is `MaskedLmHead.__call__` and
`objectives.pretraining.masked_lm`; this one is for training. Of N x V numbers
there are the logits and the probabilities, both in the precision of products;
every pass over them counts, as they are most of what a small model moves. The
factors of the rows, which the gradient has, go into the [N, H] side of the
products, and what is special about the label is computed apart from them.
"""

import tensorflow as tf

# Integers of a number's width. Numbers that are not negative are in the order
# of their bits, and of 16-bit floats TensorFlow has no fast maximum.
_BITS = {2: tf.int16, 4: tf.int32}
# Below these, numbers lose bits, and then vanish.
_SMALLEST = {"float32": 2.0**-126, "bfloat16": 2.0**-126, "float16": 2.0**-14}


def cross_entropy(
    hidden: tf.Tensor,
    table: tf.Tensor,
    label_rows: tf.Tensor,
    labels: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
  """Returns -log softmax(hidden table^T) of each label, hidden's last entry 1.

  Args:
    hidden: Float32 [N, H], without the last entry.
    table: [V, H + 1], the last entry a bias. Its dtype is that of products,
      logits and probabilities. (Of 16 bits a sum of logits and bias by
      TensorFlow takes as long as the product.)
    label_rows: Float32 [N, H + 1], what is looked up of the same table for the
      labels. It has no value of its own: by it goes the labels' part of the
      table's gradient, which added here would make one more table.
    labels: Int32 [N], in [0, V).

  Returns:
    Values (nats), Float32 [N], and whether nothing is likelier than the label,
    Bool [N].
  """

  @tf.custom_gradient
  def compute(hidden, table, label_rows):
    whole = tf.concat([hidden, tf.ones_like(hidden[:, :1])], axis=1)
    low = tf.cast(whole, table.dtype)
    probabilities = tf.nn.softmax(tf.matmul(low, table, transpose_b=True))
    at_label = tf.gather(probabilities, labels, batch_dims=1)
    right = _are_likeliest(at_label, probabilities)
    values = _values(at_label, labels, low, table)

    def gradient(d_values: tf.Tensor, _: tf.Tensor):
      rows = d_values[:, None]
      d_hidden = tf.cast(tf.matmul(probabilities, table), tf.float32)
      d_hidden = ((d_hidden - label_rows) * rows)[:, :-1]
      # One after the other, and before the layers' gradients: of two at a time
      # the memory would be the peak.
      with tf.control_dependencies([d_hidden]):
        weighted = whole * rows
      d_table = tf.matmul(
          probabilities, tf.cast(weighted, table.dtype), transpose_a=True
      )
      with tf.control_dependencies([d_table]):
        d_hidden = tf.identity(d_hidden)
      return d_hidden, d_table, -weighted

    return (values, right), gradient

  return compute(hidden, table, label_rows)


def _are_likeliest(at_label: tf.Tensor, probabilities: tf.Tensor) -> tf.Tensor:
  """Returns whether nothing is likelier than the label, Bool [N]."""
  bits = _BITS[at_label.dtype.size]
  likeliest = tf.reduce_max(tf.bitcast(probabilities, bits), axis=-1)
  return tf.bitcast(at_label, bits) >= likeliest


def _values(
    at_label: tf.Tensor,
    labels: tf.Tensor,
    low: tf.Tensor,
    table: tf.Tensor,
) -> tf.Tensor:
  """Returns -log of the label's probability, Float32 [N]."""
  least = _SMALLEST[at_label.dtype.name]
  at_label = tf.cast(at_label, tf.float32)
  values = -tf.math.log(tf.maximum(at_label, least))

  def far() -> tf.Tensor:
    # Made again: to keep them would cost every step their memory.
    logits = tf.matmul(low, table, transpose_b=True)
    exact = tf.cast(logits, tf.float32)
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
