"""Checkpoints of plainly named tensors."""

import numpy as np
import pytest
import tensorflow as tf

from pd_tf.config import errors
from pd_tf.formats import checkpoint

_WEIGHTS = {
    "b/kernel": np.array([[1.5, -2.0], [0.25, np.inf]], np.float32),
    "a": np.array([3.0], np.float32),
    "b": np.zeros([0, 2], np.float32),
}


def test_there_and_back(tmp_path):
  checkpoint.write(tmp_path / "m.ckpt", _WEIGHTS)
  read = checkpoint.Checkpoint(tmp_path / "m.ckpt")
  assert read.shapes == {"a": (1,), "b": (0, 2), "b/kernel": (2, 2)}
  tensors = read.read(["b/kernel", "a"])
  assert list(tensors) == ["b/kernel", "a"]
  np.testing.assert_array_equal(tensors["b/kernel"], _WEIGHTS["b/kernel"])


def test_tensorflow_reads_it_in_order(tmp_path):
  checkpoint.write(tmp_path / "m.ckpt", _WEIGHTS)
  assert tf.train.list_variables(str(tmp_path / "m.ckpt")) == [
      ("a", [1]),
      ("b", [0, 2]),
      ("b/kernel", [2, 2]),
  ]


def test_the_same_bytes_for_the_same_weights(tmp_path):
  checkpoint.write(tmp_path / "1", _WEIGHTS)
  checkpoint.write(tmp_path / "2", dict(reversed(_WEIGHTS.items())))
  for ending in (".index", ".data-00000-of-00001"):
    one, two = (tmp_path / (name + ending) for name in "12")
    assert one.read_bytes() == two.read_bytes()


def test_missing(tmp_path):
  with pytest.raises(
      errors.InputError, match=f"^{tmp_path}/m: not a readable checkpoint: "
  ):
    checkpoint.Checkpoint(tmp_path / "m")


def test_place_that_cannot_be_written(tmp_path):
  (tmp_path / "file").touch()
  with pytest.raises(
      errors.InputError, match=f"^{tmp_path}/file/m: cannot be written: "
  ):
    checkpoint.write(tmp_path / "file" / "m", _WEIGHTS)


def test_takes_no_memory_for_what_an_index_claims(tmp_path):
  tf.raw_ops.SaveV2(
      prefix=str(tmp_path / "m"), tensor_names=["table"],
      shape_and_slices=["1000000000000 2 0,1:0,2"],
      tensors=[tf.zeros([1, 2])],
  )
  read = checkpoint.Checkpoint(tmp_path / "m")
  assert read.shapes == {"table": (10**12, 2)}
  with pytest.raises(
      errors.InputError,
      match=f"^{tmp_path}/m: not a readable checkpoint: table has {8 * 10**12}",
  ):
    read.read(["table"])
