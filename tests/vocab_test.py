"""The verb vocab: text files in, vocab.txt out."""

import gzip
import json

import pytest

from pd_tf import vocab
from pd_tf.config import errors
from pd_tf.config import vocab as vocab_config
from pd_tf.text import vocabulary as vocabulary_lib

TEXT = "The walker walked, the talker talked.\n\nWalking is fun!\n" * 20


@pytest.fixture(name="text")
def _text(tmp_path):
  path = tmp_path / "text.txt"
  path.write_text(TEXT)
  return path


def _settings(text, **changes):
  return vocab_config.VocabConfig(
      **{"inputs": (str(text),), "vocab_size": 80} | changes
  )


def test_writes_a_vocabulary_and_what_it_is_like(text, tmp_path):
  run_dir = tmp_path / "run"
  result = vocab.run(_settings(text, unused_entries=1), run_dir)
  vocabulary = vocabulary_lib.read(run_dir / "vocab.txt")
  assert {"the", "walk", "##ing"} & set(vocabulary.entries)
  assert "The" not in vocabulary.entries
  assert "[unused0]" in vocabulary.entries
  # Six words and two marks, three words and one, 20 times.
  assert result["num_words"] == 20 * 12
  assert result["num_distinct_words"] == 11
  assert result["vocab_size"] == len(vocabulary) == 80
  unused = [entry for entry in vocabulary.entries if "[unused" in entry]
  assert len(unused) == len(set(unused)) == 1 + 80 - result["learned_entries"]
  assert result["vocab_sha256"] == vocabulary.sha256
  assert result["unknown_share"] == 0 and result["pieces_per_word"] >= 1
  assert json.loads((run_dir / "result.json").read_text()) == result


def test_compressed_input_and_case(tmp_path):
  path = tmp_path / "text.txt.gz"
  path.write_bytes(gzip.compress(TEXT.encode()))
  vocab.run(_settings(path, lower_case=False), tmp_path / "run")
  entries = vocabulary_lib.read(tmp_path / "run" / "vocab.txt").entries
  assert {"The", "the"} <= set(entries)


def test_a_finished_run_is_not_done_again(text, tmp_path):
  run_dir = tmp_path / "run"
  result = vocab.run(_settings(text), run_dir)
  written = (run_dir / "vocab.txt").stat().st_mtime_ns
  assert vocab.run(_settings(text), run_dir) == result
  assert (run_dir / "vocab.txt").stat().st_mtime_ns == written
  with pytest.raises(errors.InputError, match="^run_dir: .* other settings"):
    vocab.run(_settings(text, vocab_size=70), run_dir)


def test_bad_inputs_leave_nothing(tmp_path):
  with pytest.raises(errors.InputError, match="^inputs: .* does not exist"):
    vocab.run(_settings(tmp_path / "none.txt"), tmp_path / "run")
  assert not (tmp_path / "run").exists()
  with pytest.raises(errors.InputError, match="^run_dir: expected a directory"):
    vocab.run(_settings(tmp_path / "none.txt"), None)


def test_settings_out_of_range():
  with pytest.raises(errors.InputError, match=r"^vocab_size \(8\) must be at"):
    vocab_config.VocabConfig(vocab_size=8, unused_entries=2)
  with pytest.raises(errors.InputError, match=r"^unused_entries \(-1\) must"):
    vocab_config.VocabConfig(unused_entries=-1)
