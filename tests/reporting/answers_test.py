import dataclasses

import pytest

from pd_tf.reporting import answers
from pd_tf.reporting import groups
from pd_tf.reporting import outcomes
from pd_tf.reporting import size_answers
from pd_tf.reporting import statistics


def runs(method, values, low=None, high=None, **axes):
  """Returns a run for each value, seeds counted from 0."""
  return [
      outcomes.Outcome(
          f"{method}{seed}", "",
          {"accuracy": outcomes.Score(value, low, high)}, {}, [], method,
          {**axes, "seed": str(seed)},
      )
      for seed, value in enumerate(values)
  ]


def test_mean_and_students_interval():
  # Of 1, 2, 3: the mean 2, standard error 1 / sqrt(3), t(2) = 4.302653.
  found = statistics.mean([1.0, 2.0, 3.0])
  assert found.value == 2
  assert found.high - found.value == pytest.approx(4.302653 / 3**0.5, rel=1e-6)
  assert statistics.mean([0.25]).low is None


def test_pairs_share_their_seed():
  first = runs("a", [0.5, 0.6, 0.7])
  second = list(reversed(runs("b", [0.4, 0.5, 0.6])))
  found = statistics.paired(
      first, second[:2], "accuracy", lambda run: run.axes["seed"]
  )
  assert found.count == 2
  assert found.value == pytest.approx(0.1)
  assert found.high - found.low == pytest.approx(0, abs=1e-9)
  assert statistics.paired([], second, "accuracy", lambda run: 0) is None


def test_above_below_and_open():
  found = answers.comparisons(
      runs("PD", [0.85, 0.851, 0.852]) + runs("BT", [0.80, 0.801, 0.803])
      + runs("T", [0.90, 0.902, 0.901]) + runs("D", [0.84, 0.86, 0.85]),
      "accuracy", "PD",
  )
  assert [(one.other, one.verdict) for one in found] == [
      ("BT", "above"), ("T", "below"), ("D", "open"),
  ]
  said = answers.sentences(found, "accuracy", "PD")
  assert said[0].startswith("In accuracy, PD is above BT: 85.1 against 80.1, ")
  assert "difference +5.0, 95 % interval +4.8 to +5.1 over 3 pairs" in said[0]
  assert said[2].startswith("In accuracy, PD is not shown to differ from D: ")


def test_no_claim_without_intervals_or_where_they_overlap():
  for first, second in (
      (runs("PD", [0.9]), runs("D", [0.5])),
      (runs("PD", [0.9], 0.7, 0.95), runs("D", [0.6], 0.5, 0.71)),
  ):
    one, = answers.comparisons(first + second, "accuracy", "PD")
    assert one.verdict == "open"
  one, = answers.comparisons(
      runs("PD", [0.9], 0.8, 0.95) + runs("D", [0.6], 0.5, 0.71),
      "accuracy", "PD",
  )
  assert one.verdict == "above"


def test_places_are_compared_one_by_one():
  found = answers.comparisons(
      runs("PD", [0.8, 0.801], size="tiny", texts="1")
      + runs("PD", [0.9, 0.901], size="mini", texts="1")
      + runs("PD", [0.9, 0.901], size="mini", texts="2")
      + runs("PF", [0.7, 0.701], size="tiny")
      + runs("PF", [0.7, 0.701], size="mini")
      # Has no axes, and is compared everywhere.
      + runs("T", [0.95]),
      "accuracy", "PD",
  )
  assert [(one.other, one.place) for one in found] == [
      ("PF", "size=tiny, texts=1"), ("PF", "size=mini, texts=1"),
      ("PF", "size=mini, texts=2"), ("T", "size=tiny, texts=1"),
      ("T", "size=mini, texts=1"), ("T", "size=mini, texts=2"),
  ]
  assert found[0].difference.count == 2
  assert found[3].difference.count == 1


def test_trend():
  points = [
      one for texts, values in (
          ("1000", [0.7, 0.7]), ("200", [0.6, 0.602]), ("3000", [0.8, 0.804])
      )
      for one in runs("PD", values, texts=texts)
  ]
  assert groups.numeric_axes(points) == ["texts"]
  assert answers.trend(points, "accuracy", "texts", "PD") == (
      "From texts 200 to 3000, PD rises: 60.1 to 80.2 (difference +20.1, 95 % "
      "interval +18.8 to +21.4 over 2 pairs)."
  )
  assert answers.trend(points, "accuracy", "texts", "none") is None


def sized(method, depth, width, values, **axes):
  """Returns runs of a size."""
  made = runs(method, values, size=f"L{depth}-H{width}", **axes)
  facts = {"num_layers": depth, "hidden_size": width}
  return [dataclasses.replace(run, facts=facts) for run in made]


def test_depth_and_width_each_where_the_other_is_the_same():
  found = [
      *sized("PD", 2, 128, [0.80, 0.801, 0.802]),
      *sized("PD", 6, 128, [0.85, 0.851, 0.853]),
      # In between: the least is compared with the greatest.
      *sized("PD", 4, 128, [0.1, 0.2, 0.3]),
      *sized("PD", 2, 256, [0.80, 0.803, 0.801]),
      *sized("PD", 6, 256, [0.81, 0.79, 0.80]),
  ]
  assert size_answers.sentences(found, "accuracy") == [
      "In accuracy, PD with 6 layers is above PD with 2 layers: width 128 "
      "(85.1 against 80.1, difference +5.0, 95 % interval +4.9 to +5.2 over 3 "
      "pairs), and not shown to differ from PD with 2 layers: width 256 (80.0 "
      "and 80.1, difference -0.1, 95 % interval -3.0 to +2.7 over 3 pairs).",
      "In accuracy, PD 256 wide is below PD 128 wide: 6 layers (80.0 against "
      "85.1, difference -5.1, 95 % interval -7.8 to -2.5 over 3 pairs), and "
      "not shown to differ from PD 128 wide: 2 layers (80.1 and 80.1, "
      "difference +0.0, 95 % interval -0.3 to +0.4 over 3 pairs).",
  ]


def test_nothing_is_said_of_depth_where_it_alone_varies_or_more_than_size():
  column = [
      *sized("PD", 2, 128, [0.8, 0.8]), *sized("PD", 6, 128, [0.9, 0.9]),
      *sized("PF", 2, 128, [0.8, 0.8]), *sized("PF", 2, 256, [0.8, 0.8]),
  ]
  assert size_answers.sentences(column, "accuracy") == []
  texts = [
      one for count in "12" for depth in (2, 6) for width in (128, 256)
      for one in sized("PD", depth, width, [0.8, 0.9], texts=count)
  ]
  assert size_answers.sentences(texts, "accuracy") == []
