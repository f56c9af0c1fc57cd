"""Several labels of pairs of texts, from a file to a distilled student."""

import json

import numpy as np

from pd_tf import evaluate
from pd_tf import label
from pd_tf import predict
from pd_tf import train
from pd_tf.config import evaluate as evaluate_config
from pd_tf.config import label as label_config
from pd_tf.config import predict as predict_config
from pd_tf.config import settings as settings_lib
from pd_tf.config import train as train_config
from pd_tf.config import where as where_config

WORDS = ("warm", "funny", "dull", "film", "book")
ENTRIES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS)
LABELS = ("funny", "warm")
HERE = where_config.Where()


def _write(path, count):
  """Each label is given where either text has its word."""
  generator = np.random.default_rng(0)
  lines = []
  for number in range(count):
    texts = [" ".join(generator.choice(WORDS, 2)) for _ in range(2)]
    said = " ".join(texts).split()
    lines.append(json.dumps({
        "a": f"{texts[0]} {number}", "b": texts[1],
        "tags": [name for name in LABELS if name in said],
    }))
  path.write_text("\n".join(lines) + "\n")


def _train(folder, *assignments):
  return settings_lib.load(train_config.TrainConfig, [], [
      "encoder={num_layers: 1, hidden_size: 16, head_size: 8, vocab_size: 10, "
      "max_positions: 16}",
      f"vocab_file={folder}/vocab.txt", "seq_length=16", "batch_size=16",
      "optimizer.learning_rate=2e-2", "steps_per_loop=20",
      "evaluate_steps=40",
      f"task={{train_file: {folder}/all.jsonl, text_columns: [a, b], "
      "label_column: tags, kind: multilabel}",
      *assignments,
  ])


def test_from_a_file_without_a_split_to_a_distilled_student(tmp_path, capfd):
  _write(tmp_path / "all.jsonl", 300)
  (tmp_path / "vocab.txt").write_text("\n".join(ENTRIES) + "\n")
  teacher = tmp_path / "teacher"
  result = train.run(
      _train(tmp_path, "objective=finetune", "train_steps=160"), teacher, HERE
  )
  assert result["best"]["micro_f1"] > 0.8
  held = (teacher / "held_out.jsonl").read_text().splitlines()
  assert 25 <= len(held) <= 35

  # Nothing says on what: it is what the run held out.
  scores = evaluate.run(
      settings_lib.load(
          evaluate_config.EvaluateConfig, [],
          [f"model={teacher}", "seq_length=16"],
      ),
      tmp_path / "scores",
  )
  assert scores["examples"] == len(held)
  for name, metric in scores["metrics"].items():
    # Texts of the same words have logits equal but for rounding, which differs
    # between the model that trains and the one that answers: such pairs may
    # change places, which average precision alone notices.
    near = 5e-3 if name == "mean_average_precision" else 1e-6
    assert np.isclose(metric["value"], result["best"][name], atol=near)

  soft = tmp_path / "soft"
  label.run(
      settings_lib.load(label_config.LabelConfig, [], [
          f"teacher={teacher}", f"inputs={tmp_path}/all.jsonl",
          "text_columns=[a, b]", f"exclude={teacher}/held_out.jsonl",
          "max_length=16",
      ]),
      soft,
  )
  student = train.run(
      _train(
          tmp_path, "objective=distill", "train_steps=160",
          f"distillation.transfer_sets={soft}",
      ),
      tmp_path / "student", HERE,
  )
  assert student["best"]["micro_f1"] > 0.8
  logged = (tmp_path / "student" / "metrics.jsonl").read_text().splitlines()
  first = json.loads(logged[0])
  assert "agreement" in first and "accuracy" not in first

  pairs = tmp_path / "pairs.txt"
  pairs.write_text(
      "warm film\tfunny book\ndull film\tdull book\n"
      "warm warm\tfunny funny\ndull dull\tdull dull\n"
  )
  capfd.readouterr()
  predict.run(
      predict_config.PredictConfig(
          model=str(tmp_path / "student"), input=(str(pairs),),
          output_format="jsonl", seq_length=16,
      ),
      None,
  )
  said = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
  assert len(said) == 4
  for answer in said:
    chances = answer["probabilities"]
    assert answer["labels"] == [name for name in LABELS if chances[name] >= 0.5]
  # Each has a probability of its own: together they are not one, of no label
  # nor of two.
  assert any(abs(sum(a["probabilities"].values()) - 1) > 0.1 for a in said)
