"""The WordPiece vocabulary of vocab.txt and its special tokens."""

import collections
from collections.abc import Sequence
import dataclasses
import hashlib
import pathlib

from pd_tf.config import errors

PAD, UNK, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIAL_TOKENS = (PAD, UNK, CLS, SEP, MASK)


@dataclasses.dataclass(frozen=True)
class Vocabulary:
  """Entries in the order of their ids, and the ids of the special tokens."""

  entries: tuple[str, ...]

  def __post_init__(self):
    for token in SPECIAL_TOKENS:
      if token not in self.entries:
        raise errors.InputError(
            f"vocab_file: expected an entry {token}, found none among "
            f"{len(self.entries)} entries."
        )
    if self.entries[0] != PAD:
      raise errors.InputError(
          f"vocab_file: expected {PAD} first, got {self.entries[0]!r}."
      )
    if len(set(self.entries)) != len(self.entries):
      entry, times = collections.Counter(self.entries).most_common(1)[0]
      raise errors.InputError(
          f"vocab_file: expected each entry once, got {entry!r} {times} times."
      )

  def __len__(self) -> int:
    return len(self.entries)

  def id_of(self, token: str) -> int:
    """Returns the id of an entry."""
    return self.entries.index(token)

  @property
  def special_ids(self) -> tuple[int, ...]:
    """Ids of [PAD], [UNK], [CLS], [SEP], [MASK]."""
    return tuple(self.id_of(token) for token in SPECIAL_TOKENS)

  @property
  def sha256(self) -> str:
    """Digest of the file that `write` writes."""
    return hashlib.sha256(_file_text(self.entries).encode()).hexdigest()


def read(path: str | pathlib.Path) -> Vocabulary:
  """Returns the vocabulary in a file of one entry a line.

  Raises:
    InputError: The file is missing, not UTF-8, or no vocabulary.
  """
  try:
    text = pathlib.Path(path).read_bytes().decode("utf-8")
  except FileNotFoundError:
    raise errors.InputError(f"vocab_file: {path} does not exist.") from None
  except IsADirectoryError:
    raise errors.InputError(
        f"vocab_file: {path} is a directory; expected a file of entries."
    ) from None
  except UnicodeDecodeError as error:
    raise errors.InputError(
        f"vocab_file: {path} must be UTF-8, byte {error.start} is not."
    ) from None
  lines = text.split("\n")
  if lines and not lines[-1]:
    lines.pop()
  return Vocabulary(tuple(line.rstrip("\r") for line in lines))


def write(path: str | pathlib.Path, entries: Sequence[str]) -> None:
  """Writes one entry a line."""
  pathlib.Path(path).write_bytes(_file_text(entries).encode())


def _file_text(entries: Sequence[str]) -> str:
  return "".join(entry + "\n" for entry in entries)
