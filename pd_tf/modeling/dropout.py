"""Dropout whose mask follows from a seed alone."""

import tensorflow as tf


def dropout(
    x: tf.Tensor, rate: float, seed: tf.Tensor | None, site: int
) -> tf.Tensor:
  """Zeroes entries of x at random and scales up the rest.

  Args:
    x: Float, any shape.
    rate: Share of entries zeroed.
    seed: Int32 [2] of this step; None leaves x as it is.
    site: Number of the place in the model, so that places differ.

  Returns:
    The shape and dtype of x.
  """
  if seed is None or rate == 0:
    return x
  return tf.nn.experimental.stateless_dropout(
      x, rate, seed=tf.random.experimental.stateless_fold_in(seed, site)
  )
