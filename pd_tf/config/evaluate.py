"""Settings of `pd-tf evaluate`."""

import dataclasses

from pd_tf.config import settings
from pd_tf.config import task as task_config


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
  """Which model is scored on which examples."""

  model: str | None = settings.setting(
      None, "A run, a model in any readable format, or a SavedModel."
  )
  task: task_config.TaskConfig = settings.section(task_config.TaskConfig)
  seq_length: int = settings.setting(128, "Tokens of an example at the most.")
  seed: int = settings.setting(0, "Of the bootstrap.")
