"""Tokenized texts or pairs with their targets, in flat arrays."""

from collections.abc import Sequence
import dataclasses

import numpy as np

from pd_tf.config import errors
from pd_tf.text import tokenizer
from pd_tf.text import vocabulary as vocabulary_lib

# Texts tokenized in one call: enough to keep the tokenizer busy, few enough
# that a call's memory does not show.
_TEXTS_PER_CALL = 8192


@dataclasses.dataclass(frozen=True)
class Examples:
  """N examples; example i has tokens[splits[i]:splits[i + 1]].

  Attributes:
    tokens: Int32 [T], `[CLS] a [SEP]` or `[CLS] a [SEP] b [SEP]`.
    splits: Int64 [N + 1].
    first_lengths: Int32 [N], tokens of type 0 (`[CLS] a [SEP]`).
    labels: Int32 [N] (-1 where unknown), Float32 [N] for regression or
      Float32 [N, C] of 0 and 1 for several labels (NaN where unknown).
    teacher_logits: Float32 [N, C], or None.
  """

  tokens: np.ndarray
  splits: np.ndarray
  first_lengths: np.ndarray
  labels: np.ndarray
  teacher_logits: np.ndarray | None = None

  def __len__(self) -> int:
    return len(self.splits) - 1

  @property
  def lengths(self) -> np.ndarray:
    """Int64 [N], tokens of each example."""
    return np.diff(self.splits)

  @property
  def known(self) -> np.ndarray:
    """Bool, the shape of labels: where they are known."""
    if self.labels.dtype == np.float32:
      return ~np.isnan(self.labels)
    return self.labels >= 0

  @property
  def is_labelled(self) -> np.ndarray:
    """Bool [N]: whether anything is known."""
    known = self.known
    return np.any(known.reshape(len(known), -1), 1) if known.size else known

  def take(self, indices: np.ndarray) -> "Examples":
    """Returns the examples at indices (Int [M]), in their order."""
    # Not all lengths: of millions of examples a batch takes a few.
    lengths = self.splits[indices + 1] - self.splits[indices]
    splits = np.concatenate([[0], np.cumsum(lengths)])
    return Examples(
        self.tokens[ranges(self.splits[indices], lengths)],
        splits,
        self.first_lengths[indices],
        self.labels[indices],
        None if self.teacher_logits is None else self.teacher_logits[indices],
    )

  def sample(self, wanted: int | None, seed: int, name: str) -> "Examples":
    """Returns `wanted` examples drawn with the seed, in their old order.

    Smaller samples of one seed are parts of larger ones.

    Args:
      wanted: How many; None for all.
      seed: Of the draw.
      name: The setting, for the message.

    Raises:
      InputError: There are not that many.
    """
    if wanted is None:
      return self
    if not 1 <= wanted <= len(self):
      raise errors.InputError(
          f"{name}: expected 1 to {len(self)}, the examples there are, got "
          f"{wanted}."
      )
    order = np.random.default_rng(seed).permutation(len(self))
    return self.take(np.sort(order[:wanted]))


def encode(
    word_piece: tokenizer.Tokenizer,
    columns: Sequence[Sequence[str]],
    max_length: int,
    labels: np.ndarray | None = None,
) -> Examples:
  """Tokenizes one column of texts, or two of pairs.

  Args:
    word_piece: The tokenizer.
    columns: One or two sequences of N texts.
    max_length: Tokens of an example at the most, special ones included; of a
      pair the longer text is cut first (google-research/bert).
    labels: [N] or [N, C], or None for unlabelled texts.

  Raises:
    InputError: max_length leaves no room for a token of each text.
  """
  room = max_length - 1 - len(columns)
  if room < len(columns):
    raise errors.InputError(
        f"seq_length ({max_length}) must be at least {1 + 2 * len(columns)}."
    )
  total = len(columns[0])
  parts = [
      _encode_chunk(
          word_piece,
          [column[start : start + _TEXTS_PER_CALL] for column in columns],
          room,
      )
      for start in range(0, total, _TEXTS_PER_CALL)
  ]
  lengths = np.concatenate([p[1] for p in parts] or [np.zeros(0, np.int64)])
  firsts = np.concatenate([p[2] for p in parts] or [np.zeros(0, np.int64)])
  return Examples(
      np.concatenate([p[0] for p in parts] or [np.zeros(0, np.int32)]),
      np.concatenate([[0], np.cumsum(lengths)]),
      firsts.astype(np.int32),
      np.full(total, -1, np.int32) if labels is None else labels,
  )


def join(parts: Sequence[Examples]) -> Examples:
  """Returns the examples of several parts, one after another.

  Args:
    parts: At least one; all with teacher_logits or none.
  """
  lengths = np.concatenate([part.lengths for part in parts])
  logits = [
      part.teacher_logits for part in parts if part.teacher_logits is not None
  ]
  return Examples(
      np.concatenate([part.tokens for part in parts]),
      np.concatenate([[0], np.cumsum(lengths)]),
      np.concatenate([part.first_lengths for part in parts]),
      np.concatenate([part.labels for part in parts]),
      np.concatenate(logits) if logits else None,
  )


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
  """Returns start, start + 1, … of each range, one after another, [sum]."""
  before = np.cumsum(lengths) - lengths
  return np.repeat(starts - before, lengths) + np.arange(lengths.sum())


def _encode_chunk(
    word_piece: tokenizer.Tokenizer, columns: list[Sequence[str]], room: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Returns tokens [T], lengths [N] and first lengths [N] of some texts."""
  vocabulary = word_piece.vocabulary
  tokenized = [word_piece.tokenize(column) for column in columns]
  kept = _cut([np.diff(splits) for _, splits in tokenized], room)
  lengths = 1 + np.sum([part + 1 for part in kept], axis=0)
  out = np.full(lengths.sum(), vocabulary.id_of(vocabulary_lib.SEP), np.int32)
  position = np.cumsum(lengths) - lengths
  out[position] = vocabulary.id_of(vocabulary_lib.CLS)
  position = position + 1
  for (ids, splits), part in zip(tokenized, kept, strict=True):
    out[ranges(position, part)] = ids[ranges(splits[:-1], part)]
    position = position + part + 1
  return out, lengths, kept[0] + 2


def _cut(lengths: list[np.ndarray], room: int) -> list[np.ndarray]:
  """Returns how many tokens of each text are kept.

  The same counts as taking tokens off the longer text, the second where both
  are as long, until the pair fits.
  """
  if len(lengths) == 1:
    return [np.minimum(lengths[0], room)]
  first, second = lengths
  kept = np.minimum(first, np.maximum(room - second, (room + 1) // 2))
  return [kept, np.minimum(second, room - kept)]
