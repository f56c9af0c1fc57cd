"""Settings of `pd-tf label`."""

import dataclasses

from pd_tf.config import errors
from pd_tf.config import precision as precision_config
from pd_tf.config import settings


@dataclasses.dataclass(frozen=True)
class LabelConfig:
  """Which teacher labels which texts."""

  teacher: str | None = settings.setting(
      None, "A fine-tuned run or model, or a SavedModel that takes strings."
  )
  inputs: tuple[str, ...] = settings.setting(
      (),
      "Transfer texts: .tsv, .csv, .jsonl with text_columns, or .txt with a "
      "text a line; plain or .gz, .bz2, .xz; globs.",
  )
  text_columns: tuple[str, ...] = settings.setting(
      ("sentence",), "Columns of the text or pair; not used by .txt."
  )
  label_column: str | None = settings.setting(
      None, "Column of true labels, stored beside the teacher's; null: none."
  )
  exclude: tuple[str, ...] = settings.setting(
      (), "Files whose texts must not be in the transfer set (dev, test)."
  )
  vocab_file: str | None = settings.setting(
      None, "vocab.txt of the students; null: the teacher's."
  )
  lower_case: bool = settings.setting(True, "Lower-case, strip accents.")
  max_length: int = settings.setting(128, "Tokens of an example at the most.")
  max_examples: int | None = settings.setting(
      None, "Label only this many texts, drawn with the seed."
  )
  batch_tokens: int = settings.setting(8192, "Tokens of a teacher's batch.")
  part_examples: int = settings.setting(
      8192, "Examples of a stored part; a killed run goes on at the next."
  )
  precision: precision_config.Precision = settings.setting(
      "float32", "Of the teacher's matrix products."
  )
  seed: int = settings.setting(0, "Of the draw of max_examples and the order.")

  def __post_init__(self):
    for name in ("max_examples", "batch_tokens", "part_examples"):
      value = getattr(self, name)
      if value is not None and value < 1:
        raise errors.InputError(f"{name} ({value}) must be at least 1.")
    if len(self.text_columns) not in (1, 2):
      raise errors.InputError(
          f"text_columns: expected one name, or two for pairs, got "
          f"{len(self.text_columns)}."
      )
