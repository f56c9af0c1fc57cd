"""Packs examples into rows, and rows into batches of fixed shape."""

from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

from pd_tf.data import examples as examples_lib

if TYPE_CHECKING:
  import tensorflow as tf

# Examples among which a row is filled: best-fit over this many leaves about
# 1 % of the positions empty; more would gain nothing.
_WINDOW = 2048
# How far from the batch size whole rows may be, as a share of it.
_TOLERANCE = 0.05
# Shorter rows are of a multiple of as many positions: those of a vector.
_STEP = 8
# Batches that are written by one call of numpy's functions, of small ones: of a
# single one the calls take longer than the update.
_AT_ONCE = 16
# Positions of them at the most, for large batches and long rows.
_MOST_POSITIONS = 2**18
# How full rows are follows from their length, and that from how full they are.
_TRIALS = 3
# Of fewer rows, the share of the last one is too large to tell how full they
# are.
_LEAST_ROWS = 8


@dataclasses.dataclass(frozen=True)
class Shape:
  """The static shape of a batch.

  Attributes:
    rows: B.
    seq_length: S, at least that of the longest example.
    slots: E, examples of a row at the most.
  """

  rows: int
  seq_length: int
  slots: int


def shape_for(
    examples: examples_lib.Examples, batch_size: int, seq_length: int
) -> Shape:
  """Returns the shape that holds about `batch_size` examples.

  Differs from a padded batch: an update has batch_size examples on average,
  not each time, because rows are filled with what fits. Where whole rows of
  seq_length hold quite another number, rows are as much shorter as comes
  nearer to it.
  """
  lengths = examples.lengths
  mean, longest = float(lengths.mean()), int(lengths.max())
  shape = _shape(round(batch_size * mean / seq_length), seq_length, mean)
  order = np.random.default_rng(0).permutation(len(lengths))[:_WINDOW]
  tried = []
  for _ in range(_TRIALS):
    filled = _fill(lengths[order], shape)
    count = shape.rows * shape.seq_length * filled / mean
    tried.append((abs(count - batch_size), shape))
    if abs(count - batch_size) <= _TOLERANCE * batch_size:
      return shape
    wanted = batch_size * mean / filled
    rows = math.ceil(wanted / seq_length)
    length = _STEP * max(
        round(wanted / rows / _STEP), math.ceil(longest / _STEP)
    )
    if length >= seq_length:
      rows, length = round(wanted / seq_length), seq_length
    shape = _shape(rows, length, mean)
  return min(tried, key=lambda trial: trial[0])[1]


def pack(
    lengths: np.ndarray,
    order: np.ndarray,
    shape: Shape,
    generator: np.random.Generator | None = None,
) -> list[list[int]]:
  """Returns rows of example indices.

  Args:
    lengths: Int [N], each at most S.
    order: Int [M], indices of the examples to pack, in the order wanted; an
      example moves by one window at the most.
    shape: S and E of the rows.
    generator: Shuffles the rows of a window; None leaves the longest first.
  """
  rows: list[list[int]] = []
  for start in range(0, len(order), _WINDOW):
    window = order[start : start + _WINDOW]
    packed = _best_fit(lengths[window], window, shape)
    if generator is not None:
      packed = [packed[i] for i in generator.permutation(len(packed))]
    rows += packed
  return rows


def batch(
    examples: examples_lib.Examples,
    rows: Sequence[Sequence[int]],
    shape: Shape,
) -> dict[str, np.ndarray]:
  """Returns one batch of at most B rows, padded with empty ones.

  Returns:
    Int32 `input_ids`, `type_ids`, `position_ids`, `example_ids` [B, S] and
    `cls_positions` [B, E]; Float32 `example_weights` [B, E], 1 where there is
    an example; `labels` [B, E] (of several labels [B, E, C]) and Float32
    `label_weights` of their shape, 0 where a label is not known;
    `teacher_logits` Float32 [B, E, C] where the examples have them.
  """
  counts = np.array([len(members) for members in rows], int)
  row = np.repeat(np.arange(len(rows)), counts)
  slot = examples_lib.ranges(np.zeros_like(counts), counts)
  taken = examples.take(np.array(list(itertools.chain(*rows)), int))
  lengths, firsts = taken.lengths, taken.splits[np.cumsum(counts) - counts]
  starts = taken.splits[:-1] - firsts[row]
  of_tokens = {
      "input_ids": taken.tokens,
      "position_ids": examples_lib.ranges(np.zeros_like(lengths), lengths),
      "example_ids": np.repeat(slot + 1, lengths),
  }
  of_tokens["type_ids"] = (
      of_tokens["position_ids"] >= np.repeat(taken.first_lengths, lengths)
  )
  at = examples_lib.ranges(row * shape.seq_length + starts, lengths)
  out = {}
  for name, values in of_tokens.items():
    out[name] = np.zeros((shape.rows, shape.seq_length), np.int32)
    out[name].reshape(-1)[at] = values
  known = taken.known
  of_examples = {
      "cls_positions": starts.astype(np.int32),
      "example_weights": np.ones(len(taken), np.float32),
      "labels": np.where(known, taken.labels, 0).astype(taken.labels.dtype),
      "label_weights": known.astype(np.float32),
  }
  if taken.teacher_logits is not None:
    of_examples["teacher_logits"] = taken.teacher_logits.astype(np.float32)
  for name, values in of_examples.items():
    size = (shape.rows, shape.slots, *values.shape[1:])
    out[name] = np.zeros(size, values.dtype)
    out[name][row, slot] = values
  return out


