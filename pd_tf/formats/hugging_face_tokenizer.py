"""The vocabulary of a Hugging Face directory and whether it is lower-cased."""

import pathlib
from typing import Any

from absl import logging

from pd_tf.config import errors
from pd_tf.formats import json_file
from pd_tf.formats import vocabulary_file

CONFIG_NAME = "tokenizer_config.json"
TOKENIZER_NAME = "tokenizer.json"


def read_vocabulary(
    directory: pathlib.Path, vocab_size: int
) -> tuple[str, ...]:
  """Returns the entries of vocab.txt, or of tokenizer.json without one.

  Raises:
    InputError: A file is no WordPiece vocabulary of `vocab_size` entries.
  """
  path = directory / TOKENIZER_NAME
  if (directory / vocabulary_file.NAME).exists() or not path.exists():
    return vocabulary_file.read(directory / vocabulary_file.NAME, vocab_size)
  entries = _wordpiece_entries(json_file.read(path), path)
  vocabulary_file.require_size(entries, vocab_size, path)
  return entries


def read_lower_case(
    directory: pathlib.Path, vocabulary: tuple[str, ...]
) -> bool:
  """Returns whether texts are lower-cased.

  Args:
    directory: May have tokenizer_config.json.
    vocabulary: Its look decides where that file does not say.

  Raises:
    InputError: do_lower_case is neither true nor false.
  """
  path = directory / CONFIG_NAME
  values = json_file.read(path) if path.exists() else {}
  looks = vocabulary_file.looks_lower_case(vocabulary)
  lower_case = values.get("do_lower_case", looks)
  if not isinstance(lower_case, bool):
    raise errors.InputError(
        f"{path}: do_lower_case must be true or false, was {lower_case!r}."
    )
  if values.get("strip_accents") not in (None, lower_case):
    logging.warning(
        "%s: strip_accents is ignored; accents are stripped where texts are "
        "lower-cased.",
        path,
    )
  return lower_case


def _wordpiece_entries(
    values: dict[str, Any], path: pathlib.Path
) -> tuple[str, ...]:
  model = values.get("model")
  if not isinstance(model, dict) or not isinstance(model.get("vocab"), dict):
    raise errors.InputError(
        f"{path}: expected model.vocab, an object of entry to id."
    )
  ids = model["vocab"]
  if sorted(map(str, ids.values())) != sorted(map(str, range(len(ids)))):
    raise errors.InputError(
        f"{path}: ids of model.vocab must be 0 to {len(ids) - 1}, each once."
    )
  return tuple(sorted(ids, key=lambda entry: int(ids[entry])))
