"""Settings of `pd-tf export`."""

import dataclasses
from typing import Literal

from pd_tf.config import settings

Format = Literal["serving", "tfhub", "preprocess", "release"]


@dataclasses.dataclass(frozen=True)
class ExportConfig:
  """Which model goes out in which form."""

  model: str | None = settings.setting(
      None, "A run, or a model in any readable format."
  )
  to: str | None = settings.setting(None, "Directory or .zip to write.")
  format: Format = settings.setting(
      "serving",
      "serving: raw strings to probabilities; tfhub: the TF2 encoder; "
      "preprocess: strings to its inputs; release: google-research/bert.",
  )
  seq_length: int = settings.setting(
      128, "Tokens of an example at the most (serving, preprocess default)."
  )
  overwrite: bool = settings.setting(False, "Replace what is at `to`.")
