"""Says what depth does to a score, and what width does, the other the same."""

from collections.abc import Iterator
from collections.abc import Sequence

from pd_tf.reporting import answers
from pd_tf.reporting import groups
from pd_tf.reporting import outcomes
from pd_tf.reporting import statistics

Sizes = dict[tuple[int, int], groups.Group]

# What is compared, and what is the same for both: places in the key of Sizes,
# and how they are called.
_DEPTH = (0, "with {} layers", 1, "width {}")
_WIDTH = (1, "{} wide", 0, "{} layers")


def sentences(runs: Sequence[outcomes.Outcome], metric: str) -> list[str]:
  """Returns sentences for each method of two depths and two widths.

  Of a method that has more runs of a size than its seeds there is none: what
  these differ in would count, too.
  """
  said: list[str] = []
  found = groups.groups(runs, metric)
  for method in dict.fromkeys(group.method for group in found):
    sizes = _sizes([group for group in found if group.method == method])
    if all(len({key[i] for key in sizes}) > 1 for i in (0, 1)):
      for question in (_DEPTH, _WIDTH):
        said += _answered(sizes, metric, method, *question)
  return said


def _sizes(found: Sequence[groups.Group]) -> Sizes:
  sizes: Sizes = {}
  for group in found:
    key = groups.size(group)
    if key in sizes:
      return {}
    if key is not None:
      sizes[key] = group
  return sizes


def _answered(
    sizes: Sizes, metric: str, method: str,
    moved: int, title: str, fixed: int, place: str,
) -> Iterator[str]:  # fmt: skip
  """Yields a sentence for each pair of a least and a greatest value."""
  found: dict[tuple[int, int], list[answers.Comparison]] = {}
  for same in sorted({key[fixed] for key in sizes}):
    keys = sorted(key for key in sizes if key[fixed] == same)
    if len(keys) < 2:
      continue
    ends = (keys[0][moved], keys[-1][moved])
    least, most = sizes[keys[0]], sizes[keys[-1]]
    difference = statistics.paired(
        most.runs, least.runs, metric, lambda run: run.axes.get(outcomes.SEED)
    )
    found.setdefault(ends, []).append(answers.Comparison(
        place.format(same), f"{method} {title.format(ends[0])}",
        most.score, least.score, difference,
        answers.verdict(most.score, least.score, difference),
    ))
  for (_, greatest), compared in found.items():
    yield from answers.sentences(
        compared, metric, f"{method} {title.format(greatest)}"
    )
