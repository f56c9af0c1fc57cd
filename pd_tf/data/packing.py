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
  size, slots = (shape.rows, shape.seq_length), (shape.rows, shape.slots)
  out = {
      name: np.zeros(size, np.int32)
      for name in ("input_ids", "type_ids", "position_ids", "example_ids")
  }
  out["cls_positions"] = np.zeros(slots, np.int32)
  out["example_weights"] = np.zeros(slots, np.float32)
  at, indices = [], []
  for row, members in enumerate(rows):
    start = 0
    for slot, index in enumerate(members):
      start = _place(out, examples, row, start, slot, index)
      at.append((row, slot))
      indices.append(index)
  _place_targets(out, examples, slots, np.array(at, int).reshape(-1, 2),
                 np.array(indices, int))
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
    for start in range(first, last, shape.rows):
      yield batch(examples, rows[start : start + shape.rows], shape)
    left = rows[last:]


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
      name: tf.TensorSpec(array.shape, array.dtype)
      for name, array in like.items()
  }
  return tf.data.Dataset.from_generator(
      lambda: batches(examples, shape, seed, start_step),
      output_signature=signature,
  ).prefetch(8)


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


def _place(
    out: dict[str, np.ndarray],
    examples: examples_lib.Examples,
    row: int,
    start: int,
    slot: int,
    index: int,
) -> int:
  """Writes an example into a row and returns where the next one starts."""
  tokens = examples.tokens[examples.splits[index] : examples.splits[index + 1]]
  end = start + len(tokens)
  out["input_ids"][row, start:end] = tokens
  out["type_ids"][row, start + examples.first_lengths[index] : end] = 1
  out["position_ids"][row, start:end] = np.arange(end - start)
  out["example_ids"][row, start:end] = slot + 1
  out["cls_positions"][row, slot] = start
  out["example_weights"][row, slot] = 1
  return end


def _place_targets(
    out: dict[str, np.ndarray],
    examples: examples_lib.Examples,
    slots: tuple[int, int],
    at: np.ndarray,
    indices: np.ndarray,
) -> None:
  where = (at[:, 0], at[:, 1])
  size = slots + examples.labels.shape[1:]
  labels = np.zeros(size, examples.labels.dtype)
  label_weights = np.zeros(size, np.float32)
  known = examples.known[indices]
  labels[where] = np.where(known, examples.labels[indices], 0)
  label_weights[where] = known
  out["labels"], out["label_weights"] = labels, label_weights
  if examples.teacher_logits is not None:
    classes = examples.teacher_logits.shape[1]
    logits = np.zeros((*slots, classes), np.float32)
    logits[where] = examples.teacher_logits[indices]
    out["teacher_logits"] = logits
