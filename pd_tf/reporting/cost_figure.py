"""Scores against what a student costs, with the Pareto front."""

from collections.abc import Sequence
import functools

from matplotlib import figure as mpl_figure
from matplotlib import ticker

from pd_tf.config import goals
from pd_tf.reporting import canvas
from pd_tf.reporting import groups
from pd_tf.reporting import statistics
from pd_tf.reporting import table

# What a student costs, and how the axis says it.
COSTS = {
    "num_parameters": "parameters",
    "latency_ms": "latency of one text, ms",
}
Point = tuple[groups.Group, float]


def figures(
    found: Sequence[groups.Group], metric: str, fact: str
) -> list[canvas.Figure]:
  """Returns the score against a cost, if it takes several values."""
  points = [
      (group, statistics.mean(costs).value)
      for group in found
      if (costs := groups.facts(group, fact))
  ]
  if len({cost for _, cost in points}) < 2:
    return []
  best = _pareto(points, -1 if goals.is_lower_better(metric) else 1)
  rows: list[list[object]] = [
      ["method", "place", fact, metric, "low", "high", "on_pareto_front"]
  ]
  rows += [
      [group.method, group.place, cost, group.score.value, group.score.low,
       group.score.high, group in best]
      for group, cost in points
  ]
  return [canvas.Figure(
      fact, f"{table.metric_title(metric)} against {COSTS[fact]}",
      f"The grey line is the Pareto front: nothing smaller is better. "
      f"{groups.INTERVAL}", rows,
      functools.partial(_draw, points, best, metric, COSTS[fact]),
  )]


def _draw(
    points: Sequence[Point],
    best: Sequence[groups.Group],
    metric: str,
    label: str,
) -> mpl_figure.Figure:
  drawing = canvas.figure(4.4)
  axes = canvas.axes(drawing)
  scale = table.scale(metric)
  methods = list(dict.fromkeys(group.method for group, _ in points))
  for index, method in enumerate(methods):
    own = sorted(
        ((cost, g) for g, cost in points if g.method == method),
        key=lambda pair: pair[0],
    )
    costs = [cost for cost, _ in own]
    values = [group.score.value * scale for _, group in own]
    axes.errorbar(
        costs, values, yerr=groups.reach([group for _, group in own], scale),
        color=canvas.color(index), linewidth=0, elinewidth=1.2, capsize=3,
    )
    if len(set(costs)) == len(costs):
      axes.plot(
          costs, values, linewidth=1.2, color=canvas.color(index), alpha=0.5
      )
    dots = axes.scatter(
        costs, values, label=method, color=canvas.color(index), zorder=3,
        marker=canvas.MARKERS[index % len(canvas.MARKERS)], s=36,
    )
    dots.set_urls([groups.url(group) for _, group in own])
  front = sorted((cost, group.score.value * scale) for group, cost in points
                 if group in best)
  axes.plot(
      [cost for cost, _ in front], [value for _, value in front],
      color=canvas.GRID, linewidth=5, zorder=0, solid_capstyle="round",
  )
  axes.set_xscale("log")
  axes.xaxis.set_major_formatter(_tick)
  axes.xaxis.set_minor_formatter(_tick)
  axes.tick_params(axis="x", which="minor", labelsize=8)
  axes.set_xlabel(label)
  axes.set_ylabel(table.metric_title(metric))
  canvas.legend(axes)
  return drawing


def _pareto(points: Sequence[Point], sign: int) -> list[groups.Group]:
  """Returns the groups that none is better than at the same cost or less.

  Args:
    points: Groups with their costs.
    sign: -1 where less of the metric is better, else 1.
  """
  return [
      group for group, cost in points
      if not any(
          other_cost <= cost
          and sign * other.score.value >= sign * group.score.value
          and (other_cost, other.score.value) != (cost, group.score.value)
          for other, other_cost in points
      )
  ]


def _tick(value: float, position: float) -> str:
  """Returns 4M for millions, and 0.9 as it is: m would be read as million."""
  del position
  return ticker.EngFormatter(sep="")(value) if value >= 1 else f"{value:g}"
