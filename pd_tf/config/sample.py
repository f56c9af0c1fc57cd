"""Settings of `pd-tf sample`."""

import dataclasses

from pd_tf.config import settings


@dataclasses.dataclass(frozen=True)
class SampleConfig:
  """How much generated data."""

  seed: int = settings.setting(0, "Of all draws.")
