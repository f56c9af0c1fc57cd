"""Answers of a model that is being trained, over packed examples."""

from collections.abc import Callable
from collections.abc import Sequence
from concurrent import futures
import os

import numpy as np
import tensorflow as tf

from pd_tf.data import examples as examples_lib
from pd_tf.data import packing
from pd_tf.modeling import bert
from pd_tf.modeling import rows as rows_lib

# Tokens that are worked through at a time, padding counted.
_TOKENS = 8192
# Of a batch among several: below it products are small.
_LEAST_TOKENS = 1024


class Predictor:
  """Runs a model over examples, packed into rows of one fixed shape."""

  def __init__(
      self, model: bert.Bert, batch_tokens: int = _TOKENS, threads: int = 1
  ):
    """Remembers the model.

    Args:
      model: Its variables may change between two calls.
      batch_tokens: Tokens of a batch, padding counted.
      threads: Batches at a time at the most; more than one takes a model that
        is on one device.
    """
    self._model = model
    self._batch_tokens = batch_tokens
    self._threads = threads
    # One trace for all shapes: the last batch is smaller than the others.
    spec = tf.TensorSpec([None, None], tf.int32)
    self._forward = tf.function(
        model.logits, input_signature=[dict.fromkeys(rows_lib.KEYS, spec)]
    )

  def logits(self, examples: examples_lib.Examples) -> np.ndarray:
    """Returns Float32 [N, C], in the order of the examples."""
    out = np.zeros((len(examples), self._model.num_outputs), np.float32)
    if not len(examples):
      return out
    # No wider than the longest example: attention grows with the width.
    width = int(examples.lengths.max())
    width = max(width, min(128, self._model.config.max_positions))
    shape = packing.Shape(
        max(1, self._batch_tokens // width), width, max(1, width // 3)
    )
    rows = packing.pack(examples.lengths, np.arange(len(examples)), shape)

    def run(start: int) -> None:
      part = rows[start : start + shape.rows]
      exact = packing.Shape(len(part), shape.seq_length, shape.slots)
      batch = packing.batch(examples, part, exact)
      got = self._forward({name: batch[name] for name in rows_lib.KEYS}).numpy()
      for row, members in enumerate(part):
        out[members] = got[row, : len(members)]

    self._map(run, range(0, len(rows), shape.rows))
    return out

  def _map(self, run: Callable[[int], None], starts: Sequence[int]) -> None:
    """Calls `run` with each start, in as many threads as there are."""
    threads = min(self._threads, len(starts))
    if threads == 1:
      for start in starts:
        run(start)
      return
    # Traced here, for all threads.
    self._forward.get_concrete_function()
    with futures.ThreadPoolExecutor(threads) as pool:
      list(pool.map(run, starts))


def over_cores(model: bert.Bert) -> Predictor:
  """Returns what has a batch for each core, as operations may run whole.

  However many cores there are, no more tokens are worked through at a time than
  by one.

  Args:
    model: On one CPU.
  """
  cores = len(os.sched_getaffinity(0))
  threads = min(cores, _TOKENS // _LEAST_TOKENS)
  return Predictor(model, _TOKENS // threads, threads)
