"""Settings of `pd-tf predict`."""

import dataclasses
from typing import Literal

from pd_tf.config import settings


@dataclasses.dataclass(frozen=True)
class PredictConfig:
  """Which model classifies which texts."""

  model: str | None = settings.setting(
      None, "A run, a model in any readable format, or a SavedModel."
  )
  input: str = settings.setting(
      "-", "A text a line (two, tab-separated, for pairs); - is stdin."
  )
  output: str = settings.setting("-", "File to write; - is stdout.")
  output_format: Literal["tsv", "jsonl"] = settings.setting(
      "tsv", "tsv, or jsonl."
  )
  seq_length: int = settings.setting(128, "Tokens of an example at the most.")
