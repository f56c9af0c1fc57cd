"""Scores by layers and width, a map for each method."""

from collections.abc import Sequence
import functools

from matplotlib import colors
from matplotlib import figure as mpl_figure

from pd_tf.config import goals
from pd_tf.reporting import canvas
from pd_tf.reporting import groups
from pd_tf.reporting import statistics
from pd_tf.reporting import table

Cells = dict[tuple[int, int], statistics.Mean]

# From the page's lightest to its darkest, told apart without colour.
_COLORS = colors.LinearSegmentedColormap.from_list(
    "scores", ["#eef4fa", "#0072B2"]
)
_ROW_INCHES = 0.5


def figures(
    found: Sequence[groups.Group], metric: str
) -> list[canvas.Figure]:
  """Returns a map for each method that has two depths and two widths."""
  made: list[canvas.Figure] = []
  for method in dict.fromkeys(group.method for group in found):
    own = [group for group in found if group.method == method]
    cells = _cells(own, metric)
    depths, widths = (sorted({key[i] for key in cells}) for i in (0, 1))
    if len(depths) < 2 or len(widths) < 2:
      continue
    rows: list[list[object]] = [
        ["num_layers", "hidden_size", metric, "low", "high", "runs"]
    ]
    rows += [
        [*key, score.value, score.low, score.high, score.count]
        for key, score in sorted(cells.items())
    ]
    number = len(made) + 1
    made.append(canvas.Figure(
        f"heat_map_{number}",
        f"{table.metric_title(metric)} of {method} by layers and width",
        "Mean over seeds, at the best place of each size."
        if len(own) > len(cells) else "Mean over seeds.", rows,
        functools.partial(_draw, cells, depths, widths, metric),
    ))
  return made


def _cells(found: Sequence[groups.Group], metric: str) -> Cells:
  sign = -1 if goals.is_lower_better(metric) else 1
  cells: Cells = {}
  for group in found:
    key = groups.size(group)
    if key is not None:
      # Of several places of one size the best.
      new, old = group.score, cells.get(key)
      if old is None or sign * new.value > sign * old.value:
        cells[key] = new
  return cells


def _draw(
    cells: Cells, depths: Sequence[int], widths: Sequence[int], metric: str
) -> mpl_figure.Figure:
  drawing = canvas.figure(1.3 + _ROW_INCHES * len(depths))
  axes = canvas.axes(drawing)
  scale = table.scale(metric)
  values = [score.value * scale for score in cells.values()]
  norm = colors.Normalize(min(values), max(values))
  grid = [
      [
          cells[depth, width].value * scale if (depth, width) in cells
          else float("nan")
          for width in widths
      ]
      for depth in depths
  ]
  axes.grid(visible=False)
  axes.pcolormesh(
      grid, cmap=_COLORS, norm=norm, edgecolors=canvas.BACKGROUND, linewidth=2
  )
  for row, depth in enumerate(depths):
    for column, width in enumerate(widths):
      if (depth, width) in cells:
        value = grid[row][column]
        axes.text(
            column + 0.5, row + 0.5,
            table.score_text(
                metric, groups.plain_score(cells[depth, width])
            ).partition(" ")[0],
            ha="center", va="center", fontsize=10,
            # On the dark half white, and on the light half black, in both
            # themes of a page.
            color="#fefefe" if norm(value) > 0.5 else "#101010",
        )
  axes.set_xticks([i + 0.5 for i in range(len(widths))], map(str, widths))
  axes.set_yticks([i + 0.5 for i in range(len(depths))], map(str, depths))
  axes.tick_params(length=0)
  axes.spines[["left", "bottom"]].set_visible(False)
  axes.set_xlabel("width H")
  axes.set_ylabel("layers L")
  return drawing
