import json

import pytest
import tensorflow as tf

from pd_tf.training import best
from pd_tf.training import log


def _steps(path):
  return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def test_a_resumed_log_has_each_step_once(tmp_path):
  path = tmp_path / "metrics.jsonl"
  metrics = log.MetricsFile(path, 0)
  for step in (10, 20, 30):
    metrics.write(step, {"loss": 0.12345678, "seconds": step / 10})
  metrics.close()
  # The process was killed in the middle of a line.
  path.write_text(path.read_text() + '{"step": 4')
  metrics = log.MetricsFile(path, 20)
  assert metrics.seconds_before == 2.0
  metrics.write(30, {"loss": 1.0})
  metrics.close()
  assert _steps(path) == [10, 20, 30]
  assert json.loads(path.read_text().splitlines()[0])["loss"] == 0.123457


def test_rates_follow_from_time_and_counts(tmp_path, capsys):
  step = tf.Variable(0, dtype=tf.int64)
  path = tmp_path / "metrics.jsonl"
  progress = log.ProgressLog(
      log.MetricsFile(path, 0), step, 4, lambda: 1e-9
  )
  step.assign(2)
  progress({"loss": 0.5, "examples": 8.0, "tokens": 80.0})
  progress.note(2, {"accuracy": 0.25, "f1": float("nan")})
  progress.close()
  first, second = map(json.loads, path.read_text().splitlines())
  assert first["examples_per_second"] * first["seconds"] == pytest.approx(
      16, rel=1e-3
  )
  assert first["tokens_per_second"] == pytest.approx(
      10 * first["examples_per_second"], rel=1e-3
  )
  assert 0 < first["waiting_share"] < 1
  assert second == {"step": 2, "dev_accuracy": 0.25}
  assert "loss 0.5" in capsys.readouterr().err


def test_a_log_that_is_no_terminal_gets_plain_lines(
    tmp_path, capsys, monkeypatch
):
  monkeypatch.setattr(log, "LOG_SECONDS", 0.0)
  step = tf.Variable(0, dtype=tf.int64)
  progress = log.ProgressLog(
      log.MetricsFile(tmp_path / "metrics.jsonl", 0), step, 4, lambda: 0.0
  )
  for _ in range(2):
    step.assign_add(2)
    progress({
        "loss": 0.5, "accuracy": 0.75, "entropy": 3.0, "examples": 8.0,
        "tokens": 80.0,
    })  # fmt: skip
  progress.close()
  first, second = capsys.readouterr().err.splitlines()
  assert first.startswith("step 2/4: loss 0.5000, accuracy 0.7500, ")
  assert "examples/s, " in first and "tokens/s, input 0%, " in first
  assert second.startswith("step 4/4: ")
  assert second.endswith(", 00:00 left")


def test_the_earliest_best_model_stays(tmp_path):
  scores = iter([0.5, 0.7, 0.7, 0.6])
  written = []

  def keeper():
    return best.Keeper(
        tmp_path / "best", lambda: {"accuracy": next(scores), "f1": 0.0},
        written.append,
    )

  first = keeper()
  for step in (1, 2, 3):
    first.evaluate(step)
  # A resumed run knows what was best before it.
  second = keeper()
  second.evaluate(4)
  assert len(written) == 2
  assert second.result() == {
      "best": {"step": 2, "accuracy": 0.7, "f1": 0.0},
      "last": {"accuracy": 0.6, "f1": 0.0},
  }
