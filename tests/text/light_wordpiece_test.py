"""What is light about it: processes that tokenize without TensorFlow's Python.

That the ids are the same is in wordpiece_test.py.
"""

from concurrent import futures
import subprocess
import sys

import numpy as np
import pytest

from pd_tf.config import errors
from pd_tf.text import c_api
from pd_tf.text import c_eager
from pd_tf.text import c_tensors
from pd_tf.text import light_wordpiece
from pd_tf.text import vocabulary as vocabulary_lib

ENTRIES = (*vocabulary_lib.SPECIAL_TOKENS, "the", "film", "##s")
TOKENIZE = """
import sys
from pd_tf.text import light_wordpiece, vocabulary
entries = tuple(sys.argv[1].split())
make = lambda: light_wordpiece.LightWordPiece(vocabulary.Vocabulary(entries))
print(make().tokenize(["The films"])[0].tolist(), "tensorflow" in sys.modules)
"""
# In either order, and used side by side, to the end of the process.
BESIDE = """
from pd_tf.text import wordpiece
heavy = wordpiece.WordPiece(vocabulary.Vocabulary(entries))
print(heavy.tokenize(["The films"])[0].tolist())
print(make().tokenize(["The films"])[0].tolist())
"""


def _printed(code):
  done = subprocess.run(
      [sys.executable, "-c", code, " ".join(ENTRIES)],
      capture_output=True, text=True, check=False, timeout=120,
  )
  assert done.returncode == 0, done.stderr
  return done.stdout.split("\n")[:-1]


def test_tensorflow_is_not_imported():
  assert _printed(TOKENIZE) == ["[5, 6, 7] False"]


@pytest.mark.parametrize("first", ["", "import tensorflow_text\n"])
def test_it_goes_with_tensorflow_in_one_process(first):
  printed = _printed(first + TOKENIZE + BESIDE)
  assert printed == [f"[5, 6, 7] {bool(first)}"] + ["[5, 6, 7]"] * 2


def test_threads_share_one():
  tokenizer = light_wordpiece.LightWordPiece(
      vocabulary_lib.Vocabulary(ENTRIES)
  )
  texts = [["film " * (number % 7), "the"] for number in range(200)]
  with futures.ThreadPoolExecutor(8) as pool:
    found = list(pool.map(tokenizer.tokenize, texts))
  for number, (ids, splits) in enumerate(found):
    assert ids.tolist() == [6] * (number % 7) + [5]
    assert splits.tolist() == [0, number % 7, number % 7 + 1]


def test_where_the_library_is_not_there_the_ids_are_the_same(monkeypatch):
  def missing():
    raise ImportError("no libtensorflow_cc")

  monkeypatch.setattr(c_api, "library", missing)
  tokenizer = light_wordpiece.tokenizer(
      vocabulary_lib.Vocabulary(ENTRIES), True
  )
  assert tokenizer.tokenize(["The films"])[0].tolist() == [5, 6, 7]


@pytest.mark.parametrize("values", [
    np.arange(6, dtype=np.int32).reshape(2, 3), np.zeros((0, 4), np.int64),
    np.array(2.5, np.float32), np.array([True, False]),
    np.array([7, 255], np.uint8), np.array([[1e-300]]),
])  # fmt: skip
def test_numbers_there_and_back(values):
  context = c_eager.Context()
  back = context.handle(c_tensors.of_numbers(values)).value()
  assert (back.dtype, back.shape) == (values.dtype, values.shape)
  np.testing.assert_array_equal(back, values)


def test_texts_there_and_back():
  context = c_eager.Context()
  texts = [b"", b"a\0b", "süß".encode() * 40]
  back = context.handle(c_tensors.of_texts(texts)).value()
  assert back.tolist() == texts
  assert context.handle(c_tensors.of_text(texts[2])).value()[()] == texts[2]
  assert context.handle(c_tensors.of_texts([])).value().shape == (0,)


def test_an_operation_that_fails_says_so():
  context = c_eager.Context()
  text = context.handle(c_tensors.of_texts([b"a b"]))
  with pytest.raises(errors.InputError, match="StringSplitV2: "):
    context.run("StringSplitV2", text, text)
  with pytest.raises(errors.InputError, match="NoSuchOperation"):
    context.run("NoSuchOperation", text)
