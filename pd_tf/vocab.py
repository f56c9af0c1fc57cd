"""Learns a WordPiece vocabulary from text.

Reads text files (plain, .gz, .bz2, .xz), UTF-8, a sentence or text a line.
Writes to run_dir: vocab.txt (an entry a line: special tokens, characters, words
and pieces, then [unusedN] up to vocab_size), config.yaml and result.json
(numbers of entries and words, pieces a word, share of unknown words). English
needs no vocabulary of its own: the released one of 30,522 entries fits all 24
sizes.

Example:
  pd-tf vocab --inputs='corpus/*.txt' --vocab_size=8000 --run_dir=runs/vocab
"""

from collections.abc import Iterator
import pathlib
from typing import Any

from absl import logging
import tqdm

from pd_tf.config import errors
from pd_tf.config import run_dir as run_dir_lib
from pd_tf.config import vocab as vocab_config
from pd_tf.data import text_files
from pd_tf.text import learning
from pd_tf.text import vocabulary as vocabulary_lib
from pd_tf.text import wordpiece

VOCAB_FILE = "vocab.txt"


def run(
    settings: vocab_config.VocabConfig, run_dir: pathlib.Path | None
) -> dict[str, Any]:
  """Learns a vocabulary.

  Args:
    settings: What is read and how many entries are wanted.
    run_dir: Directory of vocab.txt.

  Returns:
    Numbers of entries and words, and how the vocabulary splits the words.

  Raises:
    InputError: An input is not what it must be, or run_dir belongs to other
      settings.
  """
  if run_dir is None:
    raise errors.InputError("run_dir: expected a directory, got none.")
  paths = text_files.expand(settings.inputs, "inputs")
  if (result := run_dir_lib.claim(run_dir, settings)) is not None:
    logging.info("%s is finished already.", run_dir)
    return result
  word_counts = learning.count_words(_lines(paths), settings.lower_case)
  entries = learning.learn(
      word_counts, settings.vocab_size, settings.unused_entries
  )
  # Exactly as many as asked for, so that encoder.vocab_size can be set before.
  missing = settings.vocab_size - len(entries)
  entries += [
      f"[unused{settings.unused_entries + i}]" for i in range(missing)
  ]
  vocabulary_lib.write(run_dir / VOCAB_FILE, entries)
  vocabulary = vocabulary_lib.read(run_dir / VOCAB_FILE)
  result = {
      "vocab_size": len(vocabulary),
      "learned_entries": len(vocabulary) - missing,
      "vocab_sha256": vocabulary.sha256,
      "num_words": sum(word_counts.values()),
      "num_distinct_words": len(word_counts),
      **_fit(vocabulary, word_counts, settings.lower_case),
  }
  run_dir_lib.finish(run_dir, result)
  return result


def _lines(paths: list[pathlib.Path]) -> Iterator[str]:
  for path in paths:
    yield from tqdm.tqdm(
        text_files.lines(path),
        desc=path.name, unit=" lines", unit_scale=True, disable=None,
    )


def _fit(
    vocabulary: vocabulary_lib.Vocabulary,
    word_counts: dict[str, int],
    lower_case: bool,
) -> dict[str, float]:
  """Returns pieces of a word, on average, and the share of unknown words."""
  tokenizer = wordpiece.WordPiece(vocabulary, lower_case)
  ids, splits = tokenizer.tokenize(list(word_counts))
  unknown_id = vocabulary.id_of(vocabulary_lib.UNK)
  total = sum(word_counts.values())
  pieces = unknown = 0
  for count, start, stop in zip(
      word_counts.values(), splits[:-1], splits[1:], strict=True
  ):
    pieces += count * int(stop - start)
    unknown += count * int(unknown_id in ids[start:stop])
  return {"pieces_per_word": pieces / total, "unknown_share": unknown / total}
