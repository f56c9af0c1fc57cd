"""What is light about it: processes that tokenize without TensorFlow's Python.

That the ids are the same is in wordpiece_test.py.
"""

import subprocess
import sys

import pytest

from pd_tf.config import errors
from pd_tf.text import c_eager
from pd_tf.text import c_tensors
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
      capture_output=True, text=True, check=True, timeout=120,
  )
  return done.stdout.split("\n")[:-1]


def test_tensorflow_is_not_imported():
  assert _printed(TOKENIZE) == ["[5, 6, 7] False"]


@pytest.mark.parametrize("first", ["", "import tensorflow_text\n"])
def test_it_goes_with_tensorflow_in_one_process(first):
  printed = _printed(first + TOKENIZE + BESIDE)
  assert printed == [f"[5, 6, 7] {bool(first)}"] + ["[5, 6, 7]"] * 2


def test_an_operation_that_fails_says_so():
  context = c_eager.Context()
  text = context.handle(c_tensors.of_texts([b"a b"]))
  with pytest.raises(errors.InputError, match="StringSplitV2: "):
    context.run("StringSplitV2", text, text)
  with pytest.raises(errors.InputError, match="NoSuchOperation"):
    context.run("NoSuchOperation", text)
