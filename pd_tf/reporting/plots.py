"""Outcomes of runs as plots."""

from collections.abc import Sequence
import dataclasses
import io

from matplotlib import axes as mpl_axes
from matplotlib import figure as mpl_figure
import matplotlib.ticker

from pd_tf.reporting import outcomes
from pd_tf.reporting import table

DPI = 150
WIDTH_INCHES = 7.0
BAR_INCHES = 0.42
# Okabe and Ito's colours without black and yellow: told apart by everyone.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
STYLES = ("-", "--", ":", "-.")


@dataclasses.dataclass(frozen=True)
class Theme:
  """Colours of what is not data."""

  background: str
  text: str
  grid: str


LIGHT = Theme("#ffffff", "#1c1e21", "#d9dce1")
DARK = Theme("#16181c", "#e4e6ea", "#3a3f47")


def bars(
    runs: Sequence[outcomes.Outcome], metric: str, title: str, theme: Theme
) -> bytes:
  """Returns a PNG: a bar for each run's score, with its 95 % interval."""
  runs = [run for run in runs if metric in run.scores]
  scores = [run.scores[metric] for run in runs]
  figure = _figure(1.3 + BAR_INCHES * len(runs), theme)
  axes = _axes(figure, 1, 1, theme)
  scale = table.scale(metric)
  values = [score.value * scale for score in scores]
  axes.barh(range(len(runs)), values, height=0.62, color=COLORS[0])
  reach = [
      _interval(axes, row, score, scale, theme)
      for row, score in enumerate(scores)
  ]
  low = min(0.0, *(start for start, _ in reach))
  high = max(0.0, *(end for _, end in reach))
  span = (high - low) or 1.0
  for row, score in enumerate(scores):
    axes.text(
        max(reach[row][1], 0) + 0.012 * span, row,
        table.score_text(metric, score),
        va="center", fontsize=9, color=theme.text,
        bbox={"color": theme.background, "pad": 1.0},
    )
  axes.set_yticks(range(len(runs)), [run.name for run in runs])
  axes.invert_yaxis()
  # Room for the text to the right of the longest bar.
  axes.set_xlim(low * 1.05, high + 0.4 * span)
  _finish_bars(axes, metric, scores, theme)
  axes.set_title(title, loc="left", fontweight="bold", color=theme.text)
  return _png(figure)


def _finish_bars(
    axes: mpl_axes.Axes,
    metric: str,
    scores: Sequence[outcomes.Score],
    theme: Theme,
) -> None:
  low, high = axes.get_xlim()
  if metric in table.HUNDREDTHS:
    high = min(high, 100.0)  # There is no more, whatever room the text takes.
  axes.set_xticks([tick for tick in axes.get_xticks() if low <= tick <= high])
  axes.grid(axis="x", color=theme.grid, linewidth=0.8)
  axes.tick_params(axis="y", length=0)
  has_interval = any(score.low is not None for score in scores)
  axes.set_xlabel(
      table.metric_title(metric) + (", 95 % interval" if has_interval else "")
  )


def curve_names(runs: Sequence[outcomes.Outcome], metric: str | None) -> list:
  """Returns which logged scalars are drawn: the loss and the dev metric."""
  logged = table.ordered(point for run in runs for point in run.curve)
  dev = [name for name in logged if name.startswith("dev_")]
  chosen = [f"dev_{metric}"] if f"dev_{metric}" in dev else dev[:1]
  return [name for name in ("loss", *chosen) if name in logged]


def curves(
    runs: Sequence[outcomes.Outcome],
    names: Sequence[str],
    title: str,
    theme: Theme,
) -> bytes:
  """Returns a PNG: a panel for each scalar, a line for each run over steps."""
  figure = _figure(2.7 * len(names) + 0.4, theme)
  figure.suptitle(
      title, x=0.01, ha="left", fontweight="bold", color=theme.text
  )
  drawn = [run for run in runs if run.curve]
  for panel, name in enumerate(names, start=1):
    axes = _axes(figure, len(names), panel, theme)
    for index, run in enumerate(drawn):
      steps, values = series(run, name)
      axes.plot(
          steps, values, label=run.name, linewidth=1.6,
          color=COLORS[index % len(COLORS)],
          linestyle=STYLES[index // len(COLORS) % len(STYLES)],
          marker="o" if len(steps) < 30 else "", markersize=3,
      )
    axes.set_ylabel(_curve_title(name))
    axes.grid(color=theme.grid, linewidth=0.8)
    if panel == len(names):
      axes.set_xlabel("step")
    if panel == 1:
      axes.legend(frameon=False, labelcolor=theme.text, fontsize=9)
  figure.align_ylabels()
  return _png(figure)


def series(
    run: outcomes.Outcome, name: str
) -> tuple[list[float], list[float]]:
  """Returns steps and values of one logged scalar.

  Of a step that was logged twice, by a run that was killed and went on, the
  later line counts.
  """
  scale = table.scale(name.removeprefix("dev_"))
  values = {
      point["step"]: point[name] * scale
      for point in run.curve
      if name in point and "step" in point
  }
  steps = sorted(values)
  return steps, [values[step] for step in steps]


def _curve_title(name: str) -> str:
  if name.startswith("dev_"):
    return "dev " + table.metric_title(name.removeprefix("dev_"))
  return "training loss, nats" if name == "loss" else name


def _figure(height_inches: float, theme: Theme) -> mpl_figure.Figure:
  # Not pyplot, whose figures are global.
  return mpl_figure.Figure(
      figsize=(WIDTH_INCHES, height_inches), dpi=DPI, layout="constrained",
      facecolor=theme.background,
  )


def _axes(
    figure: mpl_figure.Figure, num_rows: int, position: int, theme: Theme
) -> mpl_axes.Axes:
  axes = figure.add_subplot(num_rows, 1, position)
  axes.set_facecolor(theme.background)
  axes.set_axisbelow(True)
  axes.spines[["top", "right"]].set_visible(False)
  axes.spines[["left", "bottom"]].set_color(theme.grid)
  axes.tick_params(colors=theme.text)
  axes.xaxis.label.set_color(theme.text)
  axes.yaxis.label.set_color(theme.text)
  axes.xaxis.set_major_formatter(
      matplotlib.ticker.StrMethodFormatter("{x:,g}")
  )
  return axes


def _interval(
    axes: mpl_axes.Axes,
    row: int,
    score: outcomes.Score,
    scale: float,
    theme: Theme,
) -> tuple[float, float]:
  """Draws a score's interval; returns from where to where it reaches."""
  value = score.value * scale
  if score.low is None or score.high is None:
    return value, value
  low, high = score.low * scale, score.high * scale
  axes.errorbar(
      value, row, xerr=[[max(0.0, value - low)], [max(0.0, high - value)]],
      color=theme.text, capsize=4, linewidth=1.4,
  )
  return min(value, low), max(value, high)


def _png(figure: mpl_figure.Figure) -> bytes:
  buffer = io.BytesIO()
  figure.savefig(buffer, format="png", facecolor=figure.get_facecolor())
  return buffer.getvalue()
