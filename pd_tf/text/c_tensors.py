"""Tensors of TensorFlow's C interface, from Python's values and back."""

from collections.abc import Sequence
import ctypes

import numpy as np

from pd_tf.text import c_api

# DataType of tensorflow/core/framework/types.proto.
STRING = 7
DTYPES = {
    1: np.float32, 2: np.float64, 3: np.int32, 4: np.uint8, 9: np.int64,
    10: np.bool_,
}  # fmt: skip
_NUMBERS = {np.dtype(dtype): number for number, dtype in DTYPES.items()}
# sizeof(TF_TString).
_STRING_BYTES = 24


def of_numbers(numbers: np.ndarray) -> int:
  """Returns a TF_Tensor with a copy of a contiguous array of the DTYPES."""
  tensor = _allocated(_NUMBERS[numbers.dtype], numbers.shape, numbers.nbytes)
  ctypes.memmove(
      c_api.library().TF_TensorData(tensor), numbers.ctypes.data,
      numbers.nbytes,
  )
  return tensor


def of_texts(texts: Sequence[bytes]) -> int:
  """Returns a TF_Tensor [N] that refers to the texts: keep them as long."""
  return _of_texts(texts, (len(texts),))


def of_text(text: bytes) -> int:
  """Returns a scalar TF_Tensor that refers to the text: keep it as long."""
  return _of_texts([text], ())


def array(tensor: int | None) -> np.ndarray:
  """Returns a copy of a TF_Tensor; of texts as bytes."""
  library = c_api.library()
  dtype = library.TF_TensorType(tensor)
  rank = library.TF_NumDims(tensor)
  shape = [library.TF_Dim(tensor, i) for i in range(rank)]
  data = library.TF_TensorData(tensor)
  if dtype != STRING:
    raw = ctypes.string_at(data, library.TF_TensorByteSize(tensor))
    return np.frombuffer(raw, DTYPES[dtype]).reshape(shape)
  texts = np.empty(shape, object)
  for i in range(texts.size):
    at = data + i * _STRING_BYTES
    texts.flat[i] = ctypes.string_at(
        library.TF_StringGetDataPointer(at), library.TF_StringGetSize(at)
    )
  return texts


def _of_texts(texts: Sequence[bytes], shape: Sequence[int]) -> int:
  library = c_api.library()
  tensor = _allocated(STRING, shape, _STRING_BYTES * len(texts))
  at = library.TF_TensorData(tensor)
  for text in texts:
    library.TF_StringInit(at)
    # The tensor refers to Python's bytes.
    library.TF_StringAssignView(at, text, len(text))
    at += _STRING_BYTES
  return tensor


def _allocated(dtype: int, shape: Sequence[int], size: int) -> int:
  dims = (ctypes.c_int64 * len(shape))(*shape)
  return c_api.library().TF_AllocateTensor(dtype, dims, len(shape), size)
