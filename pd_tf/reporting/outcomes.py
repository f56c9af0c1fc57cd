"""What runs came to: scores, facts about them, curves, settings."""

from collections.abc import Iterable
import dataclasses
import math
from typing import Any

# The axis whose values are repetitions of the same.
SEED = "seed"

Fact = int | float | str
Point = dict[str, float]


@dataclasses.dataclass(frozen=True)
class Score:
  """A metric's value and, where known, its 95 % interval over examples."""

  value: float
  low: float | None = None
  high: float | None = None


@dataclasses.dataclass(frozen=True)
class Outcome:
  """What one run came to.

  Attributes:
    name: In tables and plots.
    path: Of its directory.
    scores: By metric, the one to select by first.
    facts: Sizes, lengths and times, by name.
    curve: Logged steps in order: `step` and scalars.
    method: What is compared: the stage of a recipe, or the name.
    axes: Its label on each axis of a recipe.
    config: Settings of the training run, as YAML; empty where not known.
  """

  name: str
  path: str
  scores: dict[str, Score]
  facts: dict[str, Fact]
  curve: list[Point]
  method: str = ""
  axes: dict[str, str] = dataclasses.field(default_factory=dict)
  config: str = ""

  @property
  def group(self) -> tuple[str, ...]:
    """What its repetitions share: the method and the labels but for seeds."""
    return (self.method, *(
        f"{axis}={label}" for axis, label in self.axes.items() if axis != SEED
    ))

  @property
  def command(self) -> str:
    """What runs it again, given its config.yaml; empty where not known."""
    if not self.config:
      return ""
    return "pd-tf train --config=config.yaml --run_dir=RUN"


def to_plain(outcome: Outcome) -> dict[str, Any]:
  """Returns what JSON holds of an outcome."""
  plain = dataclasses.asdict(outcome)
  plain["metrics"] = plain.pop("scores")
  return plain


def from_plain(plain: dict[str, Any]) -> Outcome:
  """Returns the outcome that `to_plain` wrote."""
  values = {
      field.name: plain[field.name]
      for field in dataclasses.fields(Outcome)
      if field.name in plain
  }
  scores = {
      name: Score(**score) for name, score in plain["metrics"].items()
  }
  # Of the first files a run's method was its name alone.
  method = values.get("method") or plain["name"]
  return Outcome(**{
      "curve": [], **values, "scores": scores, "method": method
  })


def thinned(curve: list[Point], most: int = 400) -> list[Point]:
  """Returns at most so many points of a curve, those of evaluations kept."""
  plain = [point for point in curve if "loss" in point]
  stride = max(1, math.ceil(len(plain) / most))
  kept = {id(point) for point in plain[::stride]}
  return [
      point for point in curve if "loss" not in point or id(point) in kept
  ]


def ordered(mappings: Iterable[Iterable[str]]) -> list[str]:
  """Returns the keys of all mappings, in the order they first come up."""
  return list(dict.fromkeys(key for mapping in mappings for key in mapping))


def varying_axes(runs: Iterable[Outcome]) -> list[str]:
  """Returns the axes on which the runs differ, seeds left out."""
  runs = list(runs)
  return [
      axis for axis in ordered(run.axes for run in runs)
      if axis != SEED
      and len({run.axes[axis] for run in runs if axis in run.axes}) > 1
  ]
