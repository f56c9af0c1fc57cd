"""The verb prepare: text files in, shards of rows out."""

import hashlib
import itertools
import json
import lzma
import os
import pathlib
import random
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from pd_tf import prepare
from pd_tf.config import errors
from pd_tf.config import prepare as prepare_config
from pd_tf.config import processes as processes_config
from pd_tf.data import preparing
from pd_tf.data import pretraining
from pd_tf.data import shards
from pd_tf.data import spill
from pd_tf.data import stages
from pd_tf.text import vocabulary as vocabulary_lib

WORDS = [f"w{i}" for i in range(60)]


def _write_text(path, num_documents, seed):
  """Writes documents of unique sentences: a document's words are its own."""
  generator = random.Random(seed)
  documents = []
  for number in range(num_documents):
    words = WORDS[number % 12 * 5:][:5]
    documents.append("\n".join(
        " ".join(generator.choices(words, k=generator.randint(2, 9)))
        for _ in range(generator.randint(1, 12))
    ))
  path.write_text("\n\n".join(documents) + "\n")


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp("prepare")
  vocabulary_lib.write(
      folder / "vocab.txt", (*vocabulary_lib.SPECIAL_TOKENS, *WORDS)
  )
  _write_text(folder / "1.txt", 12, 0)
  _write_text(folder / "2.txt", 11, 1)
  return folder


def _settings(folder, **changes):
  return prepare_config.PrepareConfig(**{
      "inputs": (str(folder / "?.txt"),),
      "vocab_file": str(folder / "vocab.txt"),
      "seq_length": 32,
      "num_shards": 2,
  } | changes)


def _bytes(run_dir):
  return {
      path.name: path.read_bytes()
      for path in run_dir.iterdir() if path.name != "config.yaml"
  }


def _sentences(folder, *names):
  lines = [
      line
      for name in names for line in (folder / name).read_text().split("\n")
  ]
  return [line for line in lines if line]


def test_local_text_is_prepared_without_importing_tensorflow(folder, tmp_path):
  code = (
      "import sys\nfrom pd_tf import cli\nassert not cli.main(sys.argv[1:])\n"
      "assert not {'tensorflow', 'apache_beam'} & {*sys.modules}"
  )
  done = subprocess.run(
      [sys.executable, "-c", code, "prepare", f"--inputs={folder}/?.txt",
       f"--vocab_file={folder}/vocab.txt", f"--run_dir={tmp_path}/run"],
      check=False, capture_output=True, text=True,
  )  # fmt: skip
  assert done.returncode == 0, done.stderr
  assert shards.read_manifest(tmp_path / "run")["num_documents"] == 23


def test_directory_and_counts(folder, tmp_path):
  run_dir = tmp_path / "run"
  result = prepare.run(_settings(folder), run_dir)
  assert sorted(path.name for path in run_dir.iterdir()) == [
      "config.yaml", "manifest.json", "result.json",
      "segments-00000-of-00002.tfrecord", "segments-00001-of-00002.tfrecord",
      "vocab.txt",
  ]
  sentences = _sentences(folder, "1.txt", "2.txt")
  assert result["num_documents"] == 23
  assert result["num_sentences"] == len(sentences)
  assert result["num_tokens"] == sum(len(line.split()) for line in sentences)
  assert result["unknown_share"] == 0
  assert sum(result["length_histogram"].values()) == result["num_segments"]
  assert result["fill_share"] == result["num_segment_tokens"] / (
      32 * result["num_rows"]
  )
  found = pretraining.manifest(run_dir)
  assert json.loads((run_dir / "result.json").read_text()) == result
  assert result.items() <= found.items()
  rows = [shard["rows"] for shard in found["shards"]]
  assert sum(rows) == found["num_rows"] and max(rows) - min(rows) <= 1
  text = (folder / "1.txt").read_bytes()
  assert found["inputs"][0] == {
      "path": str(folder / "1.txt"),
      "bytes": len(text),
      "sha256": hashlib.sha256(text).hexdigest(),
  }
  assert found["settings"]["seq_length"] == found["seq_length"] == 32
  assert (run_dir / "vocab.txt").read_bytes() == (
      folder / "vocab.txt"
  ).read_bytes()


