"""Dynamic scale of the loss, for gradients in float16."""

import tensorflow as tf

# Micikevicius et al. (2018), Section 3.2, and tf_keras.mixed_precision.
INITIAL = 2.0**15
GROWTH_STEPS = 2000

# Below this, what is not finite is not so for want of range.
_LEAST = 2.0**-10


class LossScale(tf.train.Checkpoint):
  """Halves when a gradient overflows, doubles after a long time without.

  An update whose gradient overflowed changes no weight, yet counts as a step:
  data, masks and dropout follow from the number of the step.

  Attributes:
    value: Float32, what the loss is multiplied by.
    applied: Float32, 0 while an update is skipped, else 1; the learning rate
      is multiplied by it.
  """

  def __init__(self):
    """Makes the variables; under a strategy's scope they are mirrored."""
    super().__init__()
    self.value = _variable(INITIAL, "loss_scale")
    self.applied = _variable(1.0, "update_is_applied")
    self._good_steps = _variable(0.0, "steps_without_overflow")

  def skip_unless(
      self, finite: tf.Tensor, gradients: list[tf.Tensor]
  ) -> list[tf.Tensor]:
    """Returns the gradients, or zeros and sets `applied` to 0."""
    self.applied.assign(tf.cast(finite, tf.float32))
    return [
        tf.where(finite, gradient, tf.zeros_like(gradient))
        for gradient in gradients
    ]

  def adjust(self, finite: tf.Tensor) -> tf.Tensor:
    """Sets the scale of the next update and returns that of this one."""
    used = self.value.read_value()
    good = tf.where(finite, self._good_steps + 1.0, 0.0)
    grows = good >= GROWTH_STEPS
    factor = tf.where(finite, tf.where(grows, 2.0, 1.0), 0.5)
    with tf.control_dependencies([used]):
      self.value.assign(used * factor)
    self._good_steps.assign(tf.where(grows, 0.0, good))
    return used

  def is_useful(self) -> tf.Tensor:
    """Returns whether halving it on and on has not reached the bottom."""
    return self.value >= _LEAST


def _variable(value: float, name: str) -> tf.Variable:
  return tf.Variable(
      value, trainable=False, name=name, dtype=tf.float32,
      # All replicas assign the same.
      aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
  )
