"""Where a verb runs: the strategy and its devices."""

import dataclasses
import json
import os
from typing import Any
from typing import Literal

from pd_tf.config import errors
from pd_tf.config import settings

MULTI_WORKER = "multi_worker_mirrored"


@dataclasses.dataclass(frozen=True)
class Where:
  """Devices of a run; no part of its settings, the result is the same."""

  strategy: Literal[
      "one_device", "mirrored", "multi_worker_mirrored", "tpu",
      "parameter_server",
  ] = settings.setting(
      "one_device",
      "one_device; mirrored: the GPUs of this machine; "
      "multi_worker_mirrored: those of several, see docs/scaling.md; tpu.",
  )
  tpu: str | None = settings.setting(
      None, "local: this host's; or the TPU's name or address (grpc://…)."
  )
  num_gpus: int | None = settings.setting(
      None, "GPUs used on each machine; null: all."
  )
  workers: tuple[str, ...] = settings.setting(
      (), "host:port of each worker; none: TF_CONFIG's, or Slurm's."
  )
  worker_index: int | None = settings.setting(
      None, "Which of the workers this is; null: that of the job's environment."
  )
  worker_timeout: float = settings.setting(
      300.0, "Seconds that other workers are waited for, at start and in a sum."
  )
  data_service: str | None = settings.setting(
      None, "pretrain: grpc://host:port of a tf.data service with one worker, "
      "which makes the batches where this host cannot keep up."
  )
  jit_compile: bool = settings.setting(
      False, "XLA compiles the forward and backward pass; a TPU always does."
  )
  profile_steps: str | None = settings.setting(
      None, "FIRST:LAST, steps that TensorFlow's profiler records."
  )

  def __post_init__(self):
    if self.strategy == "parameter_server":
      raise errors.InputError(
          "strategy: parameter_server updates asynchronously, so that no "
          "update is the mean over a batch and no run can be repeated; Orbit "
          "has no loop for it either. Use multi_worker_mirrored."
      )
    if self.num_gpus is not None and self.num_gpus < 0:
      raise errors.InputError(
          f"num_gpus ({self.num_gpus}) must not be negative."
      )
    self._require_of("tpu", self.tpu is not None, "tpu")
    self._require_of("workers", bool(self.workers), MULTI_WORKER)
    self._require_of(
        "worker_index", self.worker_index is not None, MULTI_WORKER
    )
    if self.worker_timeout <= 0:
      raise errors.InputError(
          f"worker_timeout ({self.worker_timeout}) must be above 0."
      )
    self._require_window()
    if self.workers:
      self._require_index()

  @property
  def profile_window(self) -> tuple[int, int] | None:
    """First and last step of the profile."""
    if self.profile_steps is None:
      return None
    first, _, last = self.profile_steps.partition(":")
    return int(first), int(last)

  @property
  def index(self) -> int:
    """Which of the workers this process is; the first is the chief."""
    if self.strategy != MULTI_WORKER:
      return 0
    if self.worker_index is not None:
      return self.worker_index
    task = tf_config().get("task", {})
    if task and not self.workers:
      # A chief, where there is one, comes before the workers.
      chiefs = len(tf_config().get("cluster", {}).get("chief", ()))
      first = 0 if task.get("type") == "chief" else chiefs
      return first + int(task.get("index", 0))
    for variable in _INDEX_VARIABLES:
      if variable in os.environ:
        return int(os.environ[variable])
    return 0

  @property
  def is_chief(self) -> bool:
    """Whether this process writes what the run leaves."""
    return self.index == 0

  def _require_of(self, name: str, is_set: bool, strategy: str) -> None:
    if is_set and self.strategy != strategy:
      raise errors.InputError(
          f"{name} ({getattr(self, name)}) goes with --strategy={strategy}, "
          f"the strategy was {self.strategy}."
      )

  def _require_window(self) -> None:
    if self.profile_steps is None:
      return
    first, colon, last = self.profile_steps.partition(":")
    if not (
        colon and first.isdecimal() and last.isdecimal()
        and int(first) < int(last)
    ):
      raise errors.InputError(
          f"profile_steps: expected FIRST:LAST, two steps in order, got "
          f"{self.profile_steps!r}."
      )

  def _require_index(self) -> None:
    if not 0 <= self.index < len(self.workers):
      raise errors.InputError(
          f"worker_index ({self.index}) must be from 0 to "
          f"{len(self.workers) - 1}, one for each of the workers."
      )


# Slurm's, and that of an Indexed Job of Kubernetes (GKE).
_INDEX_VARIABLES = ("SLURM_PROCID", "JOB_COMPLETION_INDEX")


def tf_config() -> dict[str, Any]:
  """Returns the cluster that the environment variable TF_CONFIG describes.

  Raises:
    InputError: It is no JSON object.
  """
  text = os.environ.get("TF_CONFIG", "")
  try:
    values = json.loads(text or "{}")
  except ValueError as error:
    raise errors.InputError(f"TF_CONFIG: not valid JSON: {error}.") from None
  if not isinstance(values, dict):
    raise errors.InputError(
        f"TF_CONFIG: expected a JSON object, got {text!r}."
    )
  return values


ONE_DEVICE = Where()
