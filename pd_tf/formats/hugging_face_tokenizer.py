"""The vocabulary and tokenizer files of a Hugging Face directory."""

from collections.abc import Mapping
import json
import pathlib
from typing import Any

from absl import logging

from pd_tf.config import errors
from pd_tf.config import pretrained
from pd_tf.formats import json_file
from pd_tf.formats import vocabulary_file
from pd_tf.text import vocabulary as vocabulary_lib

CONFIG_NAME = "tokenizer_config.json"
TOKENIZER_NAME = "tokenizer.json"

OWN_FILES = (vocabulary_file.NAME, TOKENIZER_NAME, CONFIG_NAME)

# Settings that pd_tf's tokenizer has not, and their value in BERT's.
_FIXED = {
    "do_basic_tokenize": True,
    "tokenize_chinese_chars": True,
    "unk_token": vocabulary_lib.UNK,
}

# What of tokenizer.json's model a vocab.txt takes for granted.
_WORDPIECE = {
    "type": "WordPiece",
    "continuing_subword_prefix": "##",
    "unk_token": vocabulary_lib.UNK,
}


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
  try:
    return vocabulary_lib.Vocabulary(entries).entries
  except errors.InputError as error:
    raise errors.InputError(f"{path}: {error}") from None


def read_lower_case(
    directory: pathlib.Path, vocabulary: tuple[str, ...]
) -> bool:
  """Returns whether texts are lower-cased.

  Args:
    directory: May have tokenizer_config.json and tokenizer.json; the first of
      them that says it decides.
    vocabulary: Its look decides where neither does.

  Raises:
    InputError: What they say is neither true nor false.
  """
  config, normalizer = _said(directory)
  for values, key, path in (
      (config, "do_lower_case", directory / CONFIG_NAME),
      (normalizer, "lowercase", directory / TOKENIZER_NAME),
  ):
    lower_case = values.get(key)
    if lower_case is None:
      continue
    if not isinstance(lower_case, bool):
      raise errors.InputError(
          f"{path}: {key} must be true or false, was {lower_case!r}."
      )
    _log_ignored({**normalizer, **config}, lower_case, directory)
    return lower_case
  lower_case = vocabulary_file.looks_lower_case(vocabulary)
  _log_ignored(config, lower_case, directory)
  return lower_case


def write(directory: pathlib.Path, model: pretrained.Pretrained) -> None:
  """Writes vocab.txt, tokenizer.json and tokenizer_config.json."""
  vocabulary_file.write(directory / vocabulary_file.NAME, model.vocabulary)
  tokenizer = _tokenizer_to_json(model.vocabulary, model.lower_case)
  _write_json(directory / TOKENIZER_NAME, tokenizer)
  _write_json(
      directory / CONFIG_NAME,
      {
          "cls_token": vocabulary_lib.CLS,
          "do_lower_case": model.lower_case,
          "mask_token": vocabulary_lib.MASK,
          "model_max_length": model.encoder.max_positions,
          "pad_token": vocabulary_lib.PAD,
          "sep_token": vocabulary_lib.SEP,
          "strip_accents": None,
          "tokenize_chinese_chars": True,
          "tokenizer_class": "BertTokenizer",
          "unk_token": vocabulary_lib.UNK,
      },
  )


