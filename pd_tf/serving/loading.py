"""Loads a SavedModel and answers texts, without TensorFlow's Python.

`import tensorflow` alone takes longer than a first answer may: a thousand files
of Python, and Keras, scikit-learn and Matplotlib where they are installed. What
`pd-tf export --format=serving` wrote needs none of them: the library is asked
by its C interface, as by a model server.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import ctypes
import os
import pathlib
from typing import NamedTuple
import weakref

import numpy as np

from pd_tf.config import errors
from pd_tf.serving import wire
from pd_tf.text import c_api
from pd_tf.text import c_tensors

DEFAULT_SIGNATURE = "serving_default"
# Texts, or numbers.
Values = Sequence[str | bytes] | np.ndarray


class _Tensor(NamedTuple):
  """Input or output of a signature: its operation, and its DataType."""

  output: c_api.Output
  dtype: int


class Model:
  """A SavedModel; threads may share one.

  Attributes:
    signatures: By name.
  """

  def __init__(self, path: str, session: "_Session", meta_graph: memoryview):
    self.signatures = {
        name: Signature(
            path,
            session,
            _tensors(session, definition, 1),
            _tensors(session, definition, 2),
        )
        # MetaGraphDef.signature_def.
        for name, definition in wire.mapping(meta_graph, 5).items()
        if not name.startswith("__")
    }

  def __call__(self, *columns: Sequence[str | bytes]) -> dict[str, np.ndarray]:
    """Returns what `serving_default` says of texts, or pairs of texts."""
    signature = self.signatures[DEFAULT_SIGNATURE]
    return signature.run(dict(zip(signature.inputs, columns, strict=True)))


class Signature:
  """One of a SavedModel's functions.

  Attributes:
    inputs: Names of its inputs, sorted.
    outputs: Names of its outputs, sorted.
  """

  def __init__(
      self,
      path: str,
      session: "_Session",
      inputs: dict[str, _Tensor],
      outputs: dict[str, _Tensor],
  ):
    self._path, self._session = path, session
    self.inputs, self.outputs = tuple(inputs), tuple(outputs)
    self._dtypes = [tensor.dtype for tensor in inputs.values()]
    # Arrays of C, made once; no run changes them.
    self._feeds = (c_api.Output * len(inputs))(
        *(tensor.output for tensor in inputs.values())
    )
    self._fetches = (c_api.Output * len(outputs))(
        *(tensor.output for tensor in outputs.values())
    )

  def run(self, inputs: Mapping[str, Values]) -> dict[str, np.ndarray]:
    """Returns the outputs by name, texts among them as bytes.

    Args:
      inputs: By name; texts as a list of str or bytes, numbers as an array.

    Raises:
      InputError: Names or values are not the signature's.
      RunError: TensorFlow failed.
    """
    if inputs.keys() != set(self.inputs):
      raise errors.InputError(
          f"{self._path}: expected {', '.join(self.inputs)}, got "
          f"{', '.join(inputs) or 'nothing'}."
      )
    session = self._session
    given = (ctypes.c_void_p * len(self.inputs))()
    kept = []
    try:
      for i, name in enumerate(self.inputs):
        given[i], memory = _given(inputs[name], self._dtypes[i])
        kept.append(memory)
      results = session.run(self._feeds, given, self._fetches, self._path)
    finally:
      for tensor in given:
        session.library.TF_DeleteTensor(tensor)
    return dict(zip(self.outputs, results, strict=True))


class _Session:
  """TF_Session with its graph."""

  def __init__(self, path: str, num_threads: int | None):
    self.library = c_api.library()
    self.graph = self.library.TF_NewGraph()
    self._run_options = None
    config = b""
    if num_threads is not None:
      # ConfigProto.intra_op_parallelism_threads and inter_op_…; and
      # RunOptions.inter_op_thread_pool, -1 for the thread that calls: handing
      # a text to another thread costs more than a small model's arithmetic.
      config = wire.integer(2, num_threads) + wire.integer(5, 1)
      options = wire.integer(3, -1)
      self._run_options = self.library.TF_NewBufferFromString(
          options, len(options)
      )
    self.meta_graph = self.library.TF_NewBuffer()
    self._session = self._load(path, config)
    closing = weakref.finalize(
        self, _close, self.library, self._session, self.graph,
        [self.meta_graph, self._run_options],
    )
    # When Python ends, another thread may still be waiting for an answer.
    closing.atexit = False

  def _load(self, path: str, config: bytes) -> int:
    status = c_api.Status(self.library)
    options = self.library.TF_NewSessionOptions()
    try:
      self.library.TF_SetConfig(options, config, len(config), status.pointer)
      tags = (ctypes.c_char_p * 1)(b"serve")
      session = self.library.TF_LoadSessionFromSavedModel(
          options, None, os.fsencode(path), tags, 1, self.graph,
          self.meta_graph, status.pointer,
      )
      status.require_ok(path)
    finally:
      self.library.TF_DeleteSessionOptions(options)
    return session

  def run(
      self,
      feeds: "ctypes.Array[c_api.Output]",
      given: "ctypes.Array[ctypes.c_void_p]",
      fetches: "ctypes.Array[c_api.Output]",
      name: str,
  ) -> list[np.ndarray]:
    """Returns the values of the fetches."""
    status = c_api.Status(self.library)
    results = (ctypes.c_void_p * len(fetches))()
    self.library.TF_SessionRun(
        self._session, self._run_options, feeds, given, len(feeds), fetches,
        results, len(fetches), None, 0, None, status.pointer,
    )
    status.require_ok(name)
    try:
      return [c_tensors.array(tensor) for tensor in results]
    finally:
      for tensor in results:
        self.library.TF_DeleteTensor(tensor)


def _given(value: Values, dtype: int) -> tuple[int, object]:
  """Returns a TF_Tensor, and what must be kept as long as it."""
  if dtype == c_tensors.STRING:
    data = _texts(value)
    return c_tensors.of_texts(data), data
  array = _numbers(value, c_tensors.DTYPES[dtype])
  return c_tensors.of_numbers(array), None


def _texts(texts: Values) -> list[bytes]:
  data = [
      # As for training: half of a surrogate pair is no text.
      text.encode("utf-8", "ignore") if isinstance(text, str) else text
      for text in texts
  ]
  if isinstance(texts, str) or not all(isinstance(t, bytes) for t in data):
    raise errors.InputError(
        f"texts: expected a list of str or bytes, got {repr(texts)[:60]}."
    )
  return data


def _numbers(value: Values, dtype: type) -> np.ndarray:
  """Returns an array of a type, whose numbers are those of the value."""
  try:
    given = np.asarray(value)
    array: np.ndarray = np.ascontiguousarray(given, dtype)
  except (ValueError, TypeError, OverflowError):
    given = array = np.array(None)
  if array.dtype == object or not np.array_equal(array, given):
    raise errors.InputError(
        f"numbers: expected {np.dtype(dtype).name}, in rows of one length, "
        f"got {repr(value)[:60]}."
    )
  return array


def _close(
    library: ctypes.CDLL, session: int, graph: int, buffers: list
) -> None:
  status = c_api.Status(library)
  library.TF_CloseSession(session, status.pointer)
  library.TF_DeleteSession(session, status.pointer)
  library.TF_DeleteGraph(graph)
  for buffer in buffers:
    library.TF_DeleteBuffer(buffer)


def _tensors(
    session: _Session, definition: memoryview, number: int
) -> dict[str, _Tensor]:
  """Returns inputs (1) or outputs (2) of a SignatureDef."""
  tensors = {}
  for name, info in sorted(wire.mapping(definition, number).items()):
    # TensorInfo.name, "operation:number", and TensorInfo.dtype.
    (place,) = wire.entries(info, 1)
    dtype = next(value for found, value in wire.fields(info) if found == 2)
    operation, _, index = str(place, "utf-8").rpartition(":")
    found = session.library.TF_GraphOperationByName(
        session.graph, operation.encode()
    )
    assert found is not None and isinstance(dtype, int)
    tensors[name] = _Tensor(c_api.Output(found, int(index)), dtype)
  return tensors


def load(path: str | pathlib.Path, num_threads: int | None = None) -> Model:
  """Returns a SavedModel that `pd-tf export --format=serving` wrote.

  Args:
    path: Its directory.
    num_threads: Of an operation; and operations then come one at a time, in
      the thread that asks, as those of one text have nothing to wait for each
      other. None leaves both to TensorFlow. What of TensorFlow a process
      runs first, a model or a tokenizer, says it for all.

  Raises:
    InputError: It cannot be loaded.
  """
  session = _Session(str(path), num_threads)
  buffer = session.meta_graph.contents
  meta_graph = memoryview(
      (ctypes.c_char * buffer.length).from_address(buffer.data)
  ).cast("B")
  return Model(str(path), session, meta_graph)
