"""Files of safetensors, written; the reading is hugging_face_test's."""

import json
import os
import stat
import struct

import numpy as np
import pytest

from pd_tf.config import errors
from pd_tf.formats import safetensors_file


def test_layout_of_the_file(tmp_path):
  path = tmp_path / "model.safetensors"
  array = np.arange(6, dtype=np.float32).reshape(2, 3)
  safetensors_file.write(path, {"b": array, "a": array[0]})
  data = path.read_bytes()
  (length,) = struct.unpack("<Q", data[:8])
  assert json.loads(data[8 : 8 + length]) == {
      "__metadata__": {"format": "pt"},
      "a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]},
      "b": {"dtype": "F32", "shape": [2, 3], "data_offsets": [12, 36]},
  }
  assert data[8 + length :] == array[0].tobytes() + array.tobytes()


@pytest.mark.parametrize("umask,mode", [(0o022, 0o644), (0o077, 0o600)])
def test_the_umask_tells_who_reads(tmp_path, umask, mode):
  path = tmp_path / "model.safetensors"
  old = os.umask(umask)
  try:
    safetensors_file.write(path, {"a": np.zeros(1, np.float32)})
  finally:
    os.umask(old)
  assert stat.S_IMODE(path.stat().st_mode) == mode


def test_place_that_cannot_be_written(tmp_path):
  path = tmp_path / "model.safetensors"
  path.mkdir()
  with pytest.raises(errors.InputError) as info:
    safetensors_file.write(path, {"a": np.zeros(1, np.float32)})
  assert str(info.value).startswith(f"{path}: cannot be written: ")
  assert "\n" not in str(info.value)


def test_read_back(tmp_path):
  array = np.arange(6, dtype=np.float32).reshape(2, 3)
  safetensors_file.write(tmp_path / safetensors_file.NAME, {"a": array})
  tensors = safetensors_file.Tensors(tmp_path)
  assert tensors.shapes == {"a": (2, 3)}
  np.testing.assert_array_equal(tensors.read("a"), array)


def test_pickles_in_shards_are_all_in_the_command(tmp_path):
  for index in (1, 2):
    (tmp_path / f"pytorch_model-0000{index}-of-00002.bin").write_bytes(b"")
  with pytest.raises(errors.InputError) as info:
    safetensors_file.Tensors(tmp_path)
  assert str(info.value).endswith(
      f" {tmp_path}/model.safetensors"
      f" {tmp_path}/pytorch_model-00001-of-00002.bin"
      f" {tmp_path}/pytorch_model-00002-of-00002.bin"
  )
