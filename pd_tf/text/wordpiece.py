"""Texts to WordPiece ids with tensorflow_text's FastBertTokenizer.

The same ids as google-research/bert's tokenization.py for ordinary text.
Differs from it, as the TF-Hub preprocessing models do: lower-casing is case
folding with compatibility decomposition (`ß` is `ss`, `²` is `2`), control
characters separate words instead of vanishing, and words above 100 bytes are
[UNK] (200 characters there).
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

from pd_tf.text import vocabulary as vocabulary_lib


class WordPiece:
  """Tokenizes batches of texts."""

  def __init__(
      self, vocabulary: vocabulary_lib.Vocabulary, lower_case: bool = True
  ):
    self.vocabulary = vocabulary
    self.lower_case = lower_case
    self._tokenizer = tf_text.FastBertTokenizer(
        list(vocabulary.entries),
        token_out_type=tf.int32,
        unknown_token=vocabulary_lib.UNK,
        lower_case_nfd_strip_accents=lower_case,
    )

  def tokenize(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the pieces of texts, without special tokens.

    Args:
      texts: N texts.

    Returns:
      Ids, Int32 [T], all texts' one after another, and row splits, Int64
      [N + 1]: text i has ids[splits[i]:splits[i + 1]].
    """
    ragged = self.ragged(tf.constant(list(texts), tf.string))
    return ragged.values.numpy(), ragged.row_splits.numpy()

  def ragged(self, texts: tf.Tensor) -> tf.RaggedTensor:
    """Returns the pieces of texts, in the graph too.

    Args:
      texts: String [N].

    Returns:
      Ids without special tokens, Int32 [N, (pieces)].
    """
    return self._tokenizer.tokenize(texts)
