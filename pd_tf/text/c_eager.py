"""Operations run one by one through TensorFlow's C interface, on the CPU."""

import ctypes
import sys
import weakref

import numpy as np

from pd_tf.text import c_api
from pd_tf.text import c_tensors

# ConfigProto.device_count {"GPU": 0}: a context takes the memory of those it
# has.
_CONFIG = b"\x0a\x07\x0a\x03GPU\x10\x00"
_MOST_RESULTS = 8


class Handle:
  """TFE_TensorHandle: an operation's argument or result."""

  def __init__(self, context: "Context", pointer: int | None):
    # It is of no use after its context, and must go before.
    self._context, self.pointer = context, pointer

  def __del__(self):
    if not sys.is_finalizing():
      c_api.library().TFE_DeleteTensorHandle(self.pointer)

  def value(self) -> np.ndarray:
    """Returns a copy."""
    library = c_api.library()
    status = c_api.Status(library)
    tensor = library.TFE_TensorHandleResolve(self.pointer, status.pointer)
    status.require_ok("a tensor")
    try:
      return c_tensors.array(tensor)
    finally:
      library.TF_DeleteTensor(tensor)


class Context:
  """TFE_Context: where operations run."""

  def __init__(self):
    library = self._library = c_api.library()
    status = c_api.Status(library)
    options = library.TFE_NewContextOptions()
    try:
      library.TFE_ContextOptionsSetConfig(
          options, _CONFIG, len(_CONFIG), status.pointer
      )
      self._pointer = library.TFE_NewContext(options, status.pointer)
      status.require_ok("TensorFlow's C interface")
    finally:
      library.TFE_DeleteContextOptions(options)
    weakref.finalize(
        self, library.TFE_DeleteContext, self._pointer
    ).atexit = False

  def handle(self, tensor: int) -> Handle:
    """Returns a handle on a TF_Tensor, which it takes over."""
    status = c_api.Status(self._library)
    pointer = self._library.TFE_NewTensorHandle(tensor, status.pointer)
    self._library.TF_DeleteTensor(tensor)
    status.require_ok("a tensor")
    return Handle(self, pointer)

  def run(self, name: str, *arguments: Handle) -> list[Handle]:
    """Returns the results of an operation without attributes of its own.

    Raises:
      InputError: An argument is wrong.
      RunError: The operation failed.
    """
    library, status = self._library, c_api.Status(self._library)
    operation = library.TFE_NewOp(self._pointer, name.encode(), status.pointer)
    status.require_ok(name)
    try:
      for argument in arguments:
        library.TFE_OpAddInput(operation, argument.pointer, status.pointer)
        status.require_ok(name)
      results = (ctypes.c_void_p * _MOST_RESULTS)()
      count = ctypes.c_int(_MOST_RESULTS)
      library.TFE_Execute(
          operation, results, ctypes.byref(count), status.pointer
      )
      status.require_ok(name)
    finally:
      library.TFE_DeleteOp(operation)
    return [Handle(self, result) for result in results[:count.value]]
