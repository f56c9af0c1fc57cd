"""Documents of sentences out of text files, as flat arrays of WordPiece ids.

The form of the files is google-research/bert's: a sentence a line, a blank
line between documents. A file's end ends a document.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import itertools
import pathlib

import numpy as np
import tqdm

from pd_tf.config import errors
from pd_tf.data import text_files
from pd_tf.text import wordpiece

# Enough for the tokenizer's call to cost nothing, few enough (about 1 MB of
# text) for the texts not to count in memory.
_BATCH_SENTENCES = 8192


@dataclasses.dataclass(frozen=True)
class Corpus:
  """Tokens of sentences of documents, all one after another.

  Attributes:
    tokens: Uint16 (Int32 for vocabularies above 65,536) [T], WordPiece ids
      without special tokens.
    sentence_splits: Int64 [N + 1]; sentence i has
      tokens[sentence_splits[i]:sentence_splits[i + 1]], at least one.
    document_splits: Int64 [D + 1]; document d has the sentences from
      document_splits[d] to document_splits[d + 1] - 1, at least one.
  """

  tokens: np.ndarray
  sentence_splits: np.ndarray
  document_splits: np.ndarray

  @property
  def num_documents(self) -> int:
    """Documents, D."""
    return len(self.document_splits) - 1

  @property
  def num_sentences(self) -> int:
    """Sentences, N."""
    return len(self.sentence_splits) - 1


def sentences(
    path: pathlib.Path, max_sentences: int | None = None
) -> Iterator[tuple[str, bool]]:
  """Yields each sentence of a file and whether it starts a document.

  Args:
    path: Text file, plain or compressed.
    max_sentences: Stop after this many; None reads all.

  Raises:
    InputError: The file cannot be read as text or has only blank lines.
  """
  count, starts_document = 0, True
  for line in text_files.lines(path):
    line = line.strip()
    if not line:
      starts_document = True
      continue
    yield line, starts_document
    count, starts_document = count + 1, False
    if count == max_sentences:
      return
  if not count:
    raise errors.InputError(
        f"{path}: expected sentences, it has only blank lines."
    )


def read(
    paths: Sequence[pathlib.Path],
    tokenizer: wordpiece.WordPiece,
    max_sentences: int | None = None,
) -> Corpus:
  """Returns the tokenized documents of files, in order.

  Sentences without a token (control characters only) are left out, and so are
  documents without a sentence.

  Args:
    paths: Text files.
    tokenizer: Turns sentences into ids.
    max_sentences: Read only this many sentences of each file.

  Raises:
    InputError: A file cannot be read as text, or no sentence has a token.
  """
  large = len(tokenizer.vocabulary) > np.iinfo(np.uint16).max + 1
  tokens: list[np.ndarray] = []
  lengths: list[np.ndarray] = []
  starts: list[np.ndarray] = []
  for batch in _batches(paths, max_sentences):
    ids, splits = tokenizer.tokenize([text for text, _ in batch])
    tokens.append(ids.astype(np.int32 if large else np.uint16))
    lengths.append(np.diff(splits))
    starts.append(np.array([start for _, start in batch]))
  all_lengths = np.concatenate(lengths)
  if not all_lengths.any():
    raise errors.InputError("inputs: expected sentences, none has a token.")
  return _without_empty(
      np.concatenate(tokens), all_lengths, np.concatenate(starts)
  )


def _batches(
    paths: Sequence[pathlib.Path], max_sentences: int | None
) -> Iterator[list[tuple[str, bool]]]:
  for path in paths:
    found = sentences(path, max_sentences)
    with tqdm.tqdm(
        desc=path.name, unit=" sentences", unit_scale=True, disable=None
    ) as progress:
      while batch := list(itertools.islice(found, _BATCH_SENTENCES)):
        yield batch
        progress.update(len(batch))


def _without_empty(
    tokens: np.ndarray, lengths: np.ndarray, starts: np.ndarray
) -> Corpus:
  """Returns the corpus of the sentences that have tokens.

  Args:
    tokens: [T], of all sentences.
    lengths: Int64 [N], tokens of each sentence, possibly 0.
    starts: Bool [N], whether a sentence is the first of a document.
  """
  kept = np.concatenate([[0], np.cumsum(lengths > 0)])
  bounds = np.concatenate([np.flatnonzero(starts), [len(lengths)]])
  return Corpus(
      tokens=tokens,
      sentence_splits=np.concatenate([[0], np.cumsum(lengths[lengths > 0])]),
      # A document that lost all its sentences has two equal bounds.
      document_splits=np.unique(kept[bounds]),
  )
