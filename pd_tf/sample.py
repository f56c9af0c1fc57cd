"""Generates product reviews to try the whole procedure on.

Reads nothing: the texts come from a grammar, the same for the same seed. They
are generated data, made for the quickstart and for tests; no result on them
says anything of real text.

Writes to run_dir: corpus.txt (reviews, a sentence a line, a blank line between
reviews), transfer.txt (unlabelled texts, one a line), train.tsv and dev.tsv
(sentence and label, 1 for praise), README.txt, config.yaml and result.json.

Example:
  pd-tf sample --run_dir=runs/sample
"""

import pathlib
from typing import Any

from absl import logging

from pd_tf.config import run_dir as run_dir_lib
from pd_tf.config import sample as sample_config
from pd_tf.data import sample

_README = """\
Generated data: product reviews from the grammar of `pd-tf sample`, nobody's
words. The labelled training texts show {seen} of {words} opinion words;
dev.tsv, transfer.txt and corpus.txt use all of them.
"""


def run(
    settings: sample_config.SampleConfig, run_dir: pathlib.Path
) -> dict[str, Any]:
  """Writes the files; returns what `result.json` holds."""
  finished = run_dir_lib.claim(run_dir, settings)
  if finished is not None:
    logging.warning("%s is finished; nothing to do.", run_dir)
    return finished
  seed, seen = settings.seed, sample.seen_words(
      settings.seed, settings.seen_share
  )
  taken: set[str] = set()
  train = sample.examples(
      f"{seed}/train", settings.train_examples, seen.__contains__, taken
  )
  dev = sample.examples(f"{seed}/dev", settings.dev_examples, _any_word, taken)
  transfer = sample.examples(
      f"{seed}/transfer", settings.transfer_texts, _any_word, taken
  )
  reviews = sample.reviews(f"{seed}/corpus", settings.corpus_sentences, taken)
  words = len(sample.opinion_words(True)) + len(sample.opinion_words(False))
  files = {
      "corpus.txt": "\n".join(_lines(review) for review in reviews),
      "transfer.txt": _lines([example.text for example in transfer]),
      "train.tsv": _table(train),
      "dev.tsv": _table(dev),
      "README.txt": _README.format(seen=len(seen), words=words),
  }
  for name, text in files.items():
    run_dir_lib.write_atomically(run_dir / name, text)
  result = {
      "generated": True,
      "corpus_reviews": len(reviews),
      "corpus_sentences": sum(map(len, reviews)),
      "transfer_texts": len(transfer),
      "train_examples": len(train),
      "dev_examples": len(dev),
      "opinion_words": words,
      "opinion_words_in_train": len(seen),
  }
  run_dir_lib.finish(run_dir, result)
  return result


def _any_word(word: str) -> bool:
  del word
  return True


def _lines(texts: list[str]) -> str:
  return "".join(text + "\n" for text in texts)


def _table(examples: list[sample.Example]) -> str:
  rows = [f"{example.text}\t{int(example.positive)}" for example in examples]
  return _lines(["sentence\tlabel", *rows])
