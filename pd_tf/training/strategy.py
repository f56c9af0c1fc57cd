"""Where a run computes, by official.common.distribute_utils."""

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import functools
import json
import os
import signal
import threading

from official.common import distribute_utils
import tensorflow as tf
from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2
from tensorflow.python.distribute import multi_worker_util
from tensorflow.python.eager import context

from pd_tf.config import errors
from pd_tf.config import where as where_config

# What Slurm's resolver of TensorFlow counts up from on each machine.
_SLURM_PORT = 8888
# Processes of a machine at the most.
_SLURM_TASKS = 1024
# A worker without a sign of life for so long is gone: longer than a cloud
# pauses a machine to move it, and short of what eight GPUs may stand idle.
_HEARTBEAT_SECONDS = 30.0
# After it stands what TensorFlow's sums were aborted by.
_ABORTED_BY = "Collective ops is aborted by: "
# What waiting for a worker that is not there ends in.
_LOST = (
    tf.errors.AbortedError, tf.errors.CancelledError,
    tf.errors.DeadlineExceededError, tf.errors.InternalError,
    tf.errors.UnavailableError,
)  # fmt: skip


@functools.cache
def create(where: where_config.Where) -> tf.distribute.Strategy:
  """Returns the strategy, the same one each time in a process.

  A second one over the same devices would number its sums between replicas as
  the first did, and TensorFlow would take one's for the other's.

  Args:
    where: Its name and devices; one_device takes the first GPU if there is
      one, else the CPU.

  Raises:
    InputError: There is no such TPU, or no workers are named.
    WorkerLostError: Not all workers came up.
  """
  num_gpus = _num_gpus(where)
  if where.strategy == "one_device":
    num_gpus = min(num_gpus, 1)
  several = where.strategy == where_config.MULTI_WORKER
  if several:
    _set_cluster(where)
    _set_timeouts(where.worker_timeout)
  try:
    with _signals_as_they_were():
      return distribute_utils.get_distribution_strategy(
          distribution_strategy=where.strategy,
          num_gpus=num_gpus,
          tpu_address=where.tpu or "",
      )
  except _LOST as error:
    if several:
      raise errors.WorkerLostError(_not_up(where, error)) from None
    raise errors.InputError(_not_made(where, error)) from None
  except (ValueError, tf.errors.OpError) as error:
    raise errors.InputError(_not_made(where, error)) from None


def is_one_cpu(where: where_config.Where) -> bool:
  """Returns whether a run is one replica on the CPU.

  TensorFlow is not started by asking.
  """
  return where.strategy == "one_device" and not _num_gpus(where)


def _num_gpus(where: where_config.Where) -> int:
  if where.num_gpus is None:
    return len(tf.config.list_physical_devices("GPU"))
  return where.num_gpus


@contextlib.contextmanager
def others_answering(strategy: tf.distribute.Strategy) -> Iterator[None]:
  """Tells the loss of another worker from other errors.

  Raises:
    WorkerLostError: What the block did with other workers failed.
  """
  try:
    yield
  except _LOST as error:
    if not strategy.extended._in_multi_worker_mode():
      raise
    raise errors.WorkerLostError(
        f"another worker does not answer ({_reason(error)}); start all of "
        "them again, and they go on from the last checkpoint."
    ) from None


def require_same(
    strategy: tf.distribute.Strategy,
    values: Mapping[str, int],
    timeout_seconds: float,
) -> None:
  """Requires that all workers start from the same.

  Args:
    strategy: Where the run computes.
    values: By name, what must not differ.
    timeout_seconds: How long the other workers are waited for.

  Raises:
    InputError: Another worker has another value.
  """
  if not strategy.extended._in_multi_worker_mode():
    return
  options = tf.distribute.experimental.CommunicationOptions(
      timeout_seconds=timeout_seconds
  )

  own = tf.constant(list(values.values()), tf.int64)

  def of_first() -> tf.Tensor:
    replica = tf.distribute.get_replica_context()
    is_first = tf.equal(replica.replica_id_in_sync_group, 0)
    return replica.all_reduce(
        tf.distribute.ReduceOp.SUM, tf.where(is_first, own, 0), options=options
    )

  results = strategy.experimental_local_results(
      tf.function(lambda: strategy.run(of_first))()
  )
  first = dict(zip(values, results[0].numpy().tolist(), strict=True))
  for name, mine in values.items():
    theirs = first[name]
    if mine != theirs:
      raise errors.InputError(
          f"{name}: this worker's ({mine}) must be the first worker's "
          f"({theirs}): start all with the same settings and run_dir."
      )


