"""Says in sentences what the numbers show, and no more.

A method is said to be above another only where the 95 % intervals of both do
not overlap and, of several seeds, the interval of their paired differences
leaves out 0.
"""

from collections.abc import Sequence
import dataclasses

from pd_tf.reporting import groups
from pd_tf.reporting import outcomes
from pd_tf.reporting import statistics
from pd_tf.reporting import table

# More than these are counted in a sentence, not listed.
_MOST_PLACES = 3


@dataclasses.dataclass(frozen=True)
class Comparison:
  """The subject against one other method, at one place of the axes.

  Attributes:
    place: Labels of the axes: "size=tiny"; empty where there are none.
    other: The other method.
    ours: Mean of the subject.
    theirs: Mean of the other.
    difference: Of paired runs; None where none belong together.
    verdict: "above", "below" or "open".
  """

  place: str
  other: str
  ours: statistics.Mean
  theirs: statistics.Mean
  difference: statistics.Mean | None
  verdict: str


def comparisons(
    runs: Sequence[outcomes.Outcome], metric: str, subject: str
) -> list[Comparison]:
  """Returns the subject against each other method, place by place."""
  found = []
  for other in groups.methods(runs):
    if other == subject:
      continue
    for place, ours, theirs in groups.places(runs, metric, subject, other):
      means = [statistics.mean_score(part, metric) for part in (ours, theirs)]
      difference = statistics.paired(
          ours, theirs, metric, lambda run: run.axes.get(outcomes.SEED)
      )
      found.append(Comparison(
          place, other, means[0], means[1], difference,
          verdict(means[0], means[1], difference),
      ))
  return found


def sentences(
    found: Sequence[Comparison], metric: str, subject: str
) -> list[str]:
  """Returns what comparisons show, a sentence for each other method."""
  said = []
  for other in dict.fromkeys(one.other for one in found):
    ours = [one for one in found if one.other == other]
    parts = []
    for shown_as in ("above", "below"):
      shown = [one for one in ours if one.verdict == shown_as]
      if shown:
        where = "; ".join(_shown(one, metric) for one in shown)
        if len(shown) > _MOST_PLACES:
          where = _many(shown, len(ours), metric)
        parts.append(f"{shown_as} {other}: {where}")
    undecided = [one for one in ours if one.verdict == "open"]
    if undecided:
      where = "; ".join(_undecided(one, metric) for one in undecided)
      if len(undecided) > _MOST_PLACES:
        where = _many(undecided, len(ours), metric)
      parts.append(f"not shown to differ from {other}: {where}")
    name = metric.replace("_", " ")
    said.append(f"In {name}, {subject} is {', and '.join(parts)}.")
  return said


def trend(
    runs: Sequence[outcomes.Outcome], metric: str, axis: str, method: str
) -> str | None:
  """Says whether a method's metric rises from an axis's first to last value.

  Args:
    runs: Of all methods.
    metric: What is compared.
    axis: Its labels are numbers.
    method: Of which runs.
  """
  own = [
      run for run in runs
      if run.method == method and axis in run.axes and metric in run.scores
  ]
  labels = sorted({run.axes[axis] for run in own}, key=float)
  if len(labels) < 2:
    return None
  first, last = (
      [run for run in own if run.axes[axis] == label]
      for label in (labels[0], labels[-1])
  )
  difference = statistics.paired(last, first, metric, lambda run: tuple(
      (name, label) for name, label in run.axes.items() if name != axis
  ))
  means = [statistics.mean_score(part, metric) for part in (first, last)]
  change = {
      "above": "rises", "below": "falls", "open": "is not shown to change"
  }[verdict(means[1], means[0], difference)]
  numbers = " to ".join(_number(one.value, metric) for one in means)
  note = "" if difference is None else f" ({_difference(difference, metric)})"
  return (
      f"From {axis.replace('_', ' ')} {labels[0]} to {labels[-1]}, {method} "
      f"{change}: {numbers}{note}."
  )


def verdict(
    ours: statistics.Mean,
    theirs: statistics.Mean,
    difference: statistics.Mean | None,
) -> str:
  """Returns "above", "below" or, where nothing is shown, "open"."""
  if not ours.is_apart_from(theirs):
    return "open"
  if difference is not None and difference.low is not None:
    assert difference.high is not None
    if difference.low <= 0 <= difference.high:
      return "open"
  return "above" if ours.value > theirs.value else "below"


def _many(found: Sequence[Comparison], total: int, metric: str) -> str:
  differences = [one.ours.value - one.theirs.value for one in found]
  return (
      f"at {len(found)} of {total} places (differences "
      f"{_number(min(differences), metric, sign=True)} to "
      f"{_number(max(differences), metric, sign=True)})"
  )


def _shown(one: Comparison, metric: str) -> str:
  numbers = (
      f"{_number(one.ours.value, metric)} against "
      f"{_number(one.theirs.value, metric)}"
  )
  if one.difference is not None and one.difference.low is not None:
    numbers += f", {_difference(one.difference, metric)}"
  return f"{one.place} ({numbers})" if one.place else numbers


def _undecided(one: Comparison, metric: str) -> str:
  numbers = (
      f"{_number(one.ours.value, metric)} and "
      f"{_number(one.theirs.value, metric)}"
  )
  if one.difference is not None and one.difference.low is not None:
    numbers += f", {_difference(one.difference, metric)}"
  elif one.ours.low is None or one.theirs.low is None:
    numbers += ", no intervals"
  return f"{one.place} ({numbers})" if one.place else numbers


def _difference(difference: statistics.Mean, metric: str) -> str:
  text = f"difference {_number(difference.value, metric, sign=True)}"
  if difference.low is None or difference.high is None:
    return text + ", one pair"
  return (
      f"{text}, 95 % interval {_number(difference.low, metric, sign=True)} to "
      f"{_number(difference.high, metric, sign=True)} over {difference.count} "
      "pairs"
  )


def _number(value: float, metric: str, sign: bool = False) -> str:
  digits = 1 if metric in table.HUNDREDTHS else 4
  plus = "+" if sign else ""
  return f"{value * table.scale(metric):{plus}.{digits}f}"
