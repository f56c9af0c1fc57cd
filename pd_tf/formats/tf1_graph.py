"""What the graph of a BERT shows besides its weights, read without running it.

Written for graphs that google-research/bert's modeling.py makes; names of nodes
play no part, so those of others of the same structure do as well.
"""

from collections.abc import Iterator
import pathlib

from google.protobuf import message
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import graph_pb2
from tensorflow.core.framework import node_def_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.core.protobuf import saved_model_pb2

from pd_tf.config import errors
from pd_tf.formats import bert_config

# The pooler has one; the tanh form of GELU one a layer.
_POOLER_TANHS = 1

_MAX_IDENTITIES = 8


def read(path: pathlib.Path) -> meta_graph_pb2.MetaGraphDef:
  """Returns the graph without tags of a SavedModel.

  Args:
    path: The file saved_model.pb.

  Raises:
    InputError: It is missing or damaged, or has no such graph.
  """
  saved_model = saved_model_pb2.SavedModel()
  try:
    saved_model.ParseFromString(path.read_bytes())
  except OSError as error:
    raise errors.InputError(
        f"{path}: cannot be read: {error.strerror}."
    ) from None
  except message.DecodeError:
    raise errors.InputError(f"{path}: not a readable SavedModel.") from None
  found = [set(graph.meta_info_def.tags) for graph in saved_model.meta_graphs]
  if set() not in found:
    raise errors.InputError(
        f"{path}: expected a graph without tags, as TF1 TF-Hub modules have, "
        f"found {len(found)} graphs {[sorted(tags) for tags in found]}."
    )
  return saved_model.meta_graphs[found.index(set())]


def activation(graph: graph_pb2.GraphDef) -> bert_config.Activation | None:
  """Returns the form of GELU that a graph computes, None if neither."""
  ops = [node.op for node in _all_nodes(graph)]
  if "Erf" in ops or "Erfc" in ops:
    return "gelu_erf"
  return "gelu" if ops.count("Tanh") > _POOLER_TANHS else None


def num_heads(graph: graph_pb2.GraphDef, hidden_size: int) -> int | None:
  """Returns the number of attention heads, None if the graph hides it.

  Attention splits H into heads by a reshape to [B, S, A, H / A], of which the
  last two are constants.

  Args:
    graph: Of an encoder.
    hidden_size: H.
  """
  nodes = {node.name: node for node in graph.node}
  found = set()
  for node in graph.node:
    if node.op == "Reshape" and len(node.input) > 1:
      sizes = _shape(nodes, node.input[1])
      if len(sizes) == 4 and sizes[2] * sizes[3] == hidden_size:
        found.add(sizes[2])
  return found.pop() if len(found) == 1 else None


def layer_norm_epsilon(graph: graph_pb2.GraphDef) -> float | None:
  """Returns what is added to the variance, None if the graph hides it.

  LayerNorm divides by the root of a sum, of which one part is a constant.
  """
  nodes = {node.name: node for node in graph.node}
  found = set()
  for node in graph.node:
    if node.op != "Rsqrt" or not node.input:
      continue
    total = nodes.get(_node_name(node.input[0]))
    for name in total.input if total is not None else ():
      value = _value(nodes.get(_node_name(name)), [])
      if value is not None and value.dtype == np.float32 and 0 < value < 1:
        # The float64 of the fewest digits that is this float32.
        found.add(float(str(value)))
  return found.pop() if len(found) == 1 else None


def constant(graph: graph_pb2.GraphDef, tensor_name: str) -> np.ndarray | None:
  """Returns the value of a tensor, None unless it is a scalar constant."""
  nodes = {node.name: node for node in graph.node}
  for _ in range(_MAX_IDENTITIES):
    node = nodes.get(_node_name(tensor_name))
    if node is None or node.op != "Identity" or not node.input:
      return _value(node, [])
    tensor_name = node.input[0]
  return None


def asset_names(graph: meta_graph_pb2.MetaGraphDef) -> dict[str, str]:
  """Returns the file in `assets` that each tensor of a path stands for."""
  names = {}
  collection = graph.collection_def[tf.compat.v1.saved_model.ASSETS_KEY]
  for packed in collection.any_list.value:
    asset = meta_graph_pb2.AssetFileDef()
    if packed.Unpack(asset):
      names[asset.tensor_info.name] = asset.filename
  return names


def _all_nodes(graph: graph_pb2.GraphDef) -> Iterator[node_def_pb2.NodeDef]:
  yield from graph.node
  for function in graph.library.function:
    yield from function.node_def


def _shape(
    nodes: dict[str, node_def_pb2.NodeDef], tensor_name: str
) -> list[int]:
  """Returns the sizes of a reshape, 0 where they are no constants."""
  node = nodes.get(_node_name(tensor_name))
  if node is not None and node.op == "Pack":
    values = [_value(nodes.get(_node_name(name)), []) for name in node.input]
    return [0 if value is None else int(value) for value in values]
  vector = _value(node, [4])
  return [] if vector is None else [int(size) for size in vector]


def _value(
    node: node_def_pb2.NodeDef | None, shape: list[int]
) -> np.ndarray | None:
  """Returns the value of a constant if it has that shape."""
  if node is None or node.op != "Const":
    return None
  tensor = node.attr["value"].tensor
  # A damaged file can claim any size.
  if [dimension.size for dimension in tensor.tensor_shape.dim] != shape:
    return None
  try:
    return tf.make_ndarray(tensor)
  except (TypeError, ValueError):
    return None


def _node_name(tensor_name: str) -> str:
  return tensor_name.removeprefix("^").split(":")[0]
