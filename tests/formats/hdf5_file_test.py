"""Tensors of HDF5 files, and what must not be read of them."""

import os

import h5py
import ml_dtypes
import numpy as np
import pytest

from pd_tf.config import errors
from pd_tf.formats import hdf5_file


def _write(path, **tensors):
  with h5py.File(path, "w") as file:
    for name, tensor in tensors.items():
      file[f"layers/{name}/vars/0"] = tensor
  return path


def _open(*paths):
  return hdf5_file.Tensors(paths[0], paths, str)


def _expect_error(message, *paths):
  with pytest.raises(errors.InputError) as info:
    tensors = _open(*paths)
    for name in tensors.shapes:
      tensors.read(name)
  assert message in str(info.value)
  assert "\n" not in str(info.value)


def test_names_shapes_and_values(tmp_path):
  array = np.arange(6, dtype=np.float32).reshape(2, 3)
  tensors = _open(_write(tmp_path / "a", x=array, y=np.float32(3)))
  assert tensors.shapes == {"layers/x/vars/0": (2, 3), "layers/y/vars/0": ()}
  read = tensors.read("layers/x/vars/0")
  assert read.dtype == np.float32
  np.testing.assert_array_equal(read, array)


def test_names_are_renamed(tmp_path):
  path = _write(tmp_path / "a", x=np.float32(1))
  tensors = hdf5_file.Tensors(path, [path], str.upper)
  assert tensors.shapes.keys() == {"LAYERS/X/VARS/0"}
  assert tensors.read("LAYERS/X/VARS/0") == 1


def test_several_files_hold_each_tensor_once(tmp_path):
  a = _write(tmp_path / "a", x=np.float32(1))
  b = _write(tmp_path / "b", y=np.float32(2))
  tensors = _open(a, b)
  assert tensors.read("layers/y/vars/0") == 2
  _expect_error(f"{a}: holds layers/x/vars/0 twice.", a, a)


def test_half_precision_becomes_float32(tmp_path):
  array = np.array([1.5, -3.25, 1e-3, 40000], np.float32)
  half = array.astype(np.float16)
  brain = array.astype(ml_dtypes.bfloat16)
  path = tmp_path / "a"
  with h5py.File(path, "w") as file:
    file["half"] = half
    # As Keras writes it.
    file.create_dataset("brain", data=brain).attrs["dtype"] = "bfloat16"
  tensors = _open(path)
  for name, expected in (("half", half), ("brain", brain)):
    read = tensors.read(name)
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, expected.astype(np.float32))


@pytest.mark.parametrize("dtype", [np.int8, np.float64, "S3"])
def test_other_types_are_refused(tmp_path, dtype):
  path = _write(tmp_path / "a", x=np.zeros([2], dtype))
  _expect_error(f"{path}: layers/x/vars/0 must be float32, float16 or", path)


@pytest.mark.parametrize("size", [0, 4, 100, 800, -1])
def test_truncated(tmp_path, size):
  path = _write(tmp_path / "a", x=np.ones([99, 9], np.float32))
  path.write_bytes(path.read_bytes()[:size])
  _expect_error(f"{path}: not a readable HDF5 file: ", path)


def test_no_file(tmp_path):
  _expect_error(f"{tmp_path / 'a'}: no such file.", tmp_path / "a")
  _expect_error(f"{tmp_path}: not a readable HDF5 file: ", tmp_path)


def test_a_name_of_other_bytes(tmp_path):
  path = _write(tmp_path / "a", xyz=np.ones([2], np.float32))
  path.write_bytes(path.read_bytes().replace(b"xyz", b"x\xffz"))
  _expect_error(f"{path}: not a readable HDF5 file: name b'", path)


def test_links_are_not_followed(tmp_path):
  other = _write(tmp_path / "other", secret=np.ones([3], np.float32))
  path = _write(tmp_path / "a", x=np.ones([2], np.float32))
  with h5py.File(path, "a") as file:
    file["soft"] = h5py.SoftLink("/layers/x")
    file["layers/external"] = h5py.ExternalLink(str(other), "/layers/secret")
    file["layers/circle"] = file["layers"]
  assert _open(path).shapes == {"layers/x/vars/0": (2,)}


def test_data_in_other_files_are_refused(tmp_path):
  secret = tmp_path / "secret"
  secret.write_bytes(b"abcdefgh")
  path = tmp_path / "raw"
  with h5py.File(path, "w") as file:
    file.create_dataset(
        "x", (2,), np.float32, external=[(os.fspath(secret), 0, 8)]
    )
  _expect_error(f"{path}: x must have its data in the file", path)
  other = _write(tmp_path / "other", y=np.ones([2], np.float32))
  layout = h5py.VirtualLayout((2,), np.float32)
  layout[:] = h5py.VirtualSource(other, "layers/y/vars/0", (2,))
  path = tmp_path / "virtual"
  with h5py.File(path, "w") as file:
    file.create_virtual_dataset("x", layout)
  _expect_error(f"{path}: x must have its data in the file", path)


def test_a_shape_without_data_is_refused(tmp_path):
  path = tmp_path / "a"
  with h5py.File(path, "w") as file:
    file.create_dataset("x", (10**9, 10**5), np.float32, chunks=(1000, 1000))
  _expect_error(f"{path}: x must have {4 * 10**14} bytes of data, has 0", path)


def test_deflated_data_are_read(tmp_path):
  path = tmp_path / "a"
  with h5py.File(path, "w") as file:
    file.create_dataset("x", data=np.zeros([10**6], "f4"), compression=9)
  assert path.stat().st_size < 20_000
  assert _open(path).read("x").shape == (10**6,)
