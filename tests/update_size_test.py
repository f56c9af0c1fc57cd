"""The size of an update is told before the data is read."""

import json
import os
import random
import zipfile

import numpy as np
import pytest

from pd_tf import update_size
from pd_tf.config import encoder
from pd_tf.config import pretrained
from pd_tf.config import settings as settings_lib
from pd_tf.config import train
from pd_tf.data import examples as examples_lib
from pd_tf.data import transfer
from pd_tf.formats import canonical
from pd_tf.formats import release
from pd_tf.text import vocabulary
from pd_tf.text import wordpiece

# As long as English ones are; the last three are of two pieces.
WORDS = (
    "a", "of", "the", "and", "to", ",", ".", "it", "is", "film", "movie",
    "comedy", "story", "almost", "never", "visually", "characters", "performed",
)
PIECES = ("visual", "##ly", "character", "##s", "perform", "##ed")
ENTRIES = (*vocabulary.SPECIAL_TOKENS, *WORDS[:-3], *PIECES)
WIDTH = 8
SHAPE = {"hidden_size": WIDTH, "head_size": 4, "vocab_size": len(ENTRIES),
         "num_layers": 1, "max_positions": 16}


def numbers(*assignments, shape=SHAPE):
  given = [f"encoder={json.dumps(shape)}"] if shape else []
  size = update_size.of_run(
      settings_lib.load(train.TrainConfig, [], [*given, *assignments])
  )
  return size and size.tokens * size.width


def tokens(*assignments):
  """Tokens of an example by the size of an update of many."""
  return numbers("batch_size=1000", *assignments) / WIDTH / 1000


@pytest.fixture
def table(tmp_path):
  """Writes examples of so many texts; returns the assignments and the texts."""

  def write(num_texts, name="train.tsv", count=300):
    draw = random.Random(0)
    rows = [
        [" ".join(draw.choices(WORDS, k=draw.randint(1, 24))) for _ in
         range(num_texts)]
        for _ in range(count)
    ]  # fmt: skip
    columns = ["a", "b"][:num_texts]
    lines = ["\t".join([*columns, "label"])]
    lines += ["\t".join([*texts, "1"]) for texts in rows]
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n")
    return [
        "objective=finetune", f"task.train_file={path}",
        f"task.text_columns=[{', '.join(columns)}]",
    ], list(zip(*rows, strict=True))

  return write


def true_tokens(columns, seq_length):
  word_piece = wordpiece.WordPiece(vocabulary.Vocabulary(ENTRIES), True)
  return examples_lib.encode(word_piece, columns, seq_length).lengths.mean()


@pytest.mark.parametrize("num_texts", [1, 2])
@pytest.mark.parametrize("seq_length", [128, 16])
def test_an_estimate_is_near_the_truth(table, num_texts, seq_length):
  assignments, columns = table(num_texts)
  estimate = tokens(*assignments, f"seq_length={seq_length}")
  truth = true_tokens(columns, seq_length)
  assert estimate == pytest.approx(truth, rel=0.2)
  assert estimate <= seq_length


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["sst2", "mrpc", "cola"])
def test_an_estimate_is_near_the_truth_on_glue(real_data, name):
  task = [
      "objective=finetune", f"task.name=glue/{name}",
      f"task.glue_dir={real_data}/glue",
  ]
  truth = {"sst2": 13.3, "mrpc": 53.2, "cola": 11.3}[name]
  assert tokens(*task) == pytest.approx(truth, rel=0.1)


def test_it_grows_with_batch_and_width_and_shrinks_in_parts(table):
  assignments, _ = table(1)
  one = numbers("batch_size=100", *assignments)
  assert numbers("batch_size=3200", *assignments) == pytest.approx(32 * one)
  wide = {**SHAPE, "hidden_size": 2 * WIDTH}
  assert numbers("batch_size=100", *assignments, shape=wide) == 2 * one
  assert numbers(
      "batch_size=3200", "accumulation_steps=4", *assignments
  ) == pytest.approx(8 * one)


