"""Where a verb runs: the strategy and its devices."""

import dataclasses
from typing import Literal

from pd_tf.config import errors
from pd_tf.config import settings


@dataclasses.dataclass(frozen=True)
class Where:
  """Devices of a run; no part of its settings, the result is the same."""

  strategy: Literal[
      "one_device", "mirrored", "multi_worker_mirrored", "tpu"
  ] = settings.setting(
      "one_device",
      "one_device; mirrored: the GPUs of this machine; "
      "multi_worker_mirrored: the machines in TF_CONFIG; tpu.",
  )
  tpu: str | None = settings.setting(
      None, "Name or address of the TPU; null: the one that is found."
  )
  num_gpus: int | None = settings.setting(
      None, "GPUs used on each machine; null: all."
  )

  def __post_init__(self):
    if self.num_gpus is not None and self.num_gpus < 0:
      raise errors.InputError(
          f"num_gpus ({self.num_gpus}) must not be negative."
      )
    if self.tpu is not None and self.strategy != "tpu":
      raise errors.InputError(
          f"tpu ({self.tpu}) goes with --strategy=tpu, the strategy was "
          f"{self.strategy}."
      )


ONE_DEVICE = Where()
