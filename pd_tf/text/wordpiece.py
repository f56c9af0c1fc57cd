"""Texts to WordPiece ids: those of google-research/bert's tokenization.py.

`tokenize` gives the ids of the original for any text, but for the few dozen
characters that are punctuation in the Unicode of tensorflow_text and not yet
assigned in Python's. `ragged`, for graphs, is tensorflow_text's
FastBertTokenizer, as in the TF-Hub preprocessing models. That one differs where
lower-casing is case folding with compatibility decomposition (`ß` is `ss`, `²`
is `2`, a final sigma is another letter), at control characters, which separate
words instead of vanishing, and in words above 100 bytes, which are [UNK] (200
characters in the original).
"""

from collections.abc import Sequence
import functools

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

from pd_tf.text import normalization
from pd_tf.text import vocabulary as vocabulary_lib


class WordPiece:
  """Tokenizes batches of texts."""

  def __init__(
      self, vocabulary: vocabulary_lib.Vocabulary, lower_case: bool = True
  ):
    self.vocabulary = vocabulary
    self.lower_case = lower_case

  def tokenize(
      self, texts: Sequence[str] | Sequence[bytes]
  ) -> tuple[np.ndarray, np.ndarray]:
    """Returns what `tokenizer.Tokenizer.tokenize` does."""
    words = normalization.normalized(texts, self.lower_case)
    pieces = self._of_words.tokenize(tf.constant(words, tf.string))
    return pieces.values.numpy(), pieces.row_splits.numpy()

  def ragged(self, texts: tf.Tensor) -> tf.RaggedTensor:
    """Returns the pieces of texts, in the graph too.

    Args:
      texts: String [N].

    Returns:
      Ids without special tokens, Int32 [N, (pieces)].
    """
    return self._of_graphs.tokenize(texts)

  @functools.cached_property
  def _of_words(self) -> tf_text.FastWordpieceTokenizer:
    return tf_text.FastWordpieceTokenizer(
        list(self.vocabulary.entries),
        max_bytes_per_word=normalization.LONGEST_WORD_BYTES,
        token_out_type=tf.int32,
        unknown_token=vocabulary_lib.UNK,
    )

  @functools.cached_property
  def _of_graphs(self) -> tf_text.FastBertTokenizer:
    return tf_text.FastBertTokenizer(
        list(self.vocabulary.entries),
        token_out_type=tf.int32,
        unknown_token=vocabulary_lib.UNK,
        lower_case_nfd_strip_accents=self.lower_case,
    )
