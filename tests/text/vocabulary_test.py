"""Vocabularies: entries, special tokens, the file."""

import hashlib
import os
import pathlib

import pytest

from pd_tf.config import errors
from pd_tf.text import vocabulary as vocabulary_lib

ENTRIES = ("[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "#")


def test_ids_and_length():
  vocabulary = vocabulary_lib.Vocabulary(ENTRIES)
  assert len(vocabulary) == 8
  assert vocabulary.id_of("a") == 6
  assert vocabulary.special_ids == (0, 2, 3, 4, 5)


def test_file_round_trip(tmp_path):
  path = tmp_path / "vocab.txt"
  vocabulary_lib.write(path, ENTRIES)
  assert path.read_bytes() == ("\n".join(ENTRIES) + "\n").encode()
  vocabulary = vocabulary_lib.read(path)
  assert vocabulary.entries == ENTRIES
  assert vocabulary.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_line_ends_of_windows_and_no_last_one(tmp_path):
  path = tmp_path / "vocab.txt"
  path.write_bytes("\r\n".join(ENTRIES).encode())
  assert vocabulary_lib.read(path).entries == ENTRIES


@pytest.mark.parametrize("missing", vocabulary_lib.SPECIAL_TOKENS)
def test_special_tokens_must_be_there(missing):
  entries = tuple(entry for entry in ENTRIES if entry != missing)
  with pytest.raises(errors.InputError) as error:
    vocabulary_lib.Vocabulary(entries)
  assert str(error.value) == (
      f"vocab_file: expected an entry {missing}, found none among 7 entries."
  )


def test_padding_must_be_first():
  with pytest.raises(errors.InputError, match="got 'a'"):
    vocabulary_lib.Vocabulary(("a", *ENTRIES))


def test_entries_must_differ():
  with pytest.raises(errors.InputError) as error:
    vocabulary_lib.Vocabulary((*ENTRIES, "a"))
  assert str(error.value) == (
      "vocab_file: expected each entry once, got 'a' 2 times."
  )


def test_unreadable_files(tmp_path):
  (tmp_path / "latin.txt").write_bytes(b"[PAD]\n\xe9\n")
  cases = {
      tmp_path / "none.txt": "does not exist",
      tmp_path: "is a directory",
      tmp_path / "latin.txt": "must be UTF-8, byte 6 is not",
  }
  for path, text in cases.items():
    with pytest.raises(errors.InputError, match=text) as error:
      vocabulary_lib.read(path)
    assert str(error.value).startswith(f"vocab_file: {path} ")


@pytest.mark.real_data
def test_the_released_vocabulary():
  if "PD_TF_DATA" not in os.environ:
    pytest.skip("PD_TF_DATA is not set")
  path = pathlib.Path(os.environ["PD_TF_DATA"]) / "vocab.txt"
  vocabulary = vocabulary_lib.read(path)
  assert len(vocabulary) == 30522
  assert vocabulary.special_ids == (0, 100, 101, 102, 103)
  assert vocabulary.sha256 == (
      "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
  )
