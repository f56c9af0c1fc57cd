r"""Turns text into shuffled, packed rows of segments for pre-training.

Reads text files (plain, .gz, .bz2, .xz; a sentence a line, a blank line between
documents) and a vocab.txt. Writes to run_dir: segments-*.tfrecord, vocab.txt,
manifest.json (settings, inputs with their SHA-256, counts), config.yaml and
result.json. All segments of all files are shuffled once, globally, so training
may read the shards in order. Segments are packed into rows of seq_length.

Example:
  pd-tf prepare --inputs='corpus/*.txt.xz' --vocab_file=vocab.txt \
      --run_dir=runs/segments
"""

import pathlib
from typing import Any

from absl import logging
import numpy as np

from pd_tf.config import errors
from pd_tf.config import prepare as prepare_config
from pd_tf.config import run_dir as run_dir_lib
from pd_tf.config import settings as settings_lib
from pd_tf.data import corpus as corpus_lib
from pd_tf.data import filling
from pd_tf.data import segments as segments_lib
from pd_tf.data import shards
from pd_tf.data import text_files
from pd_tf.text import vocabulary as vocabulary_lib
from pd_tf.text import wordpiece

# Rows kept open while filling: more fill better and mix less.
_OPEN_ROWS = 256


def run(
    settings: prepare_config.PrepareConfig, run_dir: pathlib.Path | None
) -> dict[str, Any]:
  """Prepares segments.

  Args:
    settings: What is read and how it is cut.
    run_dir: Directory of the segments.

  Returns:
    Counts, as in manifest.json.

  Raises:
    InputError: An input or the vocabulary is not what it must be, or run_dir
      belongs to other settings.
  """
  if run_dir is None:
    raise errors.InputError("run_dir: expected a directory, got none.")
  if settings.vocab_file is None:
    raise errors.InputError("vocab_file: expected a vocab.txt, got none.")
  vocabulary = vocabulary_lib.read(settings.vocab_file)
  paths = text_files.expand(settings.inputs, "inputs")
  if (result := run_dir_lib.claim(run_dir, settings)) is not None:
    logging.info("%s is finished already.", run_dir)
    return result
  # What a killed run left is of no use without its manifest.
  (run_dir / shards.MANIFEST_FILE).unlink(missing_ok=True)
  tokenizer = wordpiece.WordPiece(vocabulary, settings.lower_case)
  corpus = corpus_lib.read(paths, tokenizer, settings.max_sentences)
  segments = _shuffled(_cut(corpus, settings), settings.seed)
  rows = filling.fill(
      segments.num_tokens, settings.seq_length, settings.max_segments,
      _OPEN_ROWS,
  )
  # The rows that stayed open longest come last; shuffled again, none does.
  order = np.random.default_rng([settings.seed, 2]).permutation(len(rows))
  rows = [rows[i] for i in order]
  files = shards.write(
      run_dir, corpus, segments, rows, vocabulary, settings.num_shards
  )
  vocabulary_lib.write(run_dir / shards.VOCAB_FILE, vocabulary.entries)
  counts = _counts(corpus, segments, len(rows), vocabulary, settings)
  shards.write_manifest(
      run_dir, _manifest(settings, paths, vocabulary, counts, files)
  )
  run_dir_lib.finish(run_dir, counts)
  return counts


def _cut(
    corpus: corpus_lib.Corpus, settings: prepare_config.PrepareConfig
) -> segments_lib.Segments:
  make = segments_lib.pairs if settings.next_sentence else segments_lib.singles
  return make(
      corpus, settings.seq_length, settings.short_share, settings.seed
  )


def _shuffled(
    segments: segments_lib.Segments, seed: int
) -> segments_lib.Segments:
  generator = np.random.default_rng([seed, 1])
  return segments.take(generator.permutation(len(segments)))


def _counts(
    corpus: corpus_lib.Corpus,
    segments: segments_lib.Segments,
    num_rows: int,
    vocabulary: vocabulary_lib.Vocabulary,
    settings: prepare_config.PrepareConfig,
) -> dict[str, Any]:
  lengths = segments.num_tokens
  unknown = np.count_nonzero(
      corpus.tokens == vocabulary.id_of(vocabulary_lib.UNK)
  )
  return {
      "num_documents": corpus.num_documents,
      "num_sentences": corpus.num_sentences,
      "num_tokens": len(corpus.tokens),
      "unknown_share": unknown / len(corpus.tokens),
      "num_segments": len(segments),
      "num_segment_tokens": int(lengths.sum()),
      "random_next_share": float(segments.random_next.mean()),
      "num_rows": num_rows,
      "fill_share": float(lengths.sum()) / (num_rows * settings.seq_length),
      "length_histogram": _histogram(lengths, settings.seq_length),
  }


def _histogram(lengths: np.ndarray, seq_length: int) -> dict[str, int]:
  """Returns numbers of segments by eighths of a row, as "17-32": 5."""
  edges = np.unique(np.linspace(0, seq_length, 9).astype(int))
  counts, _ = np.histogram(lengths, edges + 0.5)
  return {
      f"{low + 1}-{high}": int(count)
      for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
  }


def _manifest(
    settings: prepare_config.PrepareConfig,
    paths: list[pathlib.Path],
    vocabulary: vocabulary_lib.Vocabulary,
    counts: dict[str, Any],
    files: list[dict[str, Any]],
) -> dict[str, Any]:
  inputs = [
      {
          "path": str(path),
          "bytes": path.stat().st_size,
          "sha256": text_files.sha256(path),
      }
      for path in paths
  ]
  return {
      "settings": settings_lib.to_mapping(settings),
      "seq_length": settings.seq_length,
      "max_segments": settings.max_segments,
      "next_sentence": settings.next_sentence,
      "lower_case": settings.lower_case,
      "vocab_size": len(vocabulary),
      "vocab_sha256": vocabulary.sha256,
      "inputs": inputs,
      **counts,
      "shards": files,
  }
