"""The vocab.txt beside weights: it must fit them, and tells their case."""

from collections.abc import Sequence
import pathlib

from absl import logging

from pd_tf.config import errors
from pd_tf.text import vocabulary

NAME = "vocab.txt"


def read(path: pathlib.Path, vocab_size: int) -> tuple[str, ...]:
  """Returns the entries of a vocab.txt, or none if there is no such file.

  Raises:
    InputError: The file is not a vocabulary or not of `vocab_size` entries.
  """
  if not path.exists():
    logging.warning("%s: not there; the model has no vocabulary.", path.name)
    return ()
  try:
    entries = vocabulary.read(path).entries
  except errors.InputError as error:
    raise errors.InputError(f"{path}: {error}") from None
  require_size(entries, vocab_size, path)
  return entries


def require_size(
    entries: Sequence[str], vocab_size: int, source: object
) -> None:
  """Raises InputError unless there is an entry for each row of the table."""
  if len(entries) != vocab_size:
    raise errors.InputError(
        f"{source}: expected vocab_size ({vocab_size}) entries, got "
        f"{len(entries)}."
    )


def require_whole(entries: Sequence[str], vocab_size: int) -> None:
  """Raises InputError unless a model's vocabulary can be written."""
  require_size(entries, vocab_size, "vocabulary")
  vocabulary.Vocabulary(tuple(entries))


def looks_lower_case(entries: Sequence[str]) -> bool:
  """Returns whether no entry but the bracketed ones has an upper-case letter.

  Released checkpoints do not say whether they are cased; their vocabulary
  shows it.
  """
  return all(
      entry == entry.lower() or entry.startswith("[") for entry in entries
  )


def write(path: pathlib.Path, entries: Sequence[str]) -> None:
  """Writes one entry a line."""
  vocabulary.write(path, entries)
