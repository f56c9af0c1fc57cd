"""Dropout whose mask follows from a seed alone."""

from typing import NamedTuple

import tensorflow as tf

# A byte for each entry makes the rate a multiple of 1/256; where that is
# further from the rate wanted than this share of it, two bytes are taken.
_TOLERANCE = 0.02


class Mask(NamedTuple):
  """What is dropped.

  Attributes:
    bits: UInt8 or UInt16, the shape of what is masked; uniform.
    threshold: Entries whose bits are below it are dropped.
    scale: Of the others: one over the share that stays.
  """

  bits: tf.Tensor
  threshold: int
  scale: float

  def factors(self) -> tf.Tensor:
    """Returns Float32, 0 where dropped, else the scale."""
    # By way of int32, of which every device has the comparison.
    kept = tf.cast(self.bits, tf.int32) >= self.threshold
    return tf.where(kept, self.scale, 0.0)

  def rows(self, start: int, end: int) -> "Mask":
    """Returns the mask of [start, end) of the first axis."""
    return self._replace(bits=self.bits[start:end])

  def flat(self) -> "Mask":
    """Returns the mask of the same entries as a matrix of their vectors."""
    return self._replace(
        bits=tf.reshape(self.bits, [-1, self.bits.shape[-1]])
    )


def mask(
    shape: list[int | tf.Tensor] | tf.Tensor,
    rate: float,
    seed: tf.Tensor | None,
    site: int,
) -> Mask | None:
  """Returns a mask, or None where nothing is dropped.

  The rate is rounded to a multiple of 1/256 (0.1 becomes 26/256, 0.1016), or of
  1/65,536 where that is off by over 2 %; the scale is that of the rounded rate,
  so that the mean stays exactly what it is without dropout.

  Args:
    shape: Of what is masked.
    rate: Share of entries dropped.
    seed: Int32 [2] of this step; None for no mask.
    site: Number of the place in the model, so that places differ.
  """
  if seed is None or rate == 0:
    return None
  width = _bits(rate)
  threshold = round(rate * 2**width)
  shape = tf.convert_to_tensor(shape)
  per_word = 32 // width
  words = _draw((tf.reduce_prod(shape) + per_word - 1) // per_word, seed, site)
  parts = tf.bitcast(words, tf.uint8 if width == 8 else tf.uint16)
  parts = tf.reshape(parts, [-1])[: tf.reduce_prod(shape)]
  return Mask(
      tf.reshape(parts, shape), threshold, 1.0 / (1.0 - threshold / 2**width)
  )


def dropout(
    x: tf.Tensor, rate: float, seed: tf.Tensor | None, site: int
) -> tf.Tensor:
  """Zeroes entries of x at random and scales up the rest.

  Args:
    x: Float, any shape.
    rate: Share of entries zeroed, rounded as `mask` says.
    seed: Int32 [2] of this step; None leaves x as it is.
    site: Number of the place in the model, so that places differ.

  Returns:
    The shape and dtype of x.
  """
  drawn = mask(tf.shape(x), rate, seed, site)
  if drawn is None:
    return x
  return x * tf.cast(drawn.factors(), x.dtype)


def _draw(count: tf.Tensor, seed: tf.Tensor, site: int) -> tf.Tensor:
  """Returns UInt32 [count], uniform, by Philox (Salmon et al., 2011).

  The key is of the seed, and the counter's upper half is the place, so that no
  two places share a number. tf.random would take a seed for each place, with
  forty operations to make it.
  """
  return tf.raw_ops.StatelessRandomUniformFullIntV2(
      shape=[count],
      key=tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed).key,
      counter=tf.constant([0, site], tf.uint64),
      alg=tf.random.Algorithm.PHILOX.value, dtype=tf.uint32,
  )


def _bits(rate: float) -> int:
  rounded = round(rate * 2**8) / 2**8
  return 8 if abs(rounded - rate) <= _TOLERANCE * rate else 16