def test_rows_are_as_long_as_the_longest_example(table):
  assignments, _ = table(1)
  one, two = (numbers(f"batch_size={n}", *assignments) for n in (1, 2))
  assert one / WIDTH > 1.2 * tokens(*assignments)
  assert two < 1.7 * one


def test_no_more_of_a_file_is_read_than_is_needed(table, monkeypatch):
  monkeypatch.setattr(update_size, "_EXAMPLES", 10)
  assignments, columns = table(1, count=11)
  path = assignments[1].partition("=")[2]
  before = tokens(*assignments)
  with open(path, "ab") as file:
    # No UTF-8: it would be refused.
    file.write(b"\xff" * 10_000 + b"\t1\n")
  assert tokens(*assignments) == before


def test_a_transfer_set_says_it_exactly(tmp_path, monkeypatch):
  lengths = [[2, 5, 3], [11, 4], [9]]
  for name in ("one", "two"):
    folder = tmp_path / name
    folder.mkdir()
    for index, some in enumerate(lengths):
      transfer.write_part(
          folder, index,
          examples_lib.Examples(
              np.zeros(sum(some), np.int32), np.cumsum([0, *some]),
              np.array(some, np.int32), np.full(len(some), -1, np.int32),
          ),
          np.zeros([len(some), 2], np.float32),
      )
    transfer.finish(folder, {
        "num_parts": 3, "kind": "classification", "label_names": ["0", "1"],
        "num_texts": 1, "vocab_sha256": "v",
    })
  sets = f"[{tmp_path}/one, {tmp_path}/two]"
  distill = ["objective=distill", f"distillation.transfer_sets={sets}"]
  assert tokens(*distill) == pytest.approx(34 / 6)
  monkeypatch.setattr(update_size, "_PARTS", 2)
  assert tokens(*distill) == pytest.approx(25 / 5)
  transfer.part_path(tmp_path / "two", 1).write_bytes(b"PK damaged")
  assert numbers(*distill) is None


def test_nothing_is_said_of_what_cannot_be_read(table, tmp_path):
  assignments, _ = table(1)
  assert numbers(*assignments) is not None
  (tmp_path / "empty.tsv").touch()
  os.mkfifo(tmp_path / "pipe.tsv")
  for wrong in (
      f"task.train_file={tmp_path}/none.tsv",
      f"task.train_file={tmp_path}/empty.tsv",
      # Nobody writes to it: reading would wait for ever.
      f"task.train_file={tmp_path}/pipe.tsv",
      f"task.train_file={tmp_path}",
      f"task.train_file={'x' * 300}.tsv",
      "task.train_file=tfds:glue/sst2#train",
      "task.train_file=gs://bucket/train.tsv",
      "task.train_file=null",
      "task.text_columns=[c]",
      "objective=distill",
      "objective=pretrain",
  ):
    assert numbers(*assignments, wrong) is None, wrong
  missing = f"distillation.transfer_sets=[{tmp_path}/none]"
  assert numbers("objective=distill", missing) is None


def test_the_width_may_be_that_of_the_model_started_from(table, tmp_path):
  assignments, _ = table(1)
  config = encoder.EncoderConfig(**SHAPE)
  release.write(tmp_path / "model", pretrained.Pretrained(
      encoder=config,
      weights={
          name: np.zeros(shape, np.float32)
          for shapes in canonical.groups(config, 0).values()
          for name, shape in shapes.items()
      },
      vocabulary=ENTRIES,
  ))
  expected = numbers(*assignments)
  start = f"init_from={tmp_path}/model"
  assert numbers(*assignments, start, shape=None) == expected
  tiny = numbers(*assignments, shape=None)
  assert tiny == pytest.approx(expected / WIDTH * 128)
  none = f"init_from={tmp_path}/none"
  assert numbers(*assignments, none, shape=None) is None
  with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
    archive.writestr("bert_config.json", "{}")
  assert numbers(*assignments, start + ".zip", shape=None) is None
