"""What saved_model.pb tells of an encoder, read as data and never run."""

from collections.abc import Iterator
import pathlib
import re
from typing import Any

from google.protobuf import message
import numpy as np
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import saved_model_pb2

from pd_tf.config import errors
from pd_tf.formats import bert_config

NAME = "saved_model.pb"

_ERF = ("Erf", "Erfc")

# A constant of the tanh form of gelu (Hendrycks and Gimpel, 2016).
_TANH_CONSTANT = 0.044715

# How tf.nn.batch_normalization, with which Keras normalizes layers, names the
# constant that it adds to the variance.
_EPSILON = "batchnorm/add/y"

# Model Garden's norm_first: the first that a layer does is to normalize.
_QUERY = re.compile(r"(?P<layer>(?:.*/)?layer_\d+/)self_attention/query/.*")
_NORMALIZED = "self_attention_layer_norm/"


class Graph:
  """The parts of a TensorFlow 2 SavedModel beside its variables."""

  def __init__(self, directory: pathlib.Path):
    """Reads the file.

    Raises:
      InputError: It is missing, damaged, or not of TensorFlow 2.
    """
    self._directory = directory
    self._path = directory / NAME
    found = saved_model_pb2.SavedModel()
    try:
      found.ParseFromString(self._path.read_bytes())
    except FileNotFoundError:
      raise errors.InputError(f"{self._path}: no such file.") from None
    except OSError as error:
      raise errors.InputError(
          f"{self._path}: cannot be read: {error.strerror}."
      ) from None
    except message.DecodeError:
      raise errors.InputError(
          f"{self._path}: not a readable SavedModel."
      ) from None
    graphs = [graph for graph in found.meta_graphs if graph.object_graph_def]
    graphs = [graph for graph in graphs if graph.object_graph_def.nodes]
    if not graphs:
      raise errors.InputError(
          f"{self._path}: expected a SavedModel of TensorFlow 2, found no "
          "graph of objects."
      )
    self._graph = graphs[0]

  def vocab_file(self) -> pathlib.Path | None:
    """Returns the path of the asset `vocab_file`, None if there is none.

    Raises:
      InputError: There is one, and it is missing or outside of assets/.
    """
    for node in self._named("vocab_file"):
      if node.WhichOneof("kind") != "asset":
        continue
      index = node.asset.asset_file_def_index
      if not 0 <= index < len(self._graph.asset_file_def):
        raise errors.InputError(
            f"{self._path}: the asset vocab_file must be one of "
            f"{len(self._graph.asset_file_def)}, was number {index}."
        )
      return self._asset(self._graph.asset_file_def[index].filename)
    return None

  def hidden_act(self) -> bert_config.Activation:
    """Returns the activation that the graph has.

    Where a Keras model around the encoder has the other, it is the tanh form:
    all of the encoders on TF-Hub have that.

    Raises:
      InputError: It has neither.
    """
    if any(
        abs(value - _TANH_CONSTANT) < 1e-6 for _, value in self._constants()
    ):
      return "gelu"
    if any(node.op in _ERF for node in self._operations()):
      return "gelu_erf"
    raise errors.InputError(
        f"{self._path}: expected a BERT, found a graph that computes no GELU."
    )

  def require_norm_last(self) -> None:
    """Raises InputError where layers normalize what they take, not give.

    The variables of the two are the same, so only the graph tells.
    """
    for node in self._operations():
      query = _QUERY.fullmatch(node.name)
      if query and any(
          name.startswith(query["layer"] + _NORMALIZED) for name in node.input
      ):
        raise errors.InputError(
            f"{self._path}: expected a BERT, found layers that normalize "
            "before attention (norm_first)."
        )

  def layer_norm_epsilon(self) -> float:
    """Returns LayerNorm's epsilon; BERT's own where the graph tells none."""
    found = {
        value for name, value in self._constants() if name.endswith(_EPSILON)
    }
    return found.pop() if len(found) == 1 else 1e-12

  def _asset(self, name: str) -> pathlib.Path:
    pure = pathlib.PurePosixPath(name.replace("\\", "/"))
    if not pure.parts or pure.is_absolute() or ".." in pure.parts:
      raise errors.InputError(
          f"{self._path}: the asset vocab_file must be a file in assets, was "
          f"{name!r}."
      )
    path = self._directory / "assets" / pure
    if not path.is_file():
      raise errors.InputError(f"{path}: no such file; {NAME} names it.")
    return path

  def _named(self, attribute: str) -> Iterator[Any]:
    """Yields the objects that are an attribute of this name."""
    nodes = self._graph.object_graph_def.nodes
    for node in nodes:
      for child in node.children:
        if child.local_name == attribute and 0 <= child.node_id < len(nodes):
          yield nodes[child.node_id]

  def _operations(self) -> Iterator[Any]:
    yield from self._graph.graph_def.node
    for function in self._graph.graph_def.library.function:
      yield from function.node_def

  def _constants(self) -> Iterator[tuple[str, float]]:
    """Yields name and value of the numbers in the graph."""
    for node in self._operations():
      tensor = node.attr["value"].tensor
      if node.op == "Const" and tensor.dtype == types_pb2.DT_FLOAT:
        if len(tensor.float_val) == 1:
          # The float64 of the fewest digits that is this float32.
          yield node.name, float(str(np.float32(tensor.float_val[0])))