def batches(
    examples: examples_lib.Examples, shape: Shape, seed: int, start_step: int
) -> Iterator[dict[str, np.ndarray]]:
  """Yields training batches without end.

  Batch k depends on (examples, shape, seed, k) only.

  Args:
    examples: At least one.
    shape: Of the batches.
    seed: Of the order, which differs in each pass.
    start_step: The first batch to yield; 0 is the first there is.
  """
  for group in _groups(examples, shape, seed, start_step):
    for number in range(len(group["input_ids"])):
      yield {name: array[number] for name, array in group.items()}


def rows_per_epoch(
    examples: examples_lib.Examples, shape: Shape, seed: int
) -> int:
  """Returns the number of rows that the first pass fills."""
  generator = np.random.default_rng([seed, 0])
  return len(
      pack(examples.lengths, generator.permutation(len(examples)), shape)
  )


def dataset(
    examples: examples_lib.Examples, shape: Shape, seed: int, start_step: int
) -> "tf.data.Dataset":
  """Returns `batches` as an endless data set of static shapes."""
  # Not above: who packs texts for a runtime of its own needs none.
  import tensorflow as tf

  like = batch(examples, [[0]], shape)
  signature = {
      name: tf.TensorSpec([None, *array.shape], array.dtype)
      for name, array in like.items()
  }
  # Python is asked for a group, as asking takes as long as writing one.
  return tf.data.Dataset.from_generator(
      lambda: _groups(examples, shape, seed, start_step),
      output_signature=signature,
  ).unbatch().prefetch(8)


def _groups(
    examples: examples_lib.Examples, shape: Shape, seed: int, start_step: int
) -> Iterator[dict[str, np.ndarray]]:
  """Yields some of the `batches` at a time, as arrays [batches, B, ...]."""
  at_once = _MOST_POSITIONS // (shape.rows * shape.seq_length)
  at_once = max(1, min(_AT_ONCE, at_once))
  lengths = examples.lengths
  skip = start_step * shape.rows
  left: list[list[int]] = []
  for epoch in itertools.count():
    generator = np.random.default_rng([seed, epoch])
    rows = left + pack(
        lengths, generator.permutation(len(examples)), shape, generator
    )
    first = min(skip, len(rows) - len(rows) % shape.rows)
    skip -= first
    last = len(rows) - (len(rows) - first) % shape.rows
    for start in range(first, last, at_once * shape.rows):
      some = rows[start : min(start + at_once * shape.rows, last)]
      made = batch(examples, some, dataclasses.replace(shape, rows=len(some)))
      yield {
          name: array.reshape(-1, shape.rows, *array.shape[1:])
          for name, array in made.items()
      }
    left = rows[last:]


def _shape(rows: int, seq_length: int, mean: float) -> Shape:
  # Twice the mean count: rows of very short texts close before they are full.
  slots = min(seq_length // 3, math.ceil(2 * seq_length / mean))
  return Shape(max(1, rows), seq_length, max(1, slots))


def _fill(lengths: np.ndarray, shape: Shape) -> float:
  """Returns which share of the positions examples fill."""
  rows = len(pack(lengths, np.arange(len(lengths)), shape))
  if rows < _LEAST_ROWS:
    return 1.0
  return float(lengths.sum()) / (rows * shape.seq_length)


def _best_fit(
    lengths: np.ndarray, window: np.ndarray, shape: Shape
) -> list[list[int]]:
  """Packs one window, longest first, each into the fullest row it fits."""
  rows: list[list[int]] = []
  open_rows: list[list[int]] = [[] for _ in range(shape.seq_length + 1)]
  # Bit c of `free` is set while some open row has c positions free, so the
  # tightest row for a length is the lowest bit at or above it.
  free = 0
  for i in np.argsort(-lengths, kind="stable").tolist():
    length = int(lengths[i])
    fitting = free >> length
    if fitting:
      space = length + (fitting & -fitting).bit_length() - 1
      row = open_rows[space].pop()
      if not open_rows[space]:
        free &= ~(1 << space)
    else:
      space, row = shape.seq_length, len(rows)
      rows.append([])
    rows[row].append(int(window[i]))
    if len(rows[row]) < shape.slots and space > length:
      open_rows[space - length].append(row)
      free |= 1 << (space - length)
  return rows
