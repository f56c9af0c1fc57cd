"""Settings of `pd-tf convert`."""

import dataclasses
from typing import Literal

from pd_tf.config import settings

Format = Literal[
    "release", "tfhub", "tf1_hub", "hugging_face", "keras_hub", "model_garden"
]


@dataclasses.dataclass(frozen=True)
class ConvertConfig:
  """Which weights go from where to where."""

  # `from` is a word of Python's, so only the flag can be --from.
  source: str | None = settings.setting(
      None, "Model to read; form detected.", flag="from"
  )
  to: str | None = settings.setting(None, "Directory or .zip to write.")
  format: Format = settings.setting(
      "release",
      "release: google-research/bert; tfhub: TF2 encoder; tf1_hub: TF1 "
      "module; hugging_face; keras_hub; model_garden: TF2 checkpoint.",
  )
  masked_lm: bool = settings.setting(
      True, "tfhub: with the sub-object `mlm`, where the model has the head."
  )
  vocab_file: str | None = settings.setting(
      None, "vocab.txt where the source has none."
  )
  overwrite: bool = settings.setting(False, "Replace what is at `to`.")
