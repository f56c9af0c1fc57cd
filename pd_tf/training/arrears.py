"""AdamW of a table of which an update looks up few rows, exactly.

AdamW moves every row at every update: its moments fade and its weights decay
where there is no gradient, too. But nothing sees a row before it is looked up
again. So the steps that it missed are made then, one after the other, as AdamW
would have made them; every few updates, and where a loop of updates ends, all
rows are brought up to date in one pass over the table. Outside of the loop the
table and its moments are what the plain form leaves (optimizer.py), and where
loops end makes no difference.
"""

import functools
from typing import NamedTuple

import tensorflow as tf

from pd_tf.training import optimizer as optimizer_lib

# Updates that a row misses at the most. Each costs its arithmetic (a root and
# a division), be it made soon or late; a pass over the table costs as much as
# five of them.
WINDOW = 8
# Rows of the table for one that is looked up, from which on this pays.
_LEAST_ROWS = 8


class Looked(NamedTuple):
  """Rows that a batch looks up, before its update.

  Attributes:
    ids: Int32 [N], with repetitions.
    which: Int32 [N], the number of each among the different ones.
    weights: Float32 [N, H], as are the moments.
    first: Means of gradients.
    second: Means of their squares.
  """

  ids: tf.Tensor
  which: tf.Tensor
  weights: tf.Tensor
  first: tf.Tensor
  second: tf.Tensor

  def summed(self, gradient: tf.Tensor) -> tf.Tensor:
    """Returns the gradient of each different row, then zeros, [N, H]."""
    return tf.math.unsorted_segment_sum(
        gradient, self.which, self.ids.shape[0]
    )


class Arrears:
  """A table, and the updates that its rows have missed."""

  def __init__(self, optimizer: optimizer_lib.AdamW, table: tf.Variable):
    """Takes over the updates of a table.

    Args:
      optimizer: Of the whole model; its slots are made later.
      table: Float32 [V, H], which nothing but look-ups reads in an update.
    """
    self._optimizer = optimizer
    self._table = table
    # None is saved: where a checkpoint is written no update is missing.
    with tf.device(table.device):
      self._count = _variable(tf.zeros([], tf.int32))
      self._made = _variable(tf.zeros(table.shape[:1], tf.int32))
      self._rates = _variable(tf.zeros([WINDOW]))
      self._decays = _variable(tf.zeros([WINDOW]))

  def pays(self, ids: tf.Tensor) -> bool:
    """Returns whether a batch's look-ups leave most of the table alone."""
    return ids.shape.num_elements() * _LEAST_ROWS <= self._table.shape[0]

  def look_up(self, ids: tf.Tensor) -> Looked:
    """Brings the rows of a batch up to date.

    Args:
      ids: Int32, of static shape.
    """
    ids = tf.reshape(ids, [-1])
    variables = (self._table, *self._optimizer.moments(self._table))
    weights, first, second = _made_up(
        *(tf.gather(variable, ids) for variable in variables),
        tf.gather(self._made, ids), *self._missed(),
    )  # fmt: skip
    self._table.scatter_update(tf.IndexedSlices(weights, ids))
    return Looked(ids, tf.unique(ids).idx, weights, first, second)

  def make_up(self) -> None:
    """Brings all rows up to date, every few updates.

    To be called between the forward pass and `apply`: beside the backward pass
    it then takes cores that have nothing to do. What it makes of the rows that
    were looked up is not seen: `apply` writes them from what they were.
    """
    tf.cond(self._count >= WINDOW, self._make_up_all, lambda: None)

  def apply(
      self, looked: Looked, gradient: tf.Tensor, scale: tf.Tensor
  ) -> None:
    """Makes the update of the rows looked up; the others miss it.

    Args:
      looked: Of the batch.
      gradient: Float32 [N, H], summed.
      scale: Float32, of the gradient.
    """
    step = self._optimizer.next_step(self._table)
    # Not inside the kernel, which would fetch number after number.
    gradient = tf.gather(gradient, looked.which)
    rows = looked.weights, looked.first, looked.second
    updated = _updated(rows, gradient, scale, step)
    variables = (self._table, *self._optimizer.moments(self._table))
    for variable, value in zip(variables, updated, strict=True):
      # The same row is written more than once, with the same numbers.
      variable.scatter_update(tf.IndexedSlices(value, looked.ids))
    at = self._count.read_value()
    self._rates.scatter_update(tf.IndexedSlices(step.rate, at))
    self._decays.scatter_update(tf.IndexedSlices(step.decay, at))
    made = tf.broadcast_to(at + 1, looked.ids.shape)
    self._made.scatter_update(tf.IndexedSlices(made, looked.ids))
    self._count.assign(at + 1)

  def settle(self) -> None:
    """Brings all rows up to date, where a loop of updates ends."""
    tf.cond(self._count > 0, self._make_up_all, lambda: None)

  def _make_up_all(self) -> None:
    variables = (self._table, *self._optimizer.moments(self._table))
    for variable in variables:
      # Written row by row, it would be copied to be read.
      tf.raw_ops.DisableCopyOnRead(resource=variable.handle)
    updated = _made_up(
        *(variable.read_value() for variable in variables),
        self._made.read_value(), *self._missed(),
    )  # fmt: skip
    for variable, value in zip(variables, updated, strict=True):
      variable.assign(value, read_value=False)
    self._made.assign(tf.zeros_like(self._made), read_value=False)
    self._count.assign(0, read_value=False)

  def _missed(self) -> tuple[tf.Tensor, optimizer_lib.Step]:
    """Returns the number of updates in the window, and what they did."""
    step = self._optimizer.next_step(self._table)
    return self._count.read_value(), step._replace(
        rate=self._rates.read_value(), decay=self._decays.read_value()
    )


def possible(optimizer: optimizer_lib.Optimizer, table: tf.Variable) -> bool:
  """Returns whether a table is one of AdamW's, and of a single replica's CPU.

  The memory of other devices passes a table in a fraction of a millisecond.
  """
  return (
      isinstance(optimizer, optimizer_lib.AdamW)
      and not isinstance(table, tf.distribute.DistributedValues)
      and "CPU" in table.device
  )


@functools.partial(tf.function, jit_compile=True, autograph=False)
def _made_up(weight, first, second, made, count, steps):
  """Makes the updates that rows missed, in registers.

  Args:
    weight: Float32 [R, H], as are the moments.
    first: Means of gradients.
    second: Means of their squares.
    made: Int32 [R], the updates of the window that a row has had.
    count: Int32, updates in the window.
    steps: With rates and decays of the window's updates, each [WINDOW].
  """
  for number in range(WINDOW):
    step = steps._replace(
        rate=steps.rate[number], decay=steps.decay[number]
    )
    missed = ((made <= number) & (number < count))[:, None]
    old = (weight, first, second)
    weight, first, second = (
        tf.where(missed, after, before)
        for after, before in zip(step.take(*old, 0.0), old, strict=True)
    )
  return weight, first, second


@functools.partial(tf.function, jit_compile=True, autograph=False)
def _updated(rows, gradient, scale, step):
  return step.take(*rows, gradient * scale)


def _variable(value: tf.Tensor) -> tf.Variable:
  return tf.Variable(value, trainable=False)
