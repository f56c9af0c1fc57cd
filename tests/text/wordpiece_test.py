"""WordPiece: the ids are those of the original Python tokenizer."""

import itertools
import lzma
import os
import pathlib

import hypothesis
from hypothesis import strategies
from official.nlp.tools import tokenization
import pytest
import tensorflow as tf
import tensorflow_text as tf_text

from pd_tf.text import vocabulary as vocabulary_lib
from pd_tf.text import wordpiece

ENTRIES = (
    *vocabulary_lib.SPECIAL_TOKENS, "the", "film", "##s", "##ing", "un", "##a",
    "##ff", "##able", "Film", "e", "##e", "é", ",", ".", "!", "'", "s", "[",
    "]", "mask", "中", "a", "##b",
)
TEXTS = (
    "The films, unaffable!",
    "the FILM's  filming\tfilm\u00a0films.",
    "Éé e\u0301 naïve [MASK] ##s",
    "中中a, ab abb abba",
    "",
    " ",
    "film" * 20,
    "a" + "b" * 99,
)
# Where google-research/bert's ids are others, and these are TF-Hub's.
DIFFERENT = {
    "fi\x07lm": ["[UNK]", "[UNK]"],
    "\ufb01lm": ["film"],
    "a" + "b" * 100: ["[UNK]"],
}


def _oracle(path, lower_case, texts):
  tokenizer = tokenization.FullTokenizer(
      str(path), do_lower_case=lower_case, split_on_punc=True
  )
  return [
      tokenizer.convert_tokens_to_ids(tokenizer.tokenize(text))
      for text in texts
  ]


def _hub(path, texts):
  tokenizer = tf_text.BertTokenizer(
      str(path), token_out_type=tf.int32, lower_case=True
  )
  return tokenizer.tokenize(list(texts)).merge_dims(1, 2).to_list()


def _ours(tokenizer, texts):
  ids, splits = tokenizer.tokenize(texts)
  return [
      ids[i:j].tolist() for i, j in itertools.pairwise(splits.tolist())
  ]


@pytest.fixture(name="path", scope="module")
def _path(tmp_path_factory):
  path = tmp_path_factory.mktemp("wordpiece") / "vocab.txt"
  vocabulary_lib.write(path, ENTRIES)
  return path


def test_by_hand(path):
  tokenizer = wordpiece.WordPiece(vocabulary_lib.read(path))
  ids, splits = tokenizer.tokenize(["The films", "", "unaffable zzz"])
  assert [ENTRIES[i] for i in ids] == [
      "the", "film", "##s", "un", "##a", "##ff", "##able", "[UNK]"
  ]
  assert splits.tolist() == [0, 3, 3, 8]
  assert (ids.dtype, splits.dtype) == ("int32", "int64")


def test_no_texts(path):
  ids, splits = wordpiece.WordPiece(vocabulary_lib.read(path)).tokenize([])
  assert ids.tolist() == [] and splits.tolist() == [0]


@pytest.mark.parametrize("lower_case", [True, False])
def test_ids_are_those_of_the_original_tokenizer(path, lower_case):
  tokenizer = wordpiece.WordPiece(vocabulary_lib.read(path), lower_case)
  assert _ours(tokenizer, TEXTS) == _oracle(path, lower_case, TEXTS)


def test_known_differences_from_the_original_tokenizer(path):
  tokenizer = wordpiece.WordPiece(vocabulary_lib.read(path))
  ours = _ours(tokenizer, list(DIFFERENT))
  assert [[ENTRIES[i] for i in ids] for ids in ours] == list(DIFFERENT.values())
  assert ours == _hub(path, DIFFERENT)
  for one, other in zip(
      ours, _oracle(path, True, list(DIFFERENT)), strict=True
  ):
    assert one != other


def test_any_text_of_common_characters(path):
  tokenizer = wordpiece.WordPiece(vocabulary_lib.read(path))
  alphabet = "thefilmsunab gE é,.!'[]中\t\n"

  @hypothesis.settings(max_examples=50, deadline=None)
  @hypothesis.given(strategies.lists(
      strategies.text(alphabet, max_size=40), min_size=1, max_size=8
  ))
  def check(texts):
    assert _ours(tokenizer, texts) == _oracle(path, True, texts)

  check()


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["wiki", "imdb_unsup"])
def test_real_text_with_the_released_vocabulary(name):
  if "PD_TF_DATA" not in os.environ:
    pytest.skip("PD_TF_DATA is not set")
  data = pathlib.Path(os.environ["PD_TF_DATA"])
  corpus = data / "corpus" / f"{name}.txt.xz"
  with lzma.open(corpus, "rt", encoding="utf-8") as file:
    texts = [line.rstrip("\n") for line in itertools.islice(file, 1500)]
  path = data / "vocab.txt"
  tokenizer = wordpiece.WordPiece(vocabulary_lib.read(path))
  ours = _ours(tokenizer, texts)
  assert ours == _hub(path, texts)
  ordinary = [i for i, text in enumerate(texts) if text.isascii()]
  assert len(ordinary) > 1000
  assert [ours[i] for i in ordinary] == _oracle(
      path, True, [texts[i] for i in ordinary]
  )
