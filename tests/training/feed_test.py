"""Rows of replicas and micro-batches: none lost, none twice, in order."""

import hypothesis
from hypothesis import strategies as st
import numpy as np
import tensorflow as tf

from pd_tf.training import feed


@hypothesis.given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 3))
def test_rows_are_split_in_order(rows, replicas, parts):
  batch = {"x": tf.reshape(tf.range(1, 2 * rows + 1), [rows, 2])}
  split = feed.split(batch, replicas, parts)["x"].numpy()
  assert split.shape[0] == replicas and split.shape[1] % parts == 0
  # Fewer than one more row for each part.
  assert split.shape[0] * split.shape[1] - rows < replicas * parts
  flat = split.reshape(-1, 2)
  np.testing.assert_array_equal(flat[:rows], batch["x"])
  assert not flat[rows:].any()


def _dataset():
  batches = tf.reshape(tf.range(1, 31), [6, 5])
  return tf.data.Dataset.from_tensor_slices({"x": batches}).repeat()


def test_two_replicas_get_what_one_gets(two_replicas):
  one = feed.distributed(tf.distribute.OneDeviceStrategy("/cpu:0"), _dataset)
  two = feed.distributed(two_replicas, _dataset)
  for _ in range(8):
    expected = next(one)["x"].numpy()
    local = two_replicas.experimental_local_results(next(two)["x"])
    got = np.concatenate([part.numpy() for part in local])
    # Three rows each: one of zeros fills up the second's.
    np.testing.assert_array_equal(got, [*expected, 0])
