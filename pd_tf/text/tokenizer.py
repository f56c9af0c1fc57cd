"""What tokenizes, be it `wordpiece.py`'s or `light_wordpiece.py`'s."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from pd_tf.text import vocabulary as vocabulary_lib


class Tokenizer(Protocol):
  """Tokenizes batches of texts."""

  vocabulary: vocabulary_lib.Vocabulary

  def tokenize(
      self, texts: Sequence[str] | Sequence[bytes]
  ) -> tuple[np.ndarray, np.ndarray]:
    """Returns the pieces of texts, without special tokens.

    Args:
      texts: N texts, or their UTF-8.

    Returns:
      Ids, Int32 [T], all texts' one after another, and row splits, Int64
      [N + 1]: text i has ids[splits[i]:splits[i + 1]].
    """
