"""Settings of `pd-tf report`."""

import dataclasses

from pd_tf.config import budget as budget_lib
from pd_tf.config import errors
from pd_tf.config import settings


@dataclasses.dataclass(frozen=True)
class ReportConfig:
  """Which runs are compared."""

  runs: tuple[str, ...] = settings.setting(
      (), "Directories of evaluations or of training runs, or the results.json "
      "of a report."
  )
  names: tuple[str, ...] = settings.setting(
      (), "Name of each run in the table; empty: its directory's."
  )
  labels: dict[str, str] = settings.mapping(
      "What stages of a recipe are called: {evaluate_pd: PD}."
  )
  to: str | None = settings.setting(
      None, "Directory for table, JSON, figures and page; null: print only."
  )
  out: str | None = settings.setting(
      None, "The same by the name of the page: the rest goes to PAGE_files."
  )
  metric: str | None = settings.setting(
      None, "Metric of figures and answer; null: the first."
  )
  title: str | None = settings.setting(
      None, "Heading of the page; null: that of the results.json that is read "
      "alone, which also goes for question, metric and subject; else Results."
  )
  question: str | None = settings.setting(None, "What the runs are to answer.")
  subject: str | None = settings.setting(
      None, "Method that the answer compares with each other; null: PD where "
      "there is one, else the last."
  )

  budget: str | None = settings.setting(
      None,
      "What the best run may cost: p95<2ms,size<20MB; of latency, p50, p95, "
      "p99, memory, size and parameters.",
  )

  @property
  def limits(self) -> tuple[budget_lib.Limit, ...]:
    """Those of the budget."""
    return () if self.budget is None else budget_lib.parsed(self.budget)

  def __post_init__(self):
    # Says what is wrong with it.
    self.limits  # noqa: B018
    if self.names and len(self.names) != len(self.runs):
      raise errors.InputError(
          f"names: expected as many as runs ({len(self.runs)}), got "
          f"{len(self.names)}."
      )
    if self.to is not None and self.out is not None:
      raise errors.InputError(
          f"out ({self.out}) and to ({self.to}) must not both be set."
      )
    if self.out is not None and not self.out.endswith(".html"):
      raise errors.InputError(
          f"out: expected the name of an .html file, got {self.out}."
      )
