"""Splits the batches of a run over workers and replicas.

Every worker makes the whole batch of a step, which follows from (seed, step)
alone, and keeps its own rows. So all strategies see the same batches in the
same order, no row twice and none lost, and a run goes on under another number
of replicas as it was. Sharding by files or records (tf.data's AUTO and FILE)
would give each worker other rows and make the batch depend on their number.
"""

from collections.abc import Callable
from collections.abc import Iterator

import tensorflow as tf

Batch = dict[str, tf.Tensor]


def distributed(
    strategy: tf.distribute.Strategy,
    dataset: Callable[[], tf.data.Dataset],
    accumulation_steps: int = 1,
    data_service: str | None = None,
) -> Iterator:
  """Returns an iterator over the batches of each replica.

  Args:
    strategy: Where it runs.
    dataset: Makes the endless data set of global batches, tensors [B, ...].
    accumulation_steps: What a replica's rows must be a multiple of. Where B is
      no multiple of this times the replicas, rows of zeros, which have no
      weight, fill up the batch.
    data_service: Address of a dispatcher of tf.data's service that has one
      worker, which makes the batches instead of this host.
  """

  def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
    replicas = context.num_replicas_in_sync // context.num_input_pipelines
    first = context.input_pipeline_id * replicas

    def own_rows(batch: Batch) -> Batch:
      parts = split(batch, context.num_replicas_in_sync, accumulation_steps)
      return tf.nest.map_structure(
          lambda rows: rows[first : first + replicas], parts
      )

    own = dataset().map(
        own_rows, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    if data_service is not None:
      own = own.apply(_made_by(data_service))
    own = own.unbatch()
    # Says what is known of it, so that workers need not agree on each step
    # whether there is another batch.
    return own.apply(
        tf.data.experimental.assert_cardinality(
            tf.data.experimental.INFINITE_CARDINALITY
        )
    ).with_options(_options()).prefetch(2 * replicas)

  return iter(strategy.distribute_datasets_from_function(of_worker))


def split(
    batch: Batch, num_replicas: int, accumulation_steps: int = 1
) -> Batch:
  """Returns the rows of each replica.

  Args:
    batch: Tensors [B, ...].
    num_replicas: R.
    accumulation_steps: What the rows of a replica are a multiple of.

  Returns:
    Tensors [R, B / R, ...], in order, zeros after the last row.
  """

  def parts(rows: tf.Tensor) -> tf.Tensor:
    missing = -rows.shape[0] % (num_replicas * accumulation_steps)
    padding = [[0, missing]] + [[0, 0]] * (rows.shape.rank - 1)
    filled = tf.pad(rows, padding) if missing else rows
    return tf.reshape(filled, [num_replicas, -1, *rows.shape[1:]])

  return tf.nest.map_structure(parts, batch)


def _made_by(
    data_service: str,
) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
  """Returns what has another host make the elements of a data set.

  Its one worker makes all of them, in order: of several, each would.
  """
  return tf.data.experimental.service.distribute(
      tf.data.experimental.service.ShardingPolicy.OFF,
      data_service,
      # One request at a time, so that they come back in the order of steps.
      max_outstanding_requests=1,
  )


def _options() -> tf.data.Options:
  options = tf.data.Options()
  options.deterministic = True
  options.experimental_distribute.auto_shard_policy = (
      tf.data.experimental.AutoShardPolicy.OFF
  )
  return options
