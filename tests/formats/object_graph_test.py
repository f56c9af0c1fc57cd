"""Checkpoints with an object graph, against tf.train.Checkpoint."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from pd_tf.config import errors
from pd_tf.formats import checkpoint
from pd_tf.formats import object_graph


def _node(value, name=""):
  return object_graph.Node(name=name, tensor=np.array(value, np.float32))


def test_tensorflow_restores_what_is_written(tmp_path):
  shared = _node([1, 2], "shared")
  root = object_graph.Node({
      "a.b/c": object_graph.Node({"x": shared}),
      "d": object_graph.Node({"x": shared, "y": _node(3)}),
      "save_counter": object_graph.Node(tensor=np.array(7, np.int64)),
  })
  object_graph.write(tmp_path / "ckpt", root)
  shared_variable = tf.Variable([0.0, 0.0])
  other = tf.Variable(0.0)
  restored = tf.train.Checkpoint(**{
      "a.b/c": tf.train.Checkpoint(x=shared_variable),
      "d": tf.train.Checkpoint(x=shared_variable, y=other),
  })
  restored.restore(str(tmp_path / "ckpt")).assert_consumed()
  assert shared_variable.numpy().tolist() == [1, 2]
  assert other.numpy() == 3
  assert restored.save_counter.numpy() == 7


def test_holds_a_tensor_once(tmp_path):
  shared = _node([1, 2])
  root = object_graph.Node({"a": shared, "b": shared})
  object_graph.write(tmp_path / "ckpt", root)
  assert checkpoint.Checkpoint(tmp_path / "ckpt").shapes == {
      "a/.ATTRIBUTES/VARIABLE_VALUE": (2,),
      object_graph.KEY: (),
  }


@pytest.mark.parametrize("optimizer", [
    tf_keras.optimizers.legacy.Adam, tf_keras.optimizers.Adam
])
def test_reads_variables_but_an_optimizers(tmp_path, optimizer):
  variable = tf.Variable([1.0, 2.0], name="scope/weight")
  made = optimizer()
  made.apply_gradients([(tf.ones([2]), variable)])
  prefix = tf.train.Checkpoint(
      first=variable, second=variable, optimizer=made
  ).save(tmp_path / "ckpt")
  stored = checkpoint.Checkpoint(pathlib.Path(prefix))
  found = {
      each.name: each.attributes for each in object_graph.read(stored)
  }
  assert found == {
      "scope/weight": {"first", "second"},
      "save_counter": {"save_counter"},
  }
  (key,) = [
      each.key for each in object_graph.read(stored)
      if each.name == "scope/weight"
  ]
  np.testing.assert_array_equal(stored.read([key])[key], variable.numpy())


def test_is_in_looks_at_the_index(tmp_path):
  object_graph.write(tmp_path / "new", object_graph.Node({"a": _node(1)}))
  checkpoint.write(tmp_path / "old", {"a": np.ones([2], np.float32)})
  assert object_graph.is_in(tmp_path / "new")
  assert not object_graph.is_in(tmp_path / "old")
  assert not object_graph.is_in(tmp_path / "none")


def test_reads_none_of_a_tf1_checkpoint(tmp_path):
  checkpoint.write(tmp_path / "old", {"a": np.ones([2], np.float32)})
  with pytest.raises(errors.InputError, match="with an object graph, got one"):
    object_graph.read(checkpoint.Checkpoint(tmp_path / "old"))


@pytest.mark.parametrize("node_id", [5, -1])
def test_refuses_a_graph_that_leads_nowhere(tmp_path, node_id):
  # nodes { children { node_id: …, local_name: "a" } }, by hand.
  number = bytes([node_id]) if node_id > 0 else b"\xff" * 9 + b"\x01"
  child = b"\x08" + number + b"\x12\x01a"
  node = b"\x0a" + bytes([len(child)]) + child
  graph = b"\x0a" + bytes([len(node)]) + node
  checkpoint.write(
      tmp_path / "ckpt", {object_graph.KEY: np.array(graph, object)}
  )
  with pytest.raises(errors.InputError, match="object graph is damaged"):
    object_graph.read(checkpoint.Checkpoint(tmp_path / "ckpt"))
