"""The ids of `wordpiece.py`, without TensorFlow's Python.

For processes that need nothing else of TensorFlow: to import it takes longer
than to tokenize a small corpus. The same operation of tensorflow_text is run,
through TensorFlow's C interface.
"""

from collections.abc import Sequence
import importlib.util
import sys
from typing import Any

import numpy as np

from pd_tf.text import c_api
from pd_tf.text import c_eager
from pd_tf.text import c_tensors
from pd_tf.text import normalization
from pd_tf.text import tokenizer as tokenizer_lib
from pd_tf.text import vocabulary as vocabulary_lib

# The package's own name of it: were it loaded by two, both would break.
_BUILDER = (
    "tensorflow_text.core.pybinds."
    "pywrap_fast_wordpiece_tokenizer_model_builder"
)
# What no normalized text has.
_SEPARATOR = b"\n"


class LightWordPiece:
  """Tokenizes batches of texts."""

  def __init__(
      self, vocabulary: vocabulary_lib.Vocabulary, lower_case: bool = True
  ):
    self.vocabulary = vocabulary
    self.lower_case = lower_case
    self._context = c_eager.Context()
    model = _builder().build_fast_wordpiece_model(
        list(vocabulary.entries), normalization.LONGEST_WORD_BYTES, "##",
        vocabulary_lib.UNK, False, False,
    )  # fmt: skip
    self._model = self._context.handle(
        c_tensors.of_numbers(np.frombuffer(model, np.uint8))
    )
    self._separator = self._context.handle(c_tensors.of_text(_SEPARATOR))

  def tokenize(
      self, texts: Sequence[str] | Sequence[bytes]
  ) -> tuple[np.ndarray, np.ndarray]:
    """Returns what `tokenizer.Tokenizer.tokenize` does."""
    if not len(texts):
      return np.zeros(0, np.int32), np.zeros(1, np.int64)
    # In one piece: to make as many tensors takes longer than to split it.
    joined = _SEPARATOR.join(normalization.normalized(texts, self.lower_case))
    whole = self._context.handle(c_tensors.of_texts([joined]))
    _, lines, _ = self._context.run("StringSplitV2", whole, self._separator)
    _, ids, splits, _, _ = self._context.run(
        "FastWordpieceTokenizeWithOffsets", lines, self._model
    )
    return ids.value().astype(np.int32), splits.value()


def tokenizer(
    vocabulary: vocabulary_lib.Vocabulary, lower_case: bool
) -> tokenizer_lib.Tokenizer:
  """Returns a LightWordPiece, or its like where TensorFlow is built otherwise.

  The wheels of TensorFlow have their library in one file; others may not.
  """
  try:
    return LightWordPiece(vocabulary, lower_case)
  except ImportError:
    from pd_tf.text import wordpiece

    return wordpiece.WordPiece(vocabulary, lower_case)


def _builder() -> Any:
  """Returns tensorflow_text's module that makes a tokenizer's tables."""
  if _BUILDER in sys.modules:
    return sys.modules[_BUILDER]
  # It finds TensorFlow's library where that is loaded.
  c_api.library()
  _, *folders, name = _BUILDER.split(".")
  path = c_api.directory("tensorflow_text").joinpath(*folders, f"{name}.so")
  spec = importlib.util.spec_from_file_location(_BUILDER, path)
  assert spec is not None and spec.loader is not None
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  sys.modules[_BUILDER] = module
  return module
