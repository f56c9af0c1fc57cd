"""Outcomes of runs as one HTML file with its images inside."""

import base64
from collections.abc import Sequence
import dataclasses
import datetime

import jinja2

import pd_tf
from pd_tf.reporting import outcomes
from pd_tf.reporting import table

TEMPLATE = "report.html"


@dataclasses.dataclass(frozen=True)
class Plot:
  """A plot as PNG in both themes, and the file that the light one goes to."""

  file_name: str
  title: str
  light: bytes
  dark: bytes


def render(
    title: str, runs: Sequence[outcomes.Outcome], plots: Sequence[Plot]
) -> str:
  """Returns the page; it loads nothing from elsewhere."""
  environment = jinja2.Environment(
      loader=jinja2.PackageLoader("pd_tf.reporting", "."), autoescape=True,
      undefined=jinja2.StrictUndefined, trim_blocks=True,
  )
  return environment.get_template(TEMPLATE).render(
      title=title,
      version=pd_tf.__version__,
      date=datetime.date.today().isoformat(),
      rows=table.rows(runs),
      note=table.NOTE if table.has_intervals(runs) else "",
      plots=[
          {
              "title": plot.title,
              "light": base64.b64encode(plot.light).decode(),
              "dark": base64.b64encode(plot.dark).decode(),
          }
          for plot in plots
      ],
      runs=runs,
  )
