"""Learns a WordPiece vocabulary with tensorflow_text's learner."""

import collections
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from tensorflow_text.python.ops import bert_tokenizer
from tensorflow_text.tools.wordpiece_vocab import (
    wordpiece_tokenizer_learner_lib as learner,
)

from pd_tf.config import errors
from pd_tf.text import vocabulary as vocabulary_lib

# The learner's time grows with the distinct words it sees; those past this many
# an entry are too rare to change which pieces are frequent.
_WORDS_PER_ENTRY = 5
_MAX_CHARACTERS = 1000
# The search for a threshold ends where it gives a number of entries within this
# factor of the wanted one.
_NEAR_ENOUGH = 1.1
_BATCH_CHUNKS = 65536
_JOINER = "##"


def count_words(texts: Iterable[str], lower_case: bool) -> dict[str, int]:
  """Returns how often each word occurs, words being BERT's before WordPiece.

  Args:
    texts: Any number of texts; they are not kept.
    lower_case: Lower-case, strip accents.
  """
  # What stands between spaces repeats a lot: counted first, it is normalized
  # and split at punctuation once and not at every occurrence.
  chunks: collections.Counter[str] = collections.Counter()
  for text in texts:
    chunks.update(text.split())
  distinct = list(chunks)
  counts: collections.Counter[str] = collections.Counter()
  tokenizer = bert_tokenizer.BasicTokenizer(lower_case=lower_case)
  for start in range(0, len(distinct), _BATCH_CHUNKS):
    batch = distinct[start:start + _BATCH_CHUNKS]
    words = tokenizer.tokenize(tf.constant(batch, tf.string))
    times = np.repeat([chunks[chunk] for chunk in batch], words.row_lengths())
    for word, count in zip(
        words.values.numpy().tolist(), times.tolist(), strict=True
    ):
      counts[word.decode()] += count
  return dict(counts)


def learn(
    word_counts: Mapping[str, int], vocab_size: int, unused_entries: int = 0
) -> list[str]:
  """Returns a vocabulary: special tokens, characters, then words and pieces.

  Args:
    word_counts: Occurrences of each word.
    vocab_size: Entries at the most; fewer where the words are few.
    unused_entries: Entries [unused0], … after [PAD].

  Returns:
    [PAD], the unused entries, [UNK], [CLS], [SEP], [MASK], then the learned.

  Raises:
    InputError: There are no words, or vocab_size has no room for the special
      tokens and a character.
  """
  reserved = [
      vocabulary_lib.PAD,
      *(f"[unused{i}]" for i in range(unused_entries)),
      *vocabulary_lib.SPECIAL_TOKENS[1:],
  ]
  room = vocab_size - len(reserved)
  # A character takes two entries, `a` and `##a`.
  if room < 2:
    raise errors.InputError(
        f"vocab_size ({vocab_size}) must be at least {len(reserved) + 2}: "
        f"{len(reserved)} special and unused entries and one character."
    )
  words = _most_frequent(word_counts, _WORDS_PER_ENTRY * vocab_size)
  if not words:
    raise errors.InputError("inputs: expected words to learn from, got none.")
  characters = min(_MAX_CHARACTERS, max(1, room // 3))

  def learned(threshold: int) -> list[str]:
    return learner.learn(
        words,
        vocab_size,
        reserved,
        lower_thresh=threshold,
        upper_thresh=threshold,
        max_unique_chars=characters,
        joiner=_JOINER,
    )

  # The learner keeps every word at or above the threshold, so thresholds below
  # the count of word number `room` give too many entries.
  lowest = words[min(room, len(words)) - 1][1]
  fewer, more = _nearest(learned, vocab_size, lowest, words[0][1])
  return _filled(reserved, fewer, more)[:vocab_size]


def _most_frequent(
    word_counts: Mapping[str, int], most: int
) -> list[tuple[str, int]]:
  ordered = sorted(word_counts.items(), key=lambda item: (-item[1], item[0]))
  return ordered[:most]


def _nearest(
    learned: Callable[[int], list[str]], size: int, low: int, highest: int
) -> tuple[list[str], list[str]]:
  """Returns entries of two thresholds: some too few, and some too many.

  The learner has a search of its own, from the highest count down, which takes
  many steps where that is large and fails where no threshold is near the size.

  Args:
    learned: Returns the entries of a threshold; a higher one gives fewer.
    size: Entries wanted.
    low: Threshold to start from.
    highest: No threshold above it is tried.

  Returns:
    At most `size` entries, empty if none are so few; and at least `size`, or
    all that `low` gives.
  """
  fewer: list[str] = []
  more = learned(low)
  high = highest + 1
  step = low
  while (
      high - low > 1
      and len(more) > size * _NEAR_ENOUGH
      and len(fewer) < size / _NEAR_ENOUGH
  ):
    # The step doubles until it leads too high; then the space is halved.
    middle = (low + high) // 2 if fewer else min(low + step, highest)
    entries = learned(middle)
    if len(entries) < size:
      high, fewer = middle, entries
    else:
      low, more, step = middle, entries, 2 * step
  return fewer, more


def _filled(
    reserved: list[str], fewer: list[str], more: list[str]
) -> list[str]:
  """Returns all entries, the most useful first.

  In `more`, whole words have made their own parts superfluous; of these words
  only some are going to be entries, so the parts that `fewer` has come before
  them. Single characters stay, however rare, so that every word of them has
  pieces.
  """
  characters = [
      entry
      for entry in more[len(reserved):]
      if len(entry.removeprefix(_JOINER)) == 1
  ]
  return list(dict.fromkeys([*reserved, *fewer, *characters, *more]))
