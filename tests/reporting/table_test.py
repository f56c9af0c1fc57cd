from pd_tf.reporting import outcomes
from pd_tf.reporting import table

RUNS = [
    outcomes.Outcome(
        "BT", "runs/bt",
        {"accuracy": outcomes.Score(0.712, 0.6871, 0.736)},
        {"examples": 872, "num_parameters": 4386178}, [],
    ),
    outcomes.Outcome(
        "P|D", "runs/pd",
        {
            "accuracy": outcomes.Score(0.846),
            "mean_squared_error": outcomes.Score(0.25),
        },
        {"examples": 872, "training_seconds": 12.345, "objective": "distill"},
        [],
    ),
]


def test_rows():
  assert table.rows(RUNS) == [
      [
          "run", "accuracy, %", "mean squared error", "examples",
          "num parameters", "training seconds", "objective",
      ],
      ["BT", "71.2 (68.7–73.6)", "", "872", "4,386,178", "", ""],
      ["P|D", "84.6", "0.2500", "872", "", "12.35", "distill"],
  ]


def test_markdown():
  lines = table.markdown(RUNS).splitlines()
  assert lines[1].startswith("| ---- | ---------------: |")
  assert lines[3].startswith("| P\\|D |             84.6 |")
  assert lines[5] == table.NOTE
  assert table.NOTE not in table.markdown(RUNS[1:])


def test_intervals_below_zero_are_not_mistaken():
  score = outcomes.Score(-0.1, -0.2, 0.0)
  assert table.score_text("matthews", score) == "-10.0 (-20.0 to 0.0)"
