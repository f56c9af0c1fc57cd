"""How large an update of a run is, told before its data is read."""

import collections
from collections.abc import Sequence
import itertools
import pathlib
from typing import NamedTuple

import numpy as np

from pd_tf.config import encoder as encoder_config
from pd_tf.config import errors
from pd_tf.config import train as train_config
from pd_tf.data import tables
from pd_tf.data import transfer
from pd_tf.formats import detect

# What is looked at: a fraction of a second, and enough of files that begin with
# their shortest texts (STS-B).
_EXAMPLES = 8192
_PARTS = 16
# English in WordPieces: 4.0 (STS-B) to 4.7 (SST-2, MRPC); other scripts mostly
# have fewer, and are taken for shorter than they are.
_BYTES_PER_TOKEN = 4.5


class Size(NamedTuple):
  """How large an update is.

  Attributes:
    tokens: About those that are worked through at once.
    width: Of a layer.
  """

  tokens: float
  width: int


def of_run(settings: train_config.TrainConfig) -> Size | None:
  """Returns the size of a run's updates.

  What is wrong with a setting or a file is not said here: the run finds it.

  Args:
    settings: The run.

  Returns:
    None for pre-training, and where it cannot be told without reading weights
    or more than a file of this machine.
  """
  if settings.objective == "pretrain":
    return None
  try:
    tokens, width = _tokens(settings), _hidden_size(settings)
  except (errors.InputError, OSError):
    return None
  if tokens is None or width is None:
    return None
  mean, longest = tokens
  examples = settings.batch_size / settings.accumulation_steps
  # Rows are no shorter than the longest example.
  return Size(max(examples * mean, longest), width)


def _tokens(
    settings: train_config.TrainConfig,
) -> tuple[float, float] | None:
  """Returns those of an example and of the longest; None where unknown."""
  if settings.objective == "distill":
    return _mean_and_most(transfer.first_lengths(
        settings.distillation.transfer_sets, "distillation.transfer_sets",
        _PARTS,
    ))
  config = settings.task.resolved()
  # A pipe is read once; a URL and TFDS need TensorFlow.
  if config.train_file is None or not pathlib.Path(config.train_file).is_file():
    return None
  wanted = tables.Wanted(config.text_columns, config.columns, skip_bad=True)
  rows = tables.rows(config.train_file, wanted, collections.Counter())
  lengths = [
      min(_tokens_of(texts), settings.seq_length)
      for texts in itertools.islice(rows, _EXAMPLES)
  ]
  return _mean_and_most(lengths)


def _mean_and_most(
    lengths: Sequence[float] | np.ndarray,
) -> tuple[float, float] | None:
  if not len(lengths):
    return None
  return float(np.mean(lengths)), float(np.max(lengths))


def _tokens_of(texts: list[tables.Cell]) -> float:
  """Returns about how many tokens an example has, [CLS] and [SEP] counted."""
  size = sum(len(str(text).encode("utf-8")) for text in texts)
  return 1 + len(texts) + size / _BYTES_PER_TOKEN


def _hidden_size(settings: train_config.TrainConfig) -> int | None:
  """Returns the width of a layer; None where only weights say it."""
  config = settings.encoder
  if config is None and settings.init_from is not None:
    config = detect.encoder_of(settings.init_from)
  elif config is None:
    # As `work` has it.
    config = encoder_config.EncoderConfig()
  return None if config is None else config.hidden_size
