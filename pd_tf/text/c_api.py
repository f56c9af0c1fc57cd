"""TensorFlow's C interface, from the library in its wheel, without its Python.

`import tensorflow` takes seconds, the library a fraction of one. What each
function does is said in tensorflow/c/c_api.h, tf_tensor.h and tf_tstring.h,
which are stable, and in eager/c_api.h, which may change with a release: the
package is held to one of TensorFlow's.
"""

import ctypes
import functools
import importlib.util
import os
import pathlib
import sys
from typing import Any

from pd_tf.config import errors

# Where the ops of pd_tf's graphs are in tensorflow_text.
_TEXT_LIBRARIES = (
    "_fast_bert_normalizer.so", "_fast_wordpiece_tokenizer.so"
)


class Buffer(ctypes.Structure):
  """TF_Buffer."""

  _fields_ = (
      ("data", ctypes.c_void_p),
      ("length", ctypes.c_size_t),
      ("data_deallocator", ctypes.c_void_p),
  )


class Output(ctypes.Structure):
  """TF_Output: an operation and the number of one of its results."""

  _fields_ = (("oper", ctypes.c_void_p), ("index", ctypes.c_int))


_P, _I, _S, _N = (
    ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t
)
_BUFFER, _OUTPUTS = ctypes.POINTER(Buffer), ctypes.POINTER(Output)
_COUNT = ctypes.POINTER(ctypes.c_int)
_TENSORS = ctypes.POINTER(ctypes.c_void_p)
_DIMS = ctypes.POINTER(ctypes.c_int64)

# Result, then arguments.
_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "TF_NewStatus": (_P,),
    "TF_DeleteStatus": (None, _P),
    "TF_GetCode": (_I, _P),
    "TF_Message": (_S, _P),
    "TF_NewBuffer": (_BUFFER,),
    "TF_NewBufferFromString": (_BUFFER, _S, _N),
    "TF_DeleteBuffer": (None, _BUFFER),
    "TF_NewSessionOptions": (_P,),
    "TF_SetConfig": (None, _P, _S, _N, _P),
    "TF_DeleteSessionOptions": (None, _P),
    "TF_NewGraph": (_P,),
    "TF_DeleteGraph": (None, _P),
    "TF_GraphOperationByName": (_P, _P, _S),
    "TF_LoadLibrary": (_P, _S, _P),
    "TF_LoadSessionFromSavedModel": (
        _P, _P, _BUFFER, _S, ctypes.POINTER(_S), _I, _P, _BUFFER, _P
    ),
    "TF_CloseSession": (None, _P, _P),
    "TF_DeleteSession": (None, _P, _P),
    "TF_SessionRun": (
        None, _P, _BUFFER, _OUTPUTS, _TENSORS, _I, _OUTPUTS, _TENSORS, _I, _P,
        _I, _BUFFER, _P,
    ),
    "TF_AllocateTensor": (_P, _I, _DIMS, _I, _N),
    "TF_DeleteTensor": (None, _P),
    "TF_TensorType": (_I, _P),
    "TF_NumDims": (_I, _P),
    "TF_Dim": (ctypes.c_int64, _P, _I),
    "TF_TensorData": (_P, _P),
    "TF_TensorByteSize": (_N, _P),
    "TF_StringInit": (None, _P),
    "TF_StringAssignView": (None, _P, _S, _N),
    "TF_StringGetDataPointer": (_P, _P),
    "TF_StringGetSize": (_N, _P),
    "TFE_NewContextOptions": (_P,),
    "TFE_ContextOptionsSetConfig": (None, _P, _S, _N, _P),
    "TFE_DeleteContextOptions": (None, _P),
    "TFE_NewContext": (_P, _P, _P),
    "TFE_DeleteContext": (None, _P),
    "TFE_NewOp": (_P, _P, _S, _P),
    "TFE_OpAddInput": (None, _P, _P, _P),
    "TFE_Execute": (None, _P, _TENSORS, _COUNT, _P),
    "TFE_DeleteOp": (None, _P),
    "TFE_NewTensorHandle": (_P, _P, _P),
    "TFE_TensorHandleResolve": (_P, _P, _P),
    "TFE_DeleteTensorHandle": (None, _P),
}  # fmt: skip


@functools.cache
def library() -> ctypes.CDLL:
  """Returns TensorFlow's library, with the ops of tensorflow_text.

  Raises:
    ImportError: TensorFlow or tensorflow_text is not installed.
  """
  package = directory("tensorflow")
  names = [*package.glob("libtensorflow_cc.*")]
  if not names:
    raise ImportError(f"{package} has no libtensorflow_cc.")
  loaded = ctypes.CDLL(str(names[0]))
  for name, (result, *arguments) in _FUNCTIONS.items():
    function = getattr(loaded, name)
    function.restype, function.argtypes = result, arguments
  status = Status(loaded)
  for path in text_libraries():
    loaded.TF_LoadLibrary(os.fsencode(path), status.pointer)
    status.require_ok(str(path))
  return loaded


def text_libraries() -> list[pathlib.Path]:
  """Returns tensorflow_text's files with the operations of pd_tf's graphs."""
  ops = directory("tensorflow_text") / "python" / "ops"
  return [ops / name for name in _TEXT_LIBRARIES]


def directory(package: str) -> pathlib.Path:
  """Returns where a package is, without importing it.

  Raises:
    ImportError: It is not installed.
  """
  spec = importlib.util.find_spec(package)
  if spec is None or spec.origin is None:
    raise ImportError(f"{package} is not installed.")
  return pathlib.Path(spec.origin).parent


class Status:
  """TF_Status: what became of a call."""

  def __init__(self, loaded: ctypes.CDLL):
    self._library = loaded
    self.pointer = loaded.TF_NewStatus()

  def __del__(self):
    if not sys.is_finalizing():
      self._library.TF_DeleteStatus(self.pointer)

  def require_ok(self, name: str) -> None:
    """Raises what the call failed with.

    Args:
      name: What messages start with.

    Raises:
      InputError: An argument was wrong, or not found.
      RunError: Anything else.
    """
    code = self._library.TF_GetCode(self.pointer)
    if not code:
      return
    said = self._library.TF_Message(self.pointer).decode("utf-8", "replace")
    kind = errors.InputError if code in _WRONG_INPUT else errors.RunError
    raise kind(f"{name}: {' '.join(said.split())}")


# INVALID_ARGUMENT and NOT_FOUND.
_WRONG_INPUT = (3, 5)
