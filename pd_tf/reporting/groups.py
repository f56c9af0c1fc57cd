"""Puts runs together: by method, by place on the axes, by repetition."""

from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses

from pd_tf.reporting import outcomes
from pd_tf.reporting import statistics

Runs = list[outcomes.Outcome]

INTERVAL = "95 % interval over seeds; of a single run, over its examples."


@dataclasses.dataclass(frozen=True)
class Group:
  """Repetitions of the same.

  Attributes:
    method: What is compared.
    place: Labels of the axes but for seeds: "size=tiny".
    runs: The repetitions.
    score: Mean of the metric.
  """

  method: str
  place: str
  runs: Runs
  score: statistics.Mean

  @property
  def name(self) -> str:
    """In tables and plots."""
    return f"{self.method}, {self.place}" if self.place else self.method


def methods(runs: Sequence[outcomes.Outcome]) -> list[str]:
  """Returns the methods in the order in which they first come up."""
  return list(dict.fromkeys(run.method for run in runs))


def groups(runs: Sequence[outcomes.Outcome], metric: str) -> list[Group]:
  """Returns repetitions together, in the order in which they first come up."""
  axes = outcomes.varying_axes(runs)
  found: dict[tuple[str, str], Runs] = {}
  for run in runs:
    if metric in run.scores:
      found.setdefault((run.method, place_of(run, axes)), []).append(run)
  return [
      Group(method, place, members, statistics.mean_score(members, metric))
      for (method, place), members in found.items()
  ]


def place_of(run: outcomes.Outcome, axes: Sequence[str]) -> str:
  """Returns a run's labels on some axes, as "size=tiny, domain=books"."""
  return ", ".join(
      f"{axis}={run.axes[axis]}" for axis in axes if axis in run.axes
  )


def places(
    runs: Sequence[outcomes.Outcome], metric: str, subject: str, other: str
) -> Iterator[tuple[str, Runs, Runs]]:
  """Yields where two methods meet: labels of all axes, and the runs of both.

  A method without an axis, which does not depend on it, meets the other at
  each of its labels.
  """
  ours = [r for r in runs if r.method == subject and metric in r.scores]
  theirs = [r for r in runs if r.method == other and metric in r.scores]
  axes = outcomes.varying_axes([*ours, *theirs])
  full: dict[tuple[tuple[str, str], ...], None] = {}
  for one in ours:
    for two in theirs:
      if all(
          one.axes.get(axis, label) == label
          for axis, label in two.axes.items() if axis in axes
      ):
        merged = {**two.axes, **one.axes}
        full[tuple((a, merged[a]) for a in axes if a in merged)] = None
  for place in full:
    wanted = dict(place)
    parts = [
        [run for run in part if _fits(run, wanted)] for part in (ours, theirs)
    ]
    name = ", ".join(f"{axis}={label}" for axis, label in place)
    yield name, parts[0], parts[1]


def _fits(run: outcomes.Outcome, wanted: dict[str, str]) -> bool:
  return all(
      run.axes.get(axis, label) == label for axis, label in wanted.items()
  )


def numeric_axes(runs: Sequence[outcomes.Outcome]) -> list[str]:
  """Returns the axes along which curves are drawn: at least three numbers."""
  found = []
  for axis in outcomes.varying_axes(runs):
    labels = {run.axes[axis] for run in runs if axis in run.axes}
    if len(labels) > 2 and all(map(_is_number, labels)):
      found.append(axis)
  return found


def _is_number(label: str) -> bool:
  try:
    float(label)
  except ValueError:
    return False
  return True


def facts(group: Group, name: str) -> list[float]:
  """Returns a number that is known of a group's runs."""
  values = [run.facts.get(name) for run in group.runs]
  return [float(value) for value in values if isinstance(value, (int, float))]


def size(group: Group) -> tuple[int, int] | None:
  """Returns layers and width of a group's models, where they are known."""
  depth, width = (facts(group, name) for name in ("num_layers", "hidden_size"))
  return (int(depth[0]), int(width[0])) if depth and width else None


def plain_score(score: statistics.Mean) -> outcomes.Score:
  """Returns a mean as the score of a table."""
  return outcomes.Score(score.value, score.low, score.high)


def reach(found: Sequence[Group], scale: float) -> list[list[float]]:
  """Returns how far intervals go below and above, as error bars have it."""
  scores = [group.score for group in found]
  return [
      [
          0.0 if end is None else abs(end - score.value) * scale
          for score, end in zip(scores, ends, strict=True)
      ]
      for ends in ([s.low for s in scores], [s.high for s in scores])
  ]


def url(group: Group) -> str:
  """Returns the place in the page where a group's first run is told of."""
  return f"#run-{anchor(group.runs[0].name)}"


def anchor(name: str) -> str:
  """Returns a run's name as the id of an element."""
  return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