def _texts(run_dir, vocabulary):
  """Yields the texts and label of each segment of an epoch, unmasked."""
  num_rows = pretraining.manifest(run_dir)["num_rows"]
  batches = pretraining.dataset(run_dir, 1, 0.15, None, 0)
  for batch in itertools.islice(batches.as_numpy_iterator(), num_rows):
    ids = batch["input_ids"][0].copy()
    count = int(batch["masked_weights"].sum())
    ids[batch["masked_positions"][0, :count]] = batch["masked_ids"][0, :count]
    for example in range(1, batch["example_ids"].max() + 1):
      inside = batch["example_ids"][0] == example
      text = " ".join(vocabulary.entries[i] for i in ids[inside])
      assert text.startswith("[CLS] ") and text.endswith(" [SEP]")
      parts = text.removeprefix("[CLS] ").removesuffix(" [SEP]")
      label = batch["next_sentence_labels"][0, example - 1]
      yield parts.split(" [SEP] "), int(label)


def test_rows_decode_to_text_of_one_document_or_two(folder, tmp_path):
  prepare.run(_settings(folder), tmp_path / "run")
  vocabulary = vocabulary_lib.read(folder / "vocab.txt")
  found = list(_texts(tmp_path / "run", vocabulary))
  everything = " ".join(_sentences(folder, "1.txt", "2.txt"))
  for parts, label in found:
    assert len(parts) == 2
    topics = [{int(word[1:]) // 5 for word in part.split()} for part in parts]
    assert [len(topic) for topic in topics] == [1, 1]
    if not label:
      assert topics[0] == topics[1]
    for part in parts:
      assert f" {part} " in f" {everything} "
  # Topics come once in each file, so most random parts are of another one.
  assert 0.3 < np.mean([label for _, label in found]) < 0.8


def test_single_segments_use_every_token_once(folder, tmp_path):
  settings = _settings(folder, next_sentence=False)
  result = prepare.run(settings, tmp_path / "run")
  vocabulary = vocabulary_lib.read(folder / "vocab.txt")
  found = list(_texts(tmp_path / "run", vocabulary))
  assert {(len(parts), label) for parts, label in found} == {(1, 0)}
  words = sorted(word for (part,), _ in found for word in part.split())
  lines = _sentences(folder, "1.txt", "2.txt")
  assert words == sorted(word for line in lines for word in line.split())
  assert result["num_segment_tokens"] == (
      result["num_tokens"] + 2 * result["num_segments"]
  )


def test_pairs_of_single_sentences_are_warned_of(folder, tmp_path, caplog):
  told = "no pair is of neighbours"
  prepare.run(_settings(folder), tmp_path / "documents")
  assert told not in caplog.text
  text = tmp_path / "text.txt"
  text.write_text("\n\n".join(" ".join(WORDS[i:i + 4]) for i in range(9)))
  settings = _settings(folder, inputs=(str(text),))
  result = prepare.run(settings, tmp_path / "sentences")
  assert result["random_next_share"] == 1.0
  assert told in caplog.text


def test_deterministic_in_seed(folder, tmp_path):
  for name, seed in (("a", 0), ("b", 0), ("c", 1)):
    prepare.run(_settings(folder, seed=seed), tmp_path / name)
  assert _bytes(tmp_path / "a") == _bytes(tmp_path / "b")
  assert _bytes(tmp_path / "a") != _bytes(tmp_path / "c")


@pytest.mark.parametrize("module, where", [
    (shards, "write_rows"), (shards, "write_manifest"), (spill, "write"),
    (preparing, "write_shard"),
])
def test_a_killed_run_is_unfinished_and_done_again(
    folder, tmp_path, monkeypatch, module, where
):
  prepare.run(_settings(folder), tmp_path / "whole")
  wanted = getattr(module, where)

  def killed(*arguments):
    wanted(*arguments)
    # As a kill would, this leaves the shards; but not the manifest, if any.
    (tmp_path / "run" / "manifest.json").unlink(missing_ok=True)
    raise KeyboardInterrupt

  with monkeypatch.context() as patch:
    patch.setattr(module, where, killed)
    with pytest.raises(KeyboardInterrupt):
      prepare.run(_settings(folder), tmp_path / "run")
  assert not (tmp_path / "run" / "result.json").exists()
  with pytest.raises(errors.InputError, match="has no manifest.json"):
    pretraining.dataset(tmp_path / "run", 1, 0.15, None, 0)
  prepare.run(_settings(folder), tmp_path / "run")
  assert _bytes(tmp_path / "run") == _bytes(tmp_path / "whole")


def test_a_finished_run_is_not_done_again(folder, tmp_path, monkeypatch):
  result = prepare.run(_settings(folder), tmp_path / "run")
  monkeypatch.setattr(stages, "run", None)
  assert prepare.run(_settings(folder), tmp_path / "run") == result
  with pytest.raises(errors.InputError, match="seq_length was 32, is now 16"):
    prepare.run(_settings(folder, seq_length=16), tmp_path / "run")


def test_files_that_have_urls(folder, tmp_path):
  # TensorFlow's files in memory stand for those of a cloud.
  prepare.run(_settings(folder), tmp_path / "local")
  for name in ("1.txt", "2.txt"):
    tf.io.gfile.copy(str(folder / name), f"ram://corpus/{name}", True)
  settings = _settings(folder, inputs=("ram://corpus/?.txt",))
  prepare.run(
      settings, tmp_path / "run",
      processes_config.Processes(num_workers=1, work_dir="ram://work"),
  )
  different = {"manifest.json", "config.yaml"}
  assert {
      name: data for name, data in _bytes(tmp_path / "run").items()
      if name not in different
  } == {
      name: data for name, data in _bytes(tmp_path / "local").items()
      if name not in different
  }
  assert not tf.io.gfile.exists("ram://work")


def test_more_shards_than_rows_are_as_many_as_rows(folder, tmp_path):
  result = prepare.run(_settings(folder, num_shards=9999), tmp_path / "run")
  found = pretraining.manifest(tmp_path / "run")["shards"]
  assert len(found) == result["num_rows"]
  assert {shard["rows"] for shard in found} == {1}


def test_sentences_go_on_into_the_next_document(folder, tmp_path):
  settings = _settings(folder, next_sentence=False, across_documents=True)
  result = prepare.run(settings, tmp_path / "run")
  vocabulary = vocabulary_lib.read(folder / "vocab.txt")
  found = [part for part, _ in _texts(tmp_path / "run", vocabulary)]
  words = sorted(
      word for part in found for text in part for word in text.split()
  )
  lines = _sentences(folder, "1.txt", "2.txt")
  assert words == sorted(word for line in lines for word in line.split())
  # A [SEP] inside is a document's end, and no segment has two in a row.
  inside = [part for part in found if len(part) > 1]
  assert inside and all(all(part) for part in found)
  assert result["num_segments"] < result["num_sentences"] / 2


def test_validation_is_held_out(folder, tmp_path):
  whole = prepare.run(_settings(folder, num_shards=1), tmp_path / "whole")
  run_dir = tmp_path / "run"
  result = prepare.run(_settings(folder, validation_share=0.3), run_dir)
  held_out = pretraining.manifest(run_dir / "validation")
  assert held_out["num_documents"] == result["num_validation_documents"]
  assert 2 <= held_out["num_documents"] <= 15
  for name in ("num_documents", "num_sentences", "num_tokens"):
    assert result[name] + held_out[name] == whole[name]
  vocabulary = vocabulary_lib.read(folder / "vocab.txt")
  assert len(list(_texts(run_dir / "validation", vocabulary))) == (
      held_out["num_segments"]
  )


@pytest.mark.parametrize("kind, unit, kept", [
    ("keep", "document", 5), ("exact", "document", 4), ("near", "document", 3),
    ("exact", "line", 4), ("near", "line", 3),
])
def test_the_first_of_duplicates_stays(folder, tmp_path, kind, unit, kept):
  draw = random.Random(0)
  texts = [" ".join(draw.choices(WORDS, k=60)) for _ in range(3)]
  # Two words of 60 are other ones: 50 of 62 runs of five are shared.
  near = " ".join([*texts[0].split()[:-1], "w0"])
  assert near != texts[0]
  (tmp_path / "corpus.txt").write_text(
      "\n\n".join([texts[0], texts[1], texts[0], near, texts[2]])
  )
  settings = _settings(
      folder, inputs=(str(tmp_path / "corpus.txt"),), seq_length=64,
      next_sentence=False, duplicates=kind, duplicate_unit=unit,
  )
  result = prepare.run(settings, tmp_path / "run")
  assert result["num_documents"] == kept
  assert result[f"duplicate_{unit}s_dropped"] == 5 - kept
  assert result["num_input_documents"] == 5
  vocabulary = vocabulary_lib.read(folder / "vocab.txt")
  found = {part for (part,), _ in _texts(tmp_path / "run", vocabulary)}
  assert found == {*texts, near} - ({near} if kind == "near" else set())


def test_max_sentences(folder, tmp_path):
  result = prepare.run(_settings(folder, max_sentences=20), tmp_path / "run")
  assert result["num_sentences"] == 40


def test_what_changed_since_a_run_finished_is_refused(folder, tmp_path):
  text, vocab = tmp_path / "a.txt", tmp_path / "vocab.txt"
  text.write_bytes((folder / "1.txt").read_bytes())
  vocab.write_bytes((folder / "vocab.txt").read_bytes())
  settings = _settings(folder, inputs=(str(text),), vocab_file=str(vocab))
  result = prepare.run(settings, tmp_path / "run")
  assert prepare.run(settings, tmp_path / "run") == result
  for path in (text, vocab):
    old = path.read_bytes()
    path.write_bytes(old + b"more\n")
    with pytest.raises(errors.InputError, match="^run_dir: .* changed since"):
      prepare.run(settings, tmp_path / "run")
    path.write_bytes(old)


def test_another_vocabulary_in_the_same_directory(folder, tmp_path):
  for name, kept in (("all", WORDS), ("half", WORDS[30:])):
    entries = (*vocabulary_lib.SPECIAL_TOKENS, *kept)
    vocabulary_lib.write(tmp_path / "vocab.txt", entries)
    run_dir = tmp_path / "run"
    result = prepare.run(
        _settings(folder, vocab_file=str(tmp_path / "vocab.txt")), run_dir
    )
    assert (result["unknown_share"] > 0) == (name == "half")
    shutil.rmtree(run_dir)


def test_bad_input(folder, tmp_path):
  (tmp_path / "latin.txt").write_bytes(b"w1 w2\n\xe9\n")
  (tmp_path / "one.txt").write_text("w1 w2\nw3\n")
  cases = (
      ({"inputs": ()}, "inputs: expected at least one file"),
      ({"vocab_file": None}, "vocab_file: expected a vocab.txt, got none"),
      ({"vocab_file": str(tmp_path / "no")}, "vocab_file: .* does not exist"),
      ({"inputs": (str(tmp_path / "latin.txt"),)},
       f"{tmp_path}/latin.txt: expected UTF-8, .* line 2"),
      ({"inputs": (str(tmp_path / "one.txt"),)},
       "inputs: expected at least 2 documents"),
      ({"validation_share": 1e-9}, "validation_share .* none was held out"),
      ({"validation_share": 0.04, "seed": 2},
       "validation_share .* one was held out"),
  )
  for number, (changes, message) in enumerate(cases):
    run_dir = tmp_path / f"run{number}"
    with pytest.raises(errors.InputError, match=f"^{message}"):
      prepare.run(_settings(folder, **changes), run_dir)
    assert not (run_dir / "manifest.json").exists()
    assert not (run_dir / "result.json").exists()
  with pytest.raises(errors.InputError, match="^run_dir: expected"):
    prepare.run(_settings(folder), None)


@pytest.mark.parametrize("name, value", [
    ("seq_length", 7), ("num_shards", 0), ("max_segments", 0),
    ("max_sentences", 0), ("short_share", 1.5), ("seed", -1),
])
def test_settings_out_of_range(name, value):
  with pytest.raises(errors.InputError, match=rf"^{name} \({value}\) must be"):
    prepare_config.PrepareConfig(**{name: value})


@pytest.mark.real_data
def test_real_text(tmp_path):
  if "PD_TF_DATA" not in os.environ:
    pytest.skip("PD_TF_DATA is not set")
  data = pathlib.Path(os.environ["PD_TF_DATA"])
  corpus = data / "corpus" / "imdb_unsup.txt.xz"
  result = prepare.run(
      prepare_config.PrepareConfig(
          inputs=(str(corpus),),
          vocab_file=str(data / "vocab.txt"),
          max_sentences=5000,
      ),
      tmp_path / "run",
  )
  assert result["num_sentences"] == 5000
  assert result["fill_share"] > 0.95
  assert result["unknown_share"] < 0.001
  assert 0.45 < result["random_next_share"] < 0.6
  with lzma.open(corpus, "rt", encoding="utf-8") as file:
    words = set(file.read(1_000_000).lower().split())
  vocabulary = vocabulary_lib.read(data / "vocab.txt")
  parts = [
      part for parts, _ in itertools.islice(
          _texts(tmp_path / "run", vocabulary), 100
      ) for part in parts
  ]
  known = [word in words for part in parts for word in part.split()]
  assert np.mean(known) > 0.7
