"""The encoder as a TF1 TF-Hub module, as google/small_bert/…/1 on TF-Hub is.

The form is what tensorflow-hub wrote up to 0.15 (`hub.create_module_spec`) and
later releases only read: a SavedModel of two graphs, one tagged {"train"} and
one without tags, and `tfhub_module.pb`. Signatures are those that
google-research/bert's run_classifier_with_tfhub.py calls; `mlm` is as
google-research/albert exports it to TF-Hub.
"""

from collections.abc import Mapping
import pathlib
import shutil

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.core.protobuf import saved_model_pb2

from pd_tf.config import encoder as encoder_config
from pd_tf.serving import plain

VOCAB_NAME = "vocab.txt"

# A ModuleDef of tensorflow-hub: `format: FORMAT_V3`.
_MODULE_DEF = b"\x08\x03"

# What stands in the graph for an asset's path until it is loaded.
_ASSET = "SAVEDMODEL-ASSET"

_MASKED_LM = "cls/predictions/"

_Tensors = dict[str, tf.Tensor]


def write(
    path: pathlib.Path,
    config: encoder_config.EncoderConfig,
    weights: Mapping[str, np.ndarray],
    vocab_file: pathlib.Path,
    lower_case: bool,
) -> None:
  """Writes the module.

  Args:
    path: Directory to make.
    config: Shape of the encoder.
    weights: Float32 arrays by released name: those of the encoder and the
      pooler; with those of the masked LM head there is a signature `mlm`. Those
      of other heads are left out, as nothing in the graph would read them.
    vocab_file: Becomes the asset `vocab.txt`.
    lower_case: Becomes `do_lower_case` of the signature `tokenization_info`.
  """
  kept = {
      name: array
      for name, array in weights.items()
      if name.startswith(("bert/", _MASKED_LM))
  }
  saved_model = saved_model_pb2.SavedModel()
  for training in (True, False):
    graph = saved_model.meta_graphs.add()
    graph.CopyFrom(_meta_graph(config, kept, lower_case, training))
  for name in ("variables", "assets"):
    (path / name).mkdir(parents=True)
  _save_variables(path / "variables" / "variables", kept)
  shutil.copyfile(vocab_file, path / "assets" / VOCAB_NAME)
  (path / "saved_model.pb").write_bytes(
      # The same bytes each time: without this, maps have no order.
      saved_model.SerializeToString(deterministic=True)
  )
  (path / "tfhub_module.pb").write_bytes(_MODULE_DEF)


def _save_variables(
    prefix: pathlib.Path, weights: Mapping[str, np.ndarray]
) -> None:
  """Writes a checkpoint without a graph or a session."""
  names = sorted(weights)
  # The op has no kernel on accelerators.
  with tf.device("CPU:0"):
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(weights[name]) for name in names],
    )


def _meta_graph(
    config: encoder_config.EncoderConfig,
    weights: Mapping[str, np.ndarray],
    lower_case: bool,
    training: bool,
) -> meta_graph_pb2.MetaGraphDef:
  with tf.Graph().as_default():
    signatures = _signatures(config, _variables(weights), training)
    vocab_file = tf.constant(_ASSET, name="vocab_file")
    signatures["tokenization_info"] = {}, {
        "vocab_file": vocab_file,
        "do_lower_case": tf.constant(lower_case, name="do_lower_case"),
    }
    tf.compat.v1.add_to_collection(
        tf.compat.v1.GraphKeys.ASSET_FILEPATHS, vocab_file
    )
    # Older releases refuse attributes that they do not know.
    graph = tf.compat.v1.train.export_meta_graph(strip_default_attrs=True)
  graph.meta_info_def.tags.extend(["train"] if training else [])
  for name, (inputs, outputs) in signatures.items():
    graph.signature_def[name].CopyFrom(
        meta_graph_pb2.SignatureDef(
            inputs=_tensor_infos(inputs), outputs=_tensor_infos(outputs)
        )
    )
  _name_asset(graph, vocab_file.name)
  _make_loadable_by_older(graph)
  return graph


def _variables(weights: Mapping[str, np.ndarray]) -> dict[str, tf.Variable]:
  """Returns variables without the weights' values, which no GraphDef holds.

  Resource variables are what `hub.create_module_spec` makes of all variables.
  """
  return {
      name: tf.compat.v1.get_variable(
          name,
          array.shape,
          tf.float32,
          tf.compat.v1.zeros_initializer(),
          use_resource=True,
      )
      for name, array in sorted(weights.items())
  }


def _signatures(
    config: encoder_config.EncoderConfig,
    variables: plain.Weights,
    training: bool,
) -> dict[str, tuple[_Tensors, _Tensors]]:
  """Returns the inputs and outputs of each signature that computes."""
  inputs = {
      name: tf.compat.v1.placeholder(tf.int32, [None, None], name)
      for name in ("input_ids", "input_mask", "segment_ids")
  }
  encoded = plain.encode(
      variables,
      config,
      inputs["input_ids"],
      inputs["input_mask"],
      inputs["segment_ids"],
      training,
  )
  outputs = {
      "pooled_output": encoded.pooled,
      "sequence_output": encoded.layers[-1],
  }
  signatures = {"tokens": (inputs, outputs)}
  if any(name.startswith(_MASKED_LM) for name in variables):
    positions = tf.compat.v1.placeholder(
        tf.int32, [None, None], "mlm_positions"
    )
    logits = plain.masked_lm_logits(
        variables, config, encoded.layers[-1], positions
    )
    signatures["mlm"] = (
        inputs | {"mlm_positions": positions},
        # Flat, [B P, V], as gather_indexes of run_pretraining.py makes them;
        # who reads Google's modules reshapes them first.
        outputs | {"mlm_logits": tf.reshape(logits, [-1, config.vocab_size])},
    )
  return signatures


def _tensor_infos(tensors: _Tensors) -> dict[str, meta_graph_pb2.TensorInfo]:
  return {
      name: meta_graph_pb2.TensorInfo(
          name=tensor.name,
          dtype=tensor.dtype.as_datatype_enum,
          tensor_shape=tensor.shape.as_proto(),
      )
      for name, tensor in tensors.items()
  }


def _name_asset(graph: meta_graph_pb2.MetaGraphDef, tensor_name: str) -> None:
  """Says which file of `assets` belongs to the tensor of a path."""
  asset = meta_graph_pb2.AssetFileDef(filename=VOCAB_NAME)
  asset.tensor_info.name = tensor_name
  collection = graph.collection_def[tf.compat.v1.saved_model.ASSETS_KEY]
  collection.any_list.value.add().Pack(asset)


def _make_loadable_by_older(graph: meta_graph_pb2.MetaGraphDef) -> None:
  """Removes an attribute of variables that TensorFlow 2.15 does not know."""
  for node in graph.graph_def.node:
    if node.op == "VarHandleOp":
      node.attr.pop("debug_name", None)
