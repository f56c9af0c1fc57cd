"""Settings of `pd-tf report`."""

import dataclasses

from pd_tf.config import errors
from pd_tf.config import settings


@dataclasses.dataclass(frozen=True)
class ReportConfig:
  """Which runs are compared."""

  runs: tuple[str, ...] = settings.setting(
      (), "Directories of evaluations or of training runs."
  )
  names: tuple[str, ...] = settings.setting(
      (), "Name of each run in the table; empty: its directory's."
  )
  to: str | None = settings.setting(
      None, "Directory for table, JSON, plots and page; null: print only."
  )
  metric: str | None = settings.setting(
      None, "Metric of the bar chart; null: the first."
  )
  title: str = settings.setting("Results", "Heading of the page.")

  def __post_init__(self):
    if self.names and len(self.names) != len(self.runs):
      raise errors.InputError(
          f"names: expected as many as runs ({len(self.runs)}), got "
          f"{len(self.names)}."
      )