@contextlib.contextmanager
def _signals_as_they_were() -> Iterator[None]:
  """Keeps signals ours.

  TensorFlow waits for other workers without giving Python a turn, so Ctrl-C
  ends the process there by itself; and it takes SIGTERM for good.
  """
  if threading.current_thread() is not threading.main_thread():
    yield
    return
  before = {
      number: signal.getsignal(number)
      for number in (signal.SIGINT, signal.SIGTERM)
  }
  signal.signal(signal.SIGINT, signal.SIG_DFL)
  try:
    yield
  finally:
    for number, handler in before.items():
      # None is one that is not Python's, which it cannot give back.
      if handler is not None:
        signal.signal(number, handler)


def _set_cluster(where: where_config.Where) -> None:
  """Sets TF_CONFIG, by which TensorFlow's workers find each other."""
  if where.workers:
    os.environ.pop("TF_CONFIG", None)
    distribute_utils.configure_cluster(
        ",".join(where.workers), where.index
    )
  elif not where_config.tf_config() and "SLURM_PROCID" in os.environ:
    # GPUs are those that the process sees. Asked for none, the resolver would
    # call nvidia-smi, which machines without GPUs do not have.
    resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
        port_base=_SLURM_PORT, auto_set_gpu=False, gpus_per_node=_SLURM_TASKS,
        gpus_per_task=1,
    )
    cluster = resolver.cluster_spec().as_dict()
    kind, index = resolver.get_task_info()
    os.environ["TF_CONFIG"] = json.dumps(
        {"cluster": cluster, "task": {"type": kind, "index": index}}
    )
  if not where_config.tf_config():
    raise errors.InputError(
        "workers: expected host:port of each worker, TF_CONFIG or a job of "
        "Slurm, found none."
    )


def _set_timeouts(seconds: float) -> None:
  """Bounds what workers wait for each other; TensorFlow's bound is an hour.

  Args:
    seconds: For all to have come up. One that is lost later is missed by its
      heartbeats, then every sum that waits for it fails.
  """
  cluster = multi_worker_util.normalize_cluster_spec(
      tf.distribute.cluster_resolver.TFConfigClusterResolver().cluster_spec()
  )
  # TensorFlow's strategy leaves what it finds configured. There is no public
  # way to it.
  context.context().configure_coordination_service(
      service_type="standalone",
      service_leader=multi_worker_util.coordination_leader(cluster),
      cluster_register_timeout_in_ms=round(1000 * seconds),
      heartbeat_timeout_in_ms=round(1000 * min(seconds, _HEARTBEAT_SECONDS)),
      coordinated_jobs=[
          coordination_config_pb2.CoordinatedJob(
              name=job, num_tasks=cluster.num_tasks(job)
          )
          for job in ("chief", "worker")
          if job in cluster.jobs
      ],
  )
  # Else the first worker waits an hour for the others, whatever is set.
  context.context().coordination_service.cluster_register_with_barrier = True


def _not_up(where: where_config.Where, error: Exception) -> str:
  cluster = where_config.tf_config()["cluster"]
  addresses = [*cluster.get("chief", ()), *cluster.get("worker", ())]
  return (
      f"workers: not all of {', '.join(addresses)} were up within "
      f"{where.worker_timeout:g} s ({type(error).__name__}); start all of them "
      "again."
  )


def _reason(error: tf.errors.OpError) -> str:
  """Returns the one line of TensorFlow's many that says something."""
  kind, lines = type(error).__name__, error.message.splitlines()
  for line in lines:
    _, found, reason = line.partition(_ABORTED_BY)
    if found:
      return f"{kind}: {reason.rstrip(':')}"
  return f"{kind}: {lines[0]}" if lines else kind


def _not_made(where: where_config.Where, error: Exception) -> str:
  return f"{where.strategy}: cannot be made: {_first_line(error)}"


def _first_line(error: Exception) -> str:
  return (str(error).splitlines() or [type(error).__name__])[0]
