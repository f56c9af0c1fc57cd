"""What a card says of a model's training."""

import json

from pd_tf.config import provenance


def run(path, finished=True):
  path.mkdir()
  (path / "config.yaml").write_text("objective: distill\nseed: 3\n")
  if finished:
    (path / "result.json").write_text(json.dumps({
        "train_steps": 200, "best": {"step": 100, "accuracy": 0.85437},
        "objective": "distill", "stages": ["a"],
    }))  # fmt: skip
  return path


def test_of_a_run_its_figures_and_settings(tmp_path):
  text = provenance.of(run(tmp_path / "run"))
  assert "| train_steps | 200 |" in text
  assert "| best.accuracy | 0.8544 |" in text
  assert "| objective | distill |" in text
  assert "```yaml\nobjective: distill\nseed: 3\n```" in text
  assert "stages" not in text


def test_of_a_run_without_a_result_its_settings(tmp_path):
  text = provenance.of(run(tmp_path / "run", finished=False))
  assert "| train_steps" not in text
  assert "seed: 3" in text


def test_goes_on_from_card_to_card(tmp_path):
  text = provenance.of(run(tmp_path / "run"))
  for name in ("one", "two"):
    (tmp_path / name).mkdir()
    card = f"# A model\n\n## Training\n\n{text}\n\n## Licence\n\nApache-2.0.\n"
    (tmp_path / name / "README.md").write_text(card)
    assert provenance.of(tmp_path / name) == text


def test_nothing_where_nothing_is_known(tmp_path):
  assert provenance.of(tmp_path) == ""
  assert provenance.of(tmp_path / "none") == ""
  (tmp_path / "README.md").write_text("# Someone's model\n")
  assert provenance.of(tmp_path) == ""
