import json

import pytest

from pd_tf.config import errors
from pd_tf.reporting import outcomes
from pd_tf.reporting import run_files


def write_training(directory, unfinished=False):
  directory.mkdir()
  lines = [
      {"step": 50, "loss": 0.5, "seconds": 1.0},
      {"step": 100, "dev_accuracy": 0.7},
  ]
  text = "".join(json.dumps(line) + "\n" for line in lines)
  (directory / "metrics.jsonl").write_text(text + '{"step": 1')
  if not unfinished:
    (directory / "result.json").write_text(json.dumps({
        "objective": "distill", "seconds": 12.5, "train_steps": 100,
        "best": {"step": 100, "accuracy": 0.7}, "last": {"accuracy": 0.6},
    }))
  return directory


def write_evaluation(directory, model="a.zip", training=None):
  directory.mkdir()
  (directory / "result.json").write_text(json.dumps({
      "model": str(model),
      "examples": 872,
      "seconds": 1.25,
      "metrics": {
          "accuracy": {"value": 0.8, "low": 0.77, "high": 0.83},
          "f1": 0.75,
      },
      "training": training,
      "num_parameters": 4386178,
      "label_names": ["0", "1"],
  }))
  return directory


def test_evaluation(tmp_path):
  model = write_training(tmp_path / "model")
  path = write_evaluation(
      tmp_path / "eval", model,
      {"objective": "distill", "seconds": 9.5, "best": {"accuracy": 0.7}},
  )
  outcome, = run_files.read(str(path), "PD")
  assert outcome.name == "PD"
  assert outcome.scores == {
      "accuracy": outcomes.Score(0.8, 0.77, 0.83), "f1": outcomes.Score(0.75)
  }
  assert outcome.facts == {
      "examples": 872, "num_parameters": 4386178, "objective": "distill",
      "training_seconds": 9.5,
  }
  # The curve is that of the run that was evaluated, without the cut line.
  assert [point["step"] for point in outcome.curve] == [50, 100]


def test_evaluation_of_a_file_has_no_curve(tmp_path):
  path = write_evaluation(tmp_path / "eval")
  outcome, = run_files.read(str(path), "x")
  assert outcome.curve == []


def test_training_run(tmp_path):
  outcome, = run_files.read(str(write_training(tmp_path / "run")), "x")
  assert outcome.scores == {"accuracy": outcomes.Score(0.7)}
  assert outcome.facts == {
      "objective": "distill", "train_steps": 100, "training_seconds": 12.5,
  }
  assert outcome.curve[0]["loss"] == 0.5


def test_unfinished_training_run_has_its_curve(tmp_path):
  path = write_training(tmp_path / "run", unfinished=True)
  outcome, = run_files.read(str(path), "x")
  assert (outcome.scores, len(outcome.curve)) == ({}, 2)


def test_names(tmp_path):
  assert run_files.names(["a/x", "b/y/"]) == ["x", "y"]
  assert run_files.names(["a/x", "b/x", "c"]) == ["a/x", "b/x", "c"]
  deep = "/long" * 60
  assert run_files.names([f"{deep}/a/x", f"{deep}/b/x", f"{deep}/c"]) == [
      "a/x", "b/x", "c"
  ]


def test_a_run_of_a_recipe_has_its_stage_and_axes(tmp_path):
  model = tmp_path / "pd" / "size=mini" / "seed=1"
  model.parent.mkdir(parents=True)
  write_training(model)
  (model / "config.yaml").write_text("seed: 1\n")
  (model / "best").mkdir()
  (model / "best" / "bert_config.json").write_text(
      '{"num_hidden_layers": 4, "hidden_size": 256}'
  )
  path = tmp_path / "evaluate_pd" / "size=mini" / "seed=1"
  path.parent.mkdir(parents=True)
  write_evaluation(path, model)
  outcome, = run_files.read(str(path), "x")
  assert outcome.method == "evaluate_pd"
  assert outcome.axes == {"size": "mini", "seed": "1"}
  assert outcome.group == ("evaluate_pd", "size=mini")
  assert outcome.facts["num_layers"] == 4
  assert outcome.facts["hidden_size"] == 256
  assert outcome.config == "seed: 1\n"
  assert run_files.names([str(path)]) == ["evaluate_pd/size=mini/seed=1"]


def test_outcomes_go_through_json(tmp_path):
  outcome, = run_files.read(str(write_training(tmp_path / "run")), "x")
  path = tmp_path / "results.json"
  path.write_text(json.dumps({"runs": [outcomes.to_plain(outcome)] * 2}))
  assert run_files.read(str(path), "ignored") == [outcome] * 2
  path.write_text("[]")
  with pytest.raises(errors.InputError, match="^runs: .*results.json: expec"):
    run_files.read(str(path), "x")


