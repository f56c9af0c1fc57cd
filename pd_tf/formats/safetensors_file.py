"""Tensors of a Hugging Face directory: one safetensors file or several."""

from collections.abc import Iterable
from collections.abc import Mapping
import pathlib
import re
import shlex

import numpy as np
import safetensors
import safetensors.numpy

from pd_tf.config import errors
from pd_tf.formats import json_file

NAME = "model.safetensors"
INDEX_NAME = "model.safetensors.index.json"
# With the second pattern for those in shards.
_PICKLES = "pytorch_model*.bin"

_SHARD = re.compile(r"[^/\\]+\.safetensors")

_FLOATS = ("F32", "F16", "BF16")

# transformers loads no file that does not say whose layout of kernels it has.
_METADATA = {"format": "pt"}

# weights_only: what torch unpickles is then data, not code. Tied tensors share
# memory, which safetensors refuses.
_CONVERSION = (
    'python -c "import sys, torch, safetensors.torch; '
    "t = {k: v.clone().contiguous() for p in sys.argv[2:] "
    "for k, v in torch.load(p, weights_only=True).items()}; "
    "safetensors.torch.save_file(t, sys.argv[1], {'format': 'pt'})\""
)


class Tensors:
  """Reads tensors by name, wherever among the files they are."""

  def __init__(self, directory: pathlib.Path):
    """Reads the headers.

    Raises:
      InputError: There is no safetensors file, or one is missing or damaged.
    """
    self.directory = directory
    self.shapes: dict[str, tuple[int, ...]] = {}
    self._paths: dict[str, pathlib.Path] = {}
    self._types: dict[str, str] = {}
    for path in _files(directory):
      self._read_header(path)

  def read(self, name: str) -> np.ndarray:
    """Returns a tensor as float32.

    Raises:
      InputError: It is not of floats that float32 holds exactly.
    """
    path = self._paths[name]
    if self._types[name] not in _FLOATS:
      raise errors.InputError(
          f"{path}: {name} must be F32, F16 or BF16, is {self._types[name]}."
      )
    try:
      with safetensors.safe_open(path, "numpy") as file:
        return np.asarray(file.get_tensor(name), np.float32)
    except (safetensors.SafetensorError, OSError) as error:
      raise errors.InputError(_unreadable(path, error)) from None

  def _read_header(self, path: pathlib.Path) -> None:
    try:
      with safetensors.safe_open(path, "numpy") as file:
        for name in file.keys():
          if name in self._paths:
            raise errors.InputError(
                f"{path}: {name} is in {self._paths[name].name} too."
            )
          tensor = file.get_slice(name)
          self._paths[name] = path
          self._types[name] = tensor.get_dtype()
          self.shapes[name] = tuple(tensor.get_shape())
    except FileNotFoundError:
      raise errors.InputError(
          f"{path}: no such file; {INDEX_NAME} names it."
      ) from None
    except (safetensors.SafetensorError, OSError) as error:
      raise errors.InputError(_unreadable(path, error)) from None


def write(path: pathlib.Path, tensors: Mapping[str, np.ndarray]) -> None:
  """Writes a safetensors file.

  Args:
    path: In a directory that exists.
    tensors: Contiguous arrays by name.

  Raises:
    InputError: The file cannot be written.
  """
  # The library's file is for its owner alone, whatever the umask.
  path.touch()
  mode = path.stat().st_mode
  try:
    safetensors.numpy.save_file(dict(tensors), path, _METADATA)
  except safetensors.SafetensorError as error:
    raise errors.InputError(f"{path}: cannot be written: {error}.") from None
  path.chmod(mode)


def _files(directory: pathlib.Path) -> Iterable[pathlib.Path]:
  if (directory / NAME).exists():
    return [directory / NAME]
  if (directory / INDEX_NAME).exists():
    return _shards(directory / INDEX_NAME)
  pickles = sorted(directory.glob(_PICKLES))
  if pickles:
    raise errors.InputError(_pickled(pickles, directory / NAME))
  raise errors.InputError(
      f"{directory}: expected {NAME} or {INDEX_NAME}, found neither."
  )


def _shards(index: pathlib.Path) -> list[pathlib.Path]:
  weight_map = json_file.read(index).get("weight_map")
  if not isinstance(weight_map, dict) or not weight_map:
    raise errors.InputError(
        f"{index}: expected weight_map, an object of tensor to file."
    )
  for name in weight_map.values():
    if not isinstance(name, str) or not _SHARD.fullmatch(name):
      raise errors.InputError(
          f"{index}: expected names of files beside it, got {name!r}."
      )
  return [index.with_name(name) for name in sorted(set(weight_map.values()))]


def _pickled(pickles: list[pathlib.Path], new: pathlib.Path) -> str:
  command = shlex.join(map(str, [new, *pickles]))
  return (
      f"{pickles[0]}: a pickle can run code and is not read; expected {NAME}. "
      f"Where torch is installed, convert it: {_CONVERSION} {command}"
  )


def _unreadable(path: pathlib.Path, error: Exception) -> str:
  return f"{path}: not a readable safetensors file: {error}."
