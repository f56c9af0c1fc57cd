"""Which segments share a row."""

import numpy as np

# [CLS], one piece, [SEP].
_SHORTEST = 3


def fill(
    lengths: np.ndarray, row_length: int, max_segments: int, open_rows: int
) -> list[list[int]]:
  """Puts segments into rows, each where it leaves the least space.

  Only a window of rows is open at a time, so rows are made of segments that
  are near each other in the order given; where that is shuffled, the rows are
  random too. When the window is full its fullest row is closed.

  Args:
    lengths: Int64 [N], tokens of each segment, at most row_length.
    row_length: Tokens of a row, S.
    max_segments: Segments of a row at the most, E.
    open_rows: Size of the window.

  Returns:
    The indices of the segments of each row, ascending within a row.
  """
  rows: list[list[int]] = []
  # by_space[s]: the open rows that have space for s tokens.
  by_space: list[list[list[int]]] = [[] for _ in range(row_length + 1)]
  num_open = 0
  for index, length in enumerate(lengths.tolist()):
    space = _tightest(by_space, length)
    if space is None:
      row, left = [index], row_length - length
    else:
      row, left = by_space[space].pop(0), space - length
      row.append(index)
      num_open -= 1
    if left < _SHORTEST or len(row) == max_segments:
      rows.append(row)
      continue
    by_space[left].append(row)
    num_open += 1
    if num_open > open_rows:
      fullest = _tightest(by_space, 0)
      assert fullest is not None
      rows.append(by_space[fullest].pop(0))
      num_open -= 1
  for open_at_end in by_space:
    rows.extend(open_at_end)
  return rows


def _tightest(by_space: list[list[list[int]]], length: int) -> int | None:
  """Returns the smallest space of an open row that takes `length` tokens."""
  for space in range(length, len(by_space)):
    if by_space[space]:
      return space
  return None