def test_a_run_without_a_method_is_one_of_its_own_name():
  found = outcomes.from_plain({"name": "PD", "metrics": {}, "path": "",
                               "facts": {}})
  assert (found.method, found.curve) == ("PD", [])


def test_a_thinned_curve_keeps_evaluations():
  curve = [{"step": i, "loss": 1.0} for i in range(1000)]
  curve.insert(501, {"step": 500, "dev_accuracy": 0.5})
  thin = outcomes.thinned(curve, most=100)
  assert len(thin) == 101
  assert {"step": 500, "dev_accuracy": 0.5} in thin
  assert thin[0]["step"] == 0 and thin[1]["step"] == 10


def test_wrong_directories(tmp_path):
  with pytest.raises(errors.InputError, match="^runs: no/dir: no such dir"):
    run_files.read("no/dir", "x")
  with pytest.raises(errors.InputError, match="found neither.$"):
    run_files.read(str(tmp_path), "x")
  (tmp_path / "result.json").write_text("{")
  with pytest.raises(errors.InputError, match="result.json: not JSON"):
    run_files.read(str(tmp_path), "x")


def test_runs_of_one_name_in_two_places_are_no_repetitions():
  assert run_files.methods(["a/x", "b/y", "c/y/"]) == ["x", "b/y", "c/y"]
  seeds = ["a/pd/seed=0", "a/pd/seed=1", "a/pf/seed=0"]
  assert run_files.methods(seeds) == ["pd", "pd", "pf"]
  assert run_files.methods([*seeds, "b/pd/seed=0"]) == [
      "a/pd", "a/pd", "pf", "b/pd"
  ]
  assert run_files.methods(["/deep/down/a/y", "/deep/down/b/y"]) == [
      "a/y", "b/y"
  ]


def test_the_latency_of_one_text_with_one_thread_is_a_fact(tmp_path):
  rows = [
      {"threads": threads, "length": length, "batch_size": size,
       "p50_ms": 1.0 * number, "p95_ms": 2.0 * number, "p99_ms": 3.0 * number}
      for number, (threads, length, size) in enumerate((
          (1, "own", 8), (1, 16, 1), (1, "own", 1), (2, "own", 1), (1, 128, 1),
      ), start=1)
  ]  # fmt: skip
  latency = {"rows": rows, "memory": [
      {"threads": 2, "peak_mb": 9.0}, {"threads": 1, "peak_mb": 8.0}
  ]}
  path = tmp_path / "result.json"
  path.write_text(json.dumps({"metrics": {"accuracy": 1}, "latency": latency}))
  outcome, = run_files.read(str(tmp_path), "x")
  assert outcome.facts == {
      "latency_ms": 3.0, "latency_p95_ms": 6.0, "latency_p99_ms": 9.0,
      "latency_of": "own tokens", "memory_mb": 8.0,
  }
  latency["rows"] = [row for row in rows if row["length"] != "own"]
  path.write_text(json.dumps({"metrics": {"accuracy": 1}, "latency": latency}))
  outcome, = run_files.read(str(tmp_path), "x")
  assert outcome.facts["latency_of"] == "128 tokens"


def test_the_latency_of_earlier_evaluations_is_a_fact(tmp_path):
  (tmp_path / "result.json").write_text(json.dumps({
      "metrics": {"accuracy": 0.5}, "latency": {"batch_1": {"p50_ms": 2}},
  }))
  outcome, = run_files.read(str(tmp_path), "x")
  assert outcome.facts == {"latency_ms": 2.0}


@pytest.mark.parametrize("text", [
    '{"metrics": "x"}', '{"metrics": {"accuracy": {"v": 1}}}', '{"best": [1]}',
    '{"metrics": {"accuracy": {"value": "x"}}}', "3",
])
def test_results_of_another_shape_are_refused(tmp_path, text):
  (tmp_path / "result.json").write_text(text)
  with pytest.raises(errors.InputError, match="found neither.$"):
    run_files.read(str(tmp_path), "x")


@pytest.mark.parametrize("text", [
    '{"runs": []}', '{"runs": [3]}',
    '{"runs": [{"name": "a", "path": "", "facts": {}, '
    '"metrics": {"f1": {"value": "x"}}}]}',
])
def test_reports_of_another_shape_are_refused(tmp_path, text):
  path = tmp_path / "results.json"
  path.write_text(text)
  with pytest.raises(errors.InputError, match="^runs: .*results.json: expec"):
    run_files.read(str(path), "x")
