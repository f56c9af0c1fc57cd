"""Settings of `pd-tf prepare`."""

import dataclasses

from pd_tf.config import errors
from pd_tf.config import settings


@dataclasses.dataclass(frozen=True)
class PrepareConfig:
  """How text becomes pre-training segments."""

  inputs: tuple[str, ...] = settings.setting(
      (), "Text files or globs: a sentence a line, blank between documents."
  )
  vocab_file: str | None = settings.setting(None, "vocab.txt of the student.")
  lower_case: bool = settings.setting(True, "Lower-case, strip accents.")
  seq_length: int = settings.setting(128, "Tokens of a row, S.")
  next_sentence: bool = settings.setting(
      True, "Pairs of segments, half of them random, as BERT makes them."
  )
  max_segments: int = settings.setting(4, "Segments of a row at the most, E.")
  short_share: float = settings.setting(
      0.1, "Share of segments cut at a random shorter length."
  )
  max_sentences: int | None = settings.setting(
      None, "Read only this many sentences of each input file."
  )
  num_shards: int = settings.setting(8, "TFRecord files written.")
  seed: int = settings.setting(0, "Of pairing, lengths and shuffle.")

  def __post_init__(self):
    if self.seq_length < 8:
      raise errors.InputError(
          f"seq_length ({self.seq_length}) must be at least 8."
      )
    for name in ("num_shards", "max_segments", "max_sentences"):
      value = getattr(self, name)
      if value is not None and value < 1:
        raise errors.InputError(f"{name} ({value}) must be at least 1.")
    if not 0 <= self.short_share <= 1:
      raise errors.InputError(
          f"short_share ({self.short_share}) must be in [0, 1]."
      )
    if self.seed < 0:
      raise errors.InputError(f"seed ({self.seed}) must be at least 0.")
