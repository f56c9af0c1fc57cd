"""Where a run computes, by official.common.distribute_utils."""

from official.common import distribute_utils
import tensorflow as tf

from pd_tf.config import where as where_config


def create(where: where_config.Where) -> tf.distribute.Strategy:
  """Returns the strategy.

  Args:
    where: Its name and devices; one_device takes the first GPU if there is
      one, else the CPU.
  """
  num_gpus = where.num_gpus
  if num_gpus is None:
    num_gpus = len(tf.config.list_physical_devices("GPU"))
  if where.strategy == "one_device":
    num_gpus = min(num_gpus, 1)
  return distribute_utils.get_distribution_strategy(
      distribution_strategy=where.strategy,
      num_gpus=num_gpus,
      tpu_address=where.tpu or "",
  )
