"""Where a run computes, by official.common.distribute_utils."""

from collections.abc import Iterator
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
# A worker without a sign of life for so long is gone: longer than a cloud
# pauses a machine to move it, and short of what eight GPUs may stand idle.
_HEARTBEAT_SECONDS = 30.0
# What waiting for workers that are not there ends in.
_NOT_UP = (
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
  num_gpus = where.num_gpus
  if num_gpus is None:
    num_gpus = len(tf.config.list_physical_devices("GPU"))
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
  except _NOT_UP as error:
    if several:
      raise errors.WorkerLostError(_not_up(where, error)) from None
    raise errors.InputError(_not_made(where, error)) from None
  except (ValueError, tf.errors.OpError) as error:
    raise errors.InputError(_not_made(where, error)) from None


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
    resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
        port_base=_SLURM_PORT, auto_set_gpu=False
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


def _not_made(where: where_config.Where, error: Exception) -> str:
  return f"{where.strategy}: cannot be made: {_first_line(error)}"


def _first_line(error: Exception) -> str:
  return (str(error).splitlines() or [type(error).__name__])[0]
