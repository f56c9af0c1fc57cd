"""Corpora: documents of sentences, tokenized."""

import numpy as np
import pytest

from pd_tf.config import errors
from pd_tf.data import corpus as corpus_lib
from pd_tf.text import vocabulary
from pd_tf.text import wordpiece

ENTRIES = (*vocabulary.SPECIAL_TOKENS, "a", "b", "c", "##c", ".")


@pytest.fixture(name="tokenizer", scope="module")
def _tokenizer():
  return wordpiece.WordPiece(vocabulary.Vocabulary(ENTRIES))


def _write(path, text):
  path.write_text(text, encoding="utf-8")
  return path


def _documents(corpus):
  """Returns the corpus as lists of lists of lists of entries."""
  sentences = np.split(corpus.tokens, corpus.sentence_splits[1:-1])
  named = [[ENTRIES[i] for i in sentence] for sentence in sentences]
  bounds = corpus.document_splits.tolist()
  return [
      named[i:j] for i, j in zip(bounds[:-1], bounds[1:], strict=True)
  ]


def test_documents_of_two_files(tmp_path, tokenizer):
  paths = [
      _write(tmp_path / "1.txt", "\n\na b.\n  ac \n\n \t\nC"),
      _write(tmp_path / "2.txt", "b\n"),
  ]
  corpus = corpus_lib.read(paths, tokenizer)
  assert _documents(corpus) == [
      [["a", "b", "."], ["a", "##c"]], [["c"]], [["b"]]
  ]
  assert corpus.tokens.dtype == np.uint16
  assert (corpus.num_documents, corpus.num_sentences) == (3, 4)


def test_sentences_and_documents_without_tokens_are_left_out(
    tmp_path, tokenizer
):
  # U+0001 is a control character: the tokenizer drops it.
  path = _write(tmp_path / "1.txt", "\x01\n\na\n\x01\nb\n\n\x01\n\nc\n\n\x01")
  corpus = corpus_lib.read([path], tokenizer)
  assert _documents(corpus) == [[["a"], ["b"]], [["c"]]]


def test_max_sentences_is_per_file(tmp_path, tokenizer):
  paths = [
      _write(tmp_path / "1.txt", "a\nb\n\nc\na"),
      _write(tmp_path / "2.txt", "b\nb\nb\nc"),
  ]
  corpus = corpus_lib.read(paths, tokenizer, max_sentences=3)
  assert _documents(corpus) == [
      [["a"], ["b"]], [["c"]], [["b"], ["b"], ["b"]]
  ]


def test_batches_do_not_cut_documents(tmp_path, tokenizer, monkeypatch):
  path = _write(tmp_path / "1.txt", "a\nb c\n\nc\na\nb\n\n" * 5)
  whole = corpus_lib.read([path], tokenizer)
  monkeypatch.setattr(corpus_lib, "_BATCH_SENTENCES", 3)
  batched = corpus_lib.read([path], tokenizer)
  assert _documents(batched) == _documents(whole)
  assert whole.num_documents == 10


def test_large_vocabularies_get_wide_tokens(tmp_path):
  entries = (*ENTRIES, *(f"word{i}" for i in range(65536)), "last")
  tokenizer = wordpiece.WordPiece(vocabulary.Vocabulary(entries))
  path = _write(tmp_path / "1.txt", "last a")
  corpus = corpus_lib.read([path], tokenizer)
  assert corpus.tokens.dtype == np.int32
  assert corpus.tokens.tolist() == [len(entries) - 1, ENTRIES.index("a")]


def test_blank_file(tmp_path, tokenizer):
  path = _write(tmp_path / "1.txt", "\n \n")
  with pytest.raises(errors.InputError, match=f"^{path}: expected sentences"):
    corpus_lib.read([path], tokenizer)


def test_no_tokens_at_all(tmp_path, tokenizer):
  path = _write(tmp_path / "1.txt", "\x01\n")
  with pytest.raises(errors.InputError, match="^inputs: expected sentences"):
    corpus_lib.read([path], tokenizer)
