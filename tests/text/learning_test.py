"""Learning a vocabulary: what is in it, how large, from which words."""

import random
import re

import pytest

from pd_tf.config import errors
from pd_tf.text import learning
from pd_tf.text import vocabulary as vocabulary_lib
from pd_tf.text import wordpiece

STEMS = ("walk", "talk", "jump", "look", "play", "work", "call", "ask", "turn")
ENDINGS = ("", "s", "ed", "ing", "er")
WORDS = {
    stem + ending: 50 + 7 * i + j
    for i, stem in enumerate(STEMS)
    for j, ending in enumerate(ENDINGS)
}


def test_count_words_by_hand():
  texts = ["It's  the End, the end.", "Naïve\tEND", ""]
  assert learning.count_words(texts, lower_case=True) == {
      "it": 1, "'": 1, "s": 1, "the": 2, "end": 3, ",": 1, ".": 1, "naive": 1
  }
  assert learning.count_words(texts, lower_case=False) == {
      "It": 1, "'": 1, "s": 1, "the": 2, "End": 1, "end": 1, ",": 1, ".": 1,
      "Naïve": 1, "END": 1,
  }


def test_count_words_in_batches(monkeypatch):
  texts = ["a b, c", "b, d e. a"] * 3
  whole = learning.count_words(texts, True)
  monkeypatch.setattr(learning, "_BATCH_CHUNKS", 2)
  assert learning.count_words(texts, True) == whole


def test_special_and_unused_entries_come_first():
  entries = learning.learn(WORDS, 80, unused_entries=2)
  assert entries[:7] == [
      "[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
  ]
  assert len(set(entries)) == len(entries)


@pytest.mark.parametrize("vocab_size", [7, 20, 40, 61, 80, 100, 5000])
def test_never_more_than_wanted(vocab_size):
  entries = learning.learn(WORDS, vocab_size)
  assert len(entries) <= vocab_size
  vocabulary_lib.Vocabulary(tuple(entries))


def test_enough_room_is_used():
  assert len(learning.learn(WORDS, 85)) >= 0.9 * 85


def test_every_word_has_pieces_and_frequent_ones_are_entries():
  entries = learning.learn(WORDS, 90)
  for character in set("".join(WORDS)):
    assert {character, "##" + character} <= set(entries)
  assert "turning" in entries
  tokenizer = wordpiece.WordPiece(vocabulary_lib.Vocabulary(tuple(entries)))
  ids, _ = tokenizer.tokenize(list(WORDS))
  assert entries.index("[UNK]") not in ids.tolist()


def test_common_endings_are_learned_from_rare_words():
  # No stem repeats; the endings do. Keeping words seen once gives too many
  # entries, leaving them out too few.
  generator = random.Random(0)
  words = {"the": 500, "end": 300} | {
      "".join(generator.choices("bcdfklmprt", k=6)) + ending: 1
      for _ in range(100)
      for ending in ("ing", "ness")
  }
  entries = learning.learn(words, 100)
  assert {"the", "end"} <= set(entries)
  for ending in ("ing", "ness"):
    assert any(re.fullmatch(f"##.?{ending}", entry) for entry in entries)
  assert len(entries) == 100


def test_words_that_are_all_as_frequent():
  words = {first + second: 3 for first in "abcdefgh" for second in "ijklmnop"}
  entries = learning.learn(words, 60)
  assert len(entries) == 60
  assert {"a", "##a", "p", "##p"} <= set(entries)


def test_order_of_counting_does_not_matter():
  backwards = dict(reversed(WORDS.items()))
  assert learning.learn(WORDS, 60) == learning.learn(backwards, 60)


def test_no_room():
  with pytest.raises(errors.InputError) as error:
    learning.learn(WORDS, 10, unused_entries=4)
  assert str(error.value) == (
      "vocab_size (10) must be at least 11: 9 special and unused entries and "
      "one character."
  )


def test_no_words():
  with pytest.raises(errors.InputError, match="^inputs: expected words"):
    learning.learn({}, 100)
