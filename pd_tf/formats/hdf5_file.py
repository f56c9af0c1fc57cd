"""Tensors of HDF5 files, of which no link is followed and no code is run."""

from collections.abc import Callable
from collections.abc import Sequence
import pathlib
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from pd_tf.config import errors

if TYPE_CHECKING:
  # Else imported where a file is read, which few commands do.
  import h5py

# What h5py raises on damaged files, each with the C library's message.
_DAMAGES = (OSError, RuntimeError, KeyError, ValueError, TypeError)

# Deflate shrinks by 1,032 at most. A tensor that claims more than that over
# what is stored is no data but a way to make the reader run out of memory.
_MOST_EXPANSION = 1032


class Tensors:
  """Reads tensors by name, wherever among the files they are."""

  def __init__(
      self,
      source: pathlib.Path,
      files: Sequence[pathlib.Path],
      rename: Callable[[str], str],
  ):
    """Reads names, shapes and types.

    Args:
      source: What messages name: the file, or what tells which files.
      files: The HDF5 files; together they hold each tensor once.
      rename: From a tensor's path in its file to its name.

    Raises:
      InputError: A file is missing or damaged, keeps data in another file, or
        two tensors have the same name.
    """
    self.source = source
    self.shapes: dict[str, tuple[int, ...]] = {}
    self._places: dict[str, tuple[pathlib.Path, str]] = {}
    for path in files:
      for stored, shape in _header(path).items():
        name = rename(stored)
        if name in self.shapes:
          raise errors.InputError(f"{path}: holds {name} twice.")
        self.shapes[name] = shape
        self._places[name] = (path, stored)

  def read(self, name: str) -> np.ndarray:
    """Returns a tensor as float32.

    Raises:
      InputError: It is damaged, or not of floats that float32 holds exactly.
    """
    import h5py

    path, stored = self._places[name]
    try:
      with h5py.File(path, "r") as file:
        return _as_float32(file[stored], f"{path}: {stored}")
    except errors.InputError:
      raise
    except _DAMAGES as error:
      raise errors.InputError(_unreadable(path, error)) from None


def _header(path: pathlib.Path) -> dict[str, tuple[int, ...]]:
  import h5py

  shapes: dict[str, tuple[int, ...]] = {}

  def note(name: Any, item: Any) -> None:
    if not isinstance(name, str):
      raise ValueError(f"name {name!r} is not UTF-8")
    if isinstance(item, h5py.Dataset):
      _require_own_data(item, f"{path}: {name}")
      shapes[name] = tuple(item.shape or ())

  try:
    with h5py.File(path, "r") as file:
      # Visits what is in this file: neither soft nor external links, and what
      # has several names once.
      file.visititems(note)
  except FileNotFoundError:
    raise errors.InputError(f"{path}: no such file.") from None
  except errors.InputError:
    raise
  except _DAMAGES as error:
    raise errors.InputError(_unreadable(path, error)) from None
  return shapes


def _require_own_data(dataset: "h5py.Dataset", source: str) -> None:
  """Raises InputError if the data are in other files, or are not there."""
  if dataset.is_virtual or dataset.external:
    raise errors.InputError(
        f"{source} must have its data in the file, has them in another."
    )
  size = int(np.prod(dataset.shape or (), dtype=object))
  size *= dataset.dtype.itemsize
  stored = dataset.id.get_storage_size()
  if size > _MOST_EXPANSION * stored:
    raise errors.InputError(
        f"{source} must have {size} bytes of data, has {stored} stored."
    )


def _as_float32(dataset: "h5py.Dataset", source: str) -> np.ndarray:
  # Keras writes bfloat16, which HDF5 does not have, as two bytes and a note.
  note = dataset.attrs.get("dtype")
  if note == "bfloat16" and dataset.dtype.itemsize == 2:
    halves = np.asarray(dataset[()]).view(np.uint16)
    return (halves.astype(np.uint32) << 16).view(np.float32)
  if dataset.dtype not in (np.float32, np.float16):
    raise errors.InputError(
        f"{source} must be float32, float16 or bfloat16, is {dataset.dtype}."
    )
  return np.asarray(dataset[()], np.float32)


def _unreadable(path: pathlib.Path, error: Exception) -> str:
  message = " ".join(str(error).split()).strip("'\".")
  return f"{path}: not a readable HDF5 file: {message}."