def _said(
    directory: pathlib.Path,
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
  """Returns tokenizer_config.json and tokenizer.json's normalizer."""
  path = directory / CONFIG_NAME
  config = json_file.read(path) if path.exists() else {}
  path = directory / TOKENIZER_NAME
  # Half a megabyte, not read for nothing.
  if "do_lower_case" in config or not path.exists():
    return config, {}
  normalizer = json_file.read(path).get("normalizer")
  return config, normalizer if isinstance(normalizer, dict) else {}


def _log_ignored(
    values: Mapping[str, Any], lower_case: bool, directory: pathlib.Path
) -> None:
  if values.get("strip_accents") not in (None, lower_case):
    logging.warning(
        "%s: strip_accents is ignored; accents are stripped where texts are "
        "lower-cased.",
        directory / CONFIG_NAME,
    )
  for key, value in _FIXED.items():
    if values.get(key, value) != value:
      logging.warning(
          "%s: %s is ignored; it is %s here.",
          directory / CONFIG_NAME, key, value,
      )  # fmt: skip


def _wordpiece_entries(
    values: Mapping[str, Any], path: pathlib.Path
) -> tuple[str, ...]:
  model = values.get("model")
  if not isinstance(model, dict) or not isinstance(model.get("vocab"), dict):
    raise errors.InputError(
        f"{path}: expected model.vocab, an object of entry to id."
    )
  for key, value in _WORDPIECE.items():
    if model.get(key, value) != value:
      raise errors.InputError(
          f"{path}: model.{key} must be {value!r}, was {model[key]!r}."
      )
  ids = model["vocab"]
  if sorted(map(str, ids.values())) != sorted(map(str, range(len(ids)))):
    raise errors.InputError(
        f"{path}: ids of model.vocab must be 0 to {len(ids) - 1}, each once."
    )
  for entry in ids:
    if not _is_line(entry):
      raise errors.InputError(
          f"{path}: expected entries that are a line of UTF-8 each, got "
          f"{entry!r}."
      )
  return tuple(sorted(ids, key=lambda entry: int(ids[entry])))


def _is_line(entry: str) -> bool:
  """Returns whether vocab.txt can hold an entry; JSON's strings can be more."""
  if "\n" in entry or entry.endswith("\r"):
    return False
  return not any("\ud800" <= character <= "\udfff" for character in entry)


def _tokenizer_to_json(
    vocabulary: tuple[str, ...], lower_case: bool
) -> dict[str, Any]:
  """Returns what the tokenizers library reads: BERT's WordPiece, all of it."""
  ids = {entry: index for index, entry in enumerate(vocabulary)}
  start, end = _piece(vocabulary_lib.CLS, 0), _piece(vocabulary_lib.SEP, 0)
  first, second = _text("A", 0), _text("B", 1)
  return {
      "version": "1.0",
      "truncation": None,
      "padding": None,
      "added_tokens": [
          _added(token, index)
          for index, token in enumerate(vocabulary)
          if token in vocabulary_lib.SPECIAL_TOKENS
      ],
      "normalizer": {
          "type": "BertNormalizer",
          "clean_text": True,
          "handle_chinese_chars": True,
          # As the case has it.
          "strip_accents": None,
          "lowercase": lower_case,
      },
      "pre_tokenizer": {"type": "BertPreTokenizer"},
      "post_processor": {
          "type": "TemplateProcessing",
          "single": [start, first, end],
          "pair": [start, first, end, second, _piece(vocabulary_lib.SEP, 1)],
          "special_tokens": {
              token: {"id": token, "ids": [ids[token]], "tokens": [token]}
              for token in (vocabulary_lib.CLS, vocabulary_lib.SEP)
          },
      },
      "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
      "model": {
          **_WORDPIECE,
          "max_input_chars_per_word": 100,
          "vocab": ids,
      },
  }


def _piece(token: str, type_id: int) -> dict[str, Any]:
  return {"SpecialToken": {"id": token, "type_id": type_id}}


def _text(name: str, type_id: int) -> dict[str, Any]:
  return {"Sequence": {"id": name, "type_id": type_id}}


def _added(token: str, token_id: int) -> dict[str, Any]:
  return {
      "id": token_id,
      "content": token,
      "single_word": False,
      "lstrip": False,
      "rstrip": False,
      "normalized": False,
      "special": True,
  }


def _write_json(path: pathlib.Path, values: Mapping[str, Any]) -> None:
  text = json.dumps(values, ensure_ascii=False, indent=2)
  path.write_text(text + "\n", encoding="utf-8")
