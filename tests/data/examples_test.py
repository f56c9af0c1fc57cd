import numpy as np
import pytest

from pd_tf.config import errors
from pd_tf.data import examples
from pd_tf.text import vocabulary
from pd_tf.text import wordpiece

ENTRIES = (
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film",
    "##s", "a",
)


def _word_piece():
  return wordpiece.WordPiece(vocabulary.Vocabulary(ENTRIES))


def _tokens(batch, index):
  return batch.tokens[batch.splits[index] : batch.splits[index + 1]].tolist()


def _truncate_seq_pair(first, second, room):
  """Takes tokens off the longer one, as google-research/bert words it."""
  first, second = list(first), list(second)
  while len(first) + len(second) > room:
    (first if len(first) > len(second) else second).pop()
  return first, second


def test_single_texts():
  batch = examples.encode(
      _word_piece(), [["Good films", "", "a bad film"]], 5,
      np.array([1, 0, 0], np.int32),
  )
  assert _tokens(batch, 0) == [2, 5, 7, 8, 3]
  assert _tokens(batch, 1) == [2, 3]
  assert _tokens(batch, 2) == [2, 9, 6, 7, 3]
  assert batch.first_lengths.tolist() == [5, 2, 5]
  assert batch.labels.tolist() == [1, 0, 0]


@pytest.mark.parametrize("max_length", [5, 6, 7, 8, 9, 20])
def test_pairs_are_cut_as_bert_cuts_them(max_length):
  generator = np.random.default_rng(max_length)
  words = ["good", "bad", "film", "a"]
  columns = [
      [
          " ".join(generator.choice(words, count))
          for count in generator.integers(0, 9, 40)
      ]
      for _ in range(2)
  ]
  batch = examples.encode(_word_piece(), columns, max_length)
  for index, (first, second) in enumerate(zip(*columns, strict=True)):
    first, second = _truncate_seq_pair(
        [ENTRIES.index(w) for w in first.split()],
        [ENTRIES.index(w) for w in second.split()],
        max_length - 3,
    )
    assert _tokens(batch, index) == [2, *first, 3, *second, 3]
    assert batch.first_lengths[index] == len(first) + 2


def test_too_short_a_row_is_an_error():
  with pytest.raises(errors.InputError, match=r"^seq_length \(2\).*3"):
    examples.encode(_word_piece(), [["good"]], 2)


def test_take_and_join():
  batch = examples.encode(_word_piece(), [["good", "bad film", "a"]], 9)
  last, others = batch.take(np.array([2])), batch.take(np.array([0, 1]))
  back = examples.join([last, others])
  assert [_tokens(back, i) for i in range(3)] == [
      _tokens(batch, i) for i in (2, 0, 1)
  ]


def test_samples_of_a_seed_lie_in_each_other():
  batch = examples.encode(
      _word_piece(), [["good"] * 50], 9, np.arange(50, dtype=np.int32)
  )
  small = set(batch.sample(10, 3, "n").labels.tolist())
  large = set(batch.sample(30, 3, "n").labels.tolist())
  assert len(small) == 10 and small < large
  assert batch.sample(None, 3, "n") is batch
  with pytest.raises(errors.InputError, match="^n: expected 1 to 50"):
    batch.sample(51, 3, "n")


def test_what_is_labelled():
  unknown = examples.encode(_word_piece(), [["a", "a"]], 9)
  assert unknown.is_labelled.tolist() == [False, False]
  scores = examples.encode(
      _word_piece(), [["a", "a"]], 9, np.array([np.nan, -1.5], np.float32)
  )
  assert scores.is_labelled.tolist() == [False, True]
