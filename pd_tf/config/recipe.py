"""Settings of `pd-tf recipe`."""

import dataclasses
from typing import Any
from typing import Literal

from pd_tf.config import settings

StageVerb = Literal[
    "sample", "vocab", "prepare", "train", "label", "evaluate", "export",
    "convert", "report",
]


@dataclasses.dataclass(frozen=True)
class StageConfig:
  """One stage: a verb, its config files and settings laid over them."""

  verb: StageVerb | None = settings.setting(None, "Verb that the stage runs.")
  config: tuple[str, ...] = settings.setting(
      (), "Config files, in order; looked for here, then in `roots`."
  )
  set: dict[str, Any] = settings.mapping(
      "Settings over them; {NAME} is the directory of stage NAME or a "
      "variable, {run_dir} the recipe's, ${NAME} the environment's."
  )


@dataclasses.dataclass(frozen=True)
class RecipeConfig:
  """Stages, run one after another."""

  stages: dict[str, StageConfig] = settings.mapping("Stages, in order.")
  variables: dict[str, str | None] = settings.mapping(
      "Values for {NAME} in settings; one that is null must be given."
  )
  train_config: tuple[str, ...] = settings.setting(
      (), "Config files over all that stages of the verb train set; "
      "configs/debug.yaml makes a trial of them."
  )
  epilogue: str = settings.setting("", "Text printed at the end.")
  roots: tuple[str, ...] = settings.setting(
      (), "Where stages' config files are looked for after the current "
      "directory; the command line adds the directories above its --config."
  )
