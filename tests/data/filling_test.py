"""Rows: which segments share one."""

import hypothesis
from hypothesis import strategies
import numpy as np

from pd_tf.data import filling


def test_by_hand():
  # 6 opens; 3 goes to it (space 4, 1 left: closed); 7 opens, 5 opens, 3 goes
  # where it leaves least (7, not 5); 4 goes to 5, which has space 5.
  rows = filling.fill(np.array([6, 3, 7, 5, 3, 4]), 10, 4, 8)
  assert rows == [[0, 1], [2, 4], [3, 5]]


def test_window_closes_the_fullest():
  rows = filling.fill(np.array([6, 5, 7, 3, 4, 5]), 10, 4, 2)
  # The third open row is one too many: 7, with space 3, closes before its 3.
  assert rows == [[2], [0, 3], [1, 4], [5]]


@hypothesis.given(
    strategies.lists(strategies.integers(3, 32), min_size=1, max_size=80),
    strategies.integers(1, 5),
    strategies.integers(1, 10),
)
def test_rows_hold_each_segment_once(lengths, max_segments, open_rows):
  rows = filling.fill(np.array(lengths), 32, max_segments, open_rows)
  assert sorted(index for row in rows for index in row) == list(
      range(len(lengths))
  )
  for row in rows:
    assert row == sorted(row)
    assert len(row) <= max_segments
    assert sum(lengths[index] for index in row) <= 32


def test_fills_well():
  generator = np.random.default_rng(0)
  lengths = generator.integers(3, 129, 5000)
  rows = filling.fill(lengths, 128, 4, 256)
  assert lengths.sum() / (128 * len(rows)) > 0.95
