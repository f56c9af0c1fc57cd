"""TensorFlow 2's checkpoints: tensors, and the graph of objects they are of."""

from collections.abc import Mapping
import dataclasses
import pathlib

from google.protobuf import message
import numpy as np
from tensorflow.core.protobuf import trackable_object_graph_pb2

from pd_tf.config import errors
from pd_tf.formats import checkpoint

KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"

_VALUE = "VARIABLE_VALUE"
_SUFFIX = f"/.ATTRIBUTES/{_VALUE}"


@dataclasses.dataclass(frozen=True)
class Variable:
  """A variable of a checkpoint.

  Attributes:
    name: Its full name, in Keras made of the names of its layers.
    key: Name of its tensor.
    attributes: What the objects that have it call it.
  """

  name: str
  key: str
  attributes: frozenset[str]


@dataclasses.dataclass
class Node:
  """An object to write.

  Attributes:
    children: Objects by attribute. One that several have is stored once, and
      restored into one object only.
    name: Full name of the variable that it is.
    tensor: Its value; None if it is no variable.
  """

  children: dict[str, "Node"] = dataclasses.field(default_factory=dict)
  name: str = ""
  tensor: np.ndarray | None = None


def is_in(prefix: pathlib.Path) -> bool:
  """Returns whether a checkpoint has an object graph, by its index alone."""
  # The keys of an index are in order and this one is the first, so that it
  # stands there in full.
  try:
    with open(f"{prefix}.index", "rb") as index:
      return KEY.encode() in index.read(2**20)
  except OSError:
    return False


def read(stored: checkpoint.Checkpoint) -> list[Variable]:
  """Returns the variables of a checkpoint, optimizers' not among them.

  Raises:
    InputError: There is no object graph, or it is damaged.
  """
  if KEY not in stored.shapes:
    raise errors.InputError(
        f"{stored.prefix}: expected a TensorFlow 2 checkpoint with an object "
        "graph, got one without."
    )
  graph = trackable_object_graph_pb2.TrackableObjectGraph()
  try:
    graph.ParseFromString(stored.read_as_is(KEY))
  except (message.DecodeError, TypeError):
    raise errors.InputError(
        f"{stored.prefix}: its object graph is damaged."
    ) from None
  return [
      Variable(attribute.full_name, attribute.checkpoint_key, names)
      for node, names in _reached(graph, stored.prefix).items()
      for attribute in graph.nodes[node].attributes
      if attribute.name == _VALUE and attribute.checkpoint_key in stored.shapes
  ]


def write(prefix: pathlib.Path, root: Node) -> None:
  """Writes `prefix`.index and `prefix`.data-00000-of-00001.

  Args:
    prefix: In a directory that exists.
    root: The object that tf.train.Checkpoint would be.

  Raises:
    InputError: The files cannot be written.
  """
  paths = _paths(root)
  numbers = {id(node): number for number, (node, _) in enumerate(paths)}
  graph = trackable_object_graph_pb2.TrackableObjectGraph()
  tensors = {}
  for node, path in paths:
    stored = graph.nodes.add()
    # Every object here is there for variables.
    stored.has_checkpoint_values.value = True
    for name, child in node.children.items():
      stored.children.add(local_name=name, node_id=numbers[id(child)])
    if node.tensor is not None:
      stored.attributes.add(
          name=_VALUE, full_name=node.name, checkpoint_key=path + _SUFFIX
      )
      tensors[path + _SUFFIX] = node.tensor
  tensors[KEY] = np.array(graph.SerializeToString(), object)
  checkpoint.write(prefix, tensors)


def _reached(
    graph: trackable_object_graph_pb2.TrackableObjectGraph,
    prefix: pathlib.Path,
) -> Mapping[int, frozenset[str]]:
  """Returns the nodes that the root reaches, and the names of each."""
  names: dict[int, set[str]] = {0: set()} if graph.nodes else {}
  waiting = list(names)
  while waiting:
    for child in graph.nodes[waiting.pop()].children:
      if not 0 <= child.node_id < len(graph.nodes):
        raise errors.InputError(f"{prefix}: its object graph is damaged.")
      # An optimizer keeps copies of the variables, under their names.
      if child.local_name.endswith("optimizer"):
        continue
      if child.node_id not in names:
        names[child.node_id] = set()
        waiting.append(child.node_id)
      names[child.node_id].add(child.local_name)
  return {node: frozenset(found) for node, found in names.items()}


def _paths(root: Node) -> list[tuple[Node, str]]:
  """Returns each node once, breadth first, with the first path to it."""
  found, seen = [(root, "")], {id(root)}
  for node, path in found:
    for name, child in node.children.items():
      if id(child) not in seen:
        seen.add(id(child))
        # As in TensorFlow, a dot escapes.
        escaped = name.replace(".", "..").replace("/", ".S")
        found.append((child, f"{path}/{escaped}".lstrip("/")))
  return found
