"""TensorFlow checkpoints of plainly named tensors, as TF1's Saver wrote them.

No object graph: the index maps names to tensors and nothing else.
"""

from collections.abc import Iterable
from collections.abc import Mapping
import glob
import math
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from pd_tf.config import errors

# What the C++ reader raises on damaged files: OpError for a bad checksum or
# index, IndexError where data ends early, the others for bad metadata.
_DAMAGES = (tf.errors.OpError, IndexError, ValueError, RuntimeError, TypeError)

_FLOATS = (tf.float32, tf.float16, tf.bfloat16)


class Checkpoint:
  """Reads tensors by name."""

  def __init__(self, prefix: pathlib.Path):
    """Opens a checkpoint.

    Args:
      prefix: Path of its files without `.index` and `.data-00000-of-00001`.

    Raises:
      InputError: A file is missing or damaged.
    """
    self.prefix = prefix
    try:
      self._reader = tf.train.load_checkpoint(str(prefix))
      stored = self._reader.get_variable_to_shape_map()
      self._types = self._reader.get_variable_to_dtype_map()
    except _DAMAGES as error:
      raise errors.InputError(_unreadable(prefix, error)) from None
    data = glob.escape(prefix.name) + ".data-*"
    self._num_bytes = sum(
        path.stat().st_size for path in prefix.parent.glob(data)
    )
    # Some tools leave the output's number in a tensor's name.
    self._stored_names = {name.removesuffix(":0"): name for name in stored}
    self.shapes = {
        name: tuple(stored[stored_name])
        for name, stored_name in self._stored_names.items()
    }

  def read(self, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Returns tensors as float32.

    Raises:
      InputError: The data is missing, cut off or damaged, or is not of floats
        that float32 holds exactly.
    """
    return {name: self._tensor(name) for name in names}

  def read_as_is(self, name: str) -> Any:
    """Returns a tensor of any type: an array, or bytes if it is one string.

    Raises:
      InputError: The data is missing, cut off or damaged.
    """
    try:
      return self._reader.get_tensor(self._stored_names[name])
    except _DAMAGES as error:
      raise errors.InputError(_unreadable(self.prefix, error)) from None

  def _tensor(self, name: str) -> np.ndarray:
    stored_name = self._stored_names[name]
    if self._types[stored_name] not in _FLOATS:
      raise errors.InputError(
          f"{self.prefix}: {name} must be float32, is "
          f"{self._types[stored_name].name}."
      )
    size = math.prod(self.shapes[name]) * self._types[stored_name].size
    # Before memory is taken for whatever an index claims.
    if size > self._num_bytes:
      raise errors.InputError(
          f"{self.prefix}: not a readable checkpoint: {name} has {size} bytes, "
          f"the data files {self._num_bytes}."
      )
    return np.asarray(self.read_as_is(name), np.float32)


def write(prefix: pathlib.Path, weights: Mapping[str, np.ndarray]) -> None:
  """Writes `prefix`.index and `prefix`.data-00000-of-00001.

  Args:
    prefix: In a directory that exists.
    weights: Float32 arrays by name; stored in the order of their names.

  Raises:
    InputError: The files cannot be written.
  """
  names = sorted(weights)
  try:
    # The op has no kernel on accelerators.
    with tf.device("CPU:0"):
      tf.raw_ops.SaveV2(
          prefix=str(prefix),
          tensor_names=names,
          shape_and_slices=[""] * len(names),
          tensors=[tf.constant(weights[name]) for name in names],
      )
  except tf.errors.OpError as error:
    raise errors.InputError(
        f"{prefix}: cannot be written: {_first_line(error)}."
    ) from None


def _unreadable(prefix: pathlib.Path, error: Exception) -> str:
  return f"{prefix}: not a readable checkpoint: {_first_line(error)}."


def _first_line(error: Exception) -> str:
  return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
