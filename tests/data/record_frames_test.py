"""Records as TensorFlow writes them, byte by byte."""

import numpy as np
import tensorflow as tf

from pd_tf.data import record_frames


def test_files_are_those_of_tensorflow(tmp_path):
  records = [b"", b"a", bytes(range(256)) * 3, b"\xff" * 5000]
  with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
    for record in records:
      writer.write(record)
  splits = np.cumsum([0, *map(len, records)])
  ours = record_frames.framed(b"".join(records), splits)
  assert ours == (tmp_path / "theirs").read_bytes()
  assert len(ours) == splits[-1] + len(records) * record_frames.FRAME_BYTES


def test_nothing_is_no_bytes():
  assert record_frames.framed(b"", np.zeros(1, np.int64)) == b""
