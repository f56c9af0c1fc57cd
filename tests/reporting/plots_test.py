import io

from PIL import Image
import pytest

from pd_tf.reporting import outcomes
from pd_tf.reporting import plots

CURVE = [
    {"step": 10, "loss": 0.7},
    {"step": 20, "loss": 0.6},
    {"step": 20, "dev_accuracy": 0.5, "dev_f1": 0.4},
    # Went on after it was killed.
    {"step": 20, "loss": 0.5},
]


def runs(*values):
  return [
      outcomes.Outcome(
          f"run {value}", "",
          {"accuracy": outcomes.Score(value, value - 0.1, value + 0.1)}, {},
          CURVE,
      )
      for value in values
  ]


def image(png):
  return Image.open(io.BytesIO(png)).convert("RGB")


@pytest.mark.parametrize("values", [(0.5,), (0.7, 0.8, -0.3), (0.0,)])
def test_bars(values):
  light = image(plots.bars(runs(*values), "accuracy", "T", plots.LIGHT))
  dark = image(plots.bars(runs(*values), "accuracy", "T", plots.DARK))
  assert light.size == dark.size
  assert light.size[0] == plots.WIDTH_INCHES * plots.DPI
  assert light.getpixel((0, 0)) == (255, 255, 255)
  assert dark.getpixel((0, 0)) == (0x16, 0x18, 0x1c)


def test_bars_without_intervals_or_scores():
  bare = outcomes.Outcome("a", "", {"x": outcomes.Score(2.5)}, {}, [])
  none = outcomes.Outcome("b", "", {}, {}, [])
  one = plots.bars([bare], "x", "T", plots.LIGHT)
  assert plots.bars([bare, none], "x", "T", plots.LIGHT) == one


def test_longer_bars_are_longer():
  blue = (0x00, 0x72, 0xb2)
  counts = []
  for value in (0.2, 0.4):
    picture = image(plots.bars(
        [
            outcomes.Outcome("a", "", {"accuracy": outcomes.Score(v)}, {}, [])
            for v in (value, 0.8)
        ],
        "accuracy", "T", plots.LIGHT,
    ))
    counts.append(sum(
        count for count, color in picture.getcolors(1 << 24) if color == blue
    ))
  # 0.2 + 0.8 against 0.4 + 0.8, up to the edges.
  assert counts[1] / counts[0] == pytest.approx(1.2, abs=0.01)


def test_curves():
  names = plots.curve_names(runs(0.5), "f1")
  assert names == ["loss", "dev_f1"]
  assert plots.curve_names(runs(0.5), "pearson") == ["loss", "dev_accuracy"]
  assert plots.curve_names([], None) == []
  one = image(plots.curves(runs(0.5, 0.6), names[:1], "T", plots.LIGHT))
  two = image(plots.curves(runs(0.5, 0.6), names, "T", plots.LIGHT))
  assert two.size[1] > one.size[1]


def test_later_lines_of_a_step_count():
  assert plots.series(runs(0.5)[0], "loss") == ([10, 20], [0.7, 0.5])
  assert plots.series(runs(0.5)[0], "dev_accuracy") == ([20], [50.0])
