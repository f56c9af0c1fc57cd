"""WordPiece: the ids are those of the original Python tokenizer."""

import itertools
import lzma
import os
import pathlib
import random
import unicodedata

import hypothesis
from hypothesis import strategies
from official.nlp.tools import tokenization
import pytest
import tensorflow as tf
import tensorflow_text as tf_text

from pd_tf.text import light_wordpiece
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
# Where the ids in graphs are TF-Hub's and others than google-research/bert's.
OF_GRAPHS = {
    "fi\x07lm": (["film"], ["[UNK]", "[UNK]"]),
    "\ufb01lm": (["[UNK]"], ["film"]),
    "a" + "b" * 100: (["a"] + ["##b"] * 100, ["[UNK]"]),
}
# First and last code point of what ordinary and odd texts are made of.
SCRIPTS = {
    "latin": (0x20, 0x24F), "accents": (0x300, 0x36F), "greek": (0x370, 0x3FF),
    "extended greek": (0x1F00, 0x1FFE), "cyrillic": (0x400, 0x4FF),
    "hebrew": (0x590, 0x5F4), "arabic": (0x600, 0x6FF),
    "devanagari": (0x900, 0x97F), "bengali": (0x980, 0x9FE),
    "tamil": (0xB80, 0xBFA), "thai": (0xE00, 0xE5B), "jamo": (0x1100, 0x11FF),
    "hangul": (0xAC00, 0xACFF), "kana": (0x3000, 0x30FF),
    "chinese": (0x4E00, 0x4FFF), "full width": (0xFF00, 0xFFEF),
    "emoji": (0x1F300, 0x1F9FF), "controls": (0, 0x9F),
    "punctuation": (0x2000, 0x206F), "selectors": (0xFE00, 0xFE0F),
    "tags": (0xE0020, 0xE007F),
}


def _oracle(path, lower_case, texts):
  tokenizer = tokenization.FullTokenizer(
      str(path), do_lower_case=lower_case, split_on_punc=True
  )
  # As google-research/bert has it; 400 here.
  tokenizer.wordpiece_tokenizer.max_input_chars_per_word = 200
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


@pytest.fixture(
    name="kind", scope="module",
    params=[wordpiece.WordPiece, light_wordpiece.LightWordPiece],
)
def _kind(request):
  """What makes ids of texts: the same, be TensorFlow's Python there or not."""
  return request.param


@pytest.fixture(name="path", scope="module")
def _path(tmp_path_factory):
  path = tmp_path_factory.mktemp("wordpiece") / "vocab.txt"
  vocabulary_lib.write(path, ENTRIES)
  return path


def test_by_hand(kind, path):
  tokenizer = kind(vocabulary_lib.read(path))
  ids, splits = tokenizer.tokenize(["The films", "", "unaffable zzz"])
  assert [ENTRIES[i] for i in ids] == [
      "the", "film", "##s", "un", "##a", "##ff", "##able", "[UNK]"
  ]
  assert splits.tolist() == [0, 3, 3, 8]
  assert (ids.dtype, splits.dtype) == ("int32", "int64")


def test_no_texts(kind, path):
  ids, splits = kind(vocabulary_lib.read(path)).tokenize([])
  assert ids.tolist() == [] and splits.tolist() == [0]


@pytest.mark.parametrize("lower_case", [True, False])
def test_ids_are_those_of_the_original_tokenizer(kind, path, lower_case):
  tokenizer = kind(vocabulary_lib.read(path), lower_case)
  assert _ours(tokenizer, TEXTS) == _oracle(path, lower_case, TEXTS)


def test_ids_of_graphs_are_those_of_tf_hub(path):
  tokenizer = wordpiece.WordPiece(vocabulary_lib.read(path))
  in_graph = tokenizer.ragged(tf.constant(list(OF_GRAPHS))).to_list()
  assert in_graph == _hub(path, OF_GRAPHS)
  for ours, theirs, (original, of_graph) in zip(
      _ours(tokenizer, list(OF_GRAPHS)), in_graph, OF_GRAPHS.values(),
      strict=True,
  ):
    assert [ENTRIES[i] for i in ours] == original
    assert [ENTRIES[i] for i in theirs] == of_graph


@pytest.mark.parametrize("lower_case", [True, False])
def test_ids_of_any_script(kind, tmp_path, lower_case):
  draw = random.Random(0)
  letters = [
      chr(point) for first, last in SCRIPTS.values()
      for point in range(first, last + 1)
  ]
  known = sorted({
      piece for letter in letters if letter.isprintable() and letter != " "
      for piece in (letter, "##" + letter)
  })
  vocabulary_lib.write(
      tmp_path / "vocab.txt", (*vocabulary_lib.SPECIAL_TOKENS, *known)
  )
  ranges = list(SCRIPTS.values())
  texts = []
  for number in range(3000):
    own = ranges[number % len(ranges)]
    spans = draw.choices([own, (0x20, 0x20), *ranges],
                         [60, 15, *[1] * len(ranges)], k=draw.randint(0, 40))
    texts.append("".join(chr(draw.randint(*span)) for span in spans))
  # The longest word that is cut, and one that is unknown.
  texts += ["ก" * 200, "ก" * 201, "x" * 200 + " y", "x" * 201 + " y"]
  tokenizer = kind(
      vocabulary_lib.read(tmp_path / "vocab.txt"), lower_case
  )
  assert _ours(tokenizer, texts) == _oracle(
      tmp_path / "vocab.txt", lower_case, texts
  )


@pytest.mark.slow
@pytest.mark.parametrize("lower_case", [True, False])
def test_every_character_is_of_its_kind(kind, tmp_path, lower_case):
  pieces = ("a", "b", "##a", "##b")
  vocabulary_lib.write(
      tmp_path / "vocab.txt", (*vocabulary_lib.SPECIAL_TOKENS, *pieces)
  )
  points = [*range(0xD800), *range(0xE000, 0x20000), *range(0xE0000, 0xE0200)]
  texts = [f"a{chr(point)}b" for point in points]
  tokenizer = kind(
      vocabulary_lib.read(tmp_path / "vocab.txt"), lower_case
  )
  different = [
      point for point, ours, theirs in zip(
          points, _ours(tokenizer, texts),
          _oracle(tmp_path / "vocab.txt", lower_case, texts), strict=True,
      ) if ours != theirs
  ]
  # Punctuation of a newer Unicode than Python's.
  assert {unicodedata.category(chr(point)) for point in different} <= {"Cn"}
  assert len(different) < 60


def test_texts_may_be_bytes_that_are_no_utf8(kind, path):
  tokenizer = kind(vocabulary_lib.read(path))
  ids, splits = tokenizer.tokenize([b"film\xff", b"\xc3", b"un\xe9able"])
  assert [ENTRIES[i] for i in ids] == ["film", "un", "##able"]
  assert splits.tolist() == [0, 1, 1, 3]


def test_any_text_of_common_characters(kind, path):
  tokenizer = kind(vocabulary_lib.read(path))
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
def test_real_text_with_the_released_vocabulary(kind, name):
  if "PD_TF_DATA" not in os.environ:
    pytest.skip("PD_TF_DATA is not set")
  data = pathlib.Path(os.environ["PD_TF_DATA"])
  corpus = data / "corpus" / f"{name}.txt.xz"
  with lzma.open(corpus, "rt", encoding="utf-8") as file:
    texts = [line.rstrip("\n") for line in itertools.islice(file, 1500)]
  path = data / "vocab.txt"
  tokenizer = kind(vocabulary_lib.read(path))
  assert _ours(tokenizer, texts) == _oracle(path, True, texts)
