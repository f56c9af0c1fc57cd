"""Settings of `pd-tf vocab`."""

import dataclasses

from pd_tf.config import errors
from pd_tf.config import settings


@dataclasses.dataclass(frozen=True)
class VocabConfig:
  """How a WordPiece vocabulary is learned."""

  inputs: tuple[str, ...] = settings.setting(
      (), "Text files or globs, plain, .gz, .bz2 or .xz."
  )
  vocab_size: int = settings.setting(
      30522, "Entries; [unusedN] where text gives fewer."
  )
  lower_case: bool = settings.setting(True, "Lower-case, strip accents.")
  unused_entries: int = settings.setting(
      0, "Entries [unused0], … kept free after [PAD], as BERT has."
  )

  def __post_init__(self):
    if self.unused_entries < 0:
      raise errors.InputError(
          f"unused_entries ({self.unused_entries}) must be at least 0."
      )
    # Five special tokens, and a character takes two entries.
    if self.vocab_size < self.unused_entries + 7:
      raise errors.InputError(
          f"vocab_size ({self.vocab_size}) must be at least "
          f"{self.unused_entries + 7}: 5 special and {self.unused_entries} "
          "unused entries and one character."
      )
