"""Settings of `pd-tf sample`."""

import dataclasses

from pd_tf.config import errors
from pd_tf.config import settings


@dataclasses.dataclass(frozen=True)
class SampleConfig:
  """How much generated data."""

  corpus_sentences: int = settings.setting(
      20_000, "Sentences of the unlabelled reviews, at the least."
  )
  transfer_texts: int = settings.setting(5000, "Unlabelled single texts.")
  train_examples: int = settings.setting(200, "Labelled training texts.")
  dev_examples: int = settings.setting(500, "Labelled texts to score.")
  seen_share: float = settings.setting(
      0.4, "Share of the opinion words that training texts show."
  )
  seed: int = settings.setting(0, "Of all draws.")

  def __post_init__(self):
    for name in (
        "corpus_sentences", "transfer_texts", "train_examples", "dev_examples"
    ):
      if getattr(self, name) < 1:
        raise errors.InputError(
            f"{name} ({getattr(self, name)}) must be at least 1."
        )
    if not 0 < self.seen_share <= 1:
      raise errors.InputError(
          f"seen_share ({self.seen_share}) must be in (0, 1]."
      )
