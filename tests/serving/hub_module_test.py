import pathlib

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
import tensorflow_hub as hub

from pd_tf.config import encoder as encoder_config
from pd_tf.formats import canonical
from pd_tf.modeling import bert
from pd_tf.modeling import rows
from pd_tf.serving import hub_module
from pd_tf.text import vocabulary

ENTRIES = (*vocabulary.SPECIAL_TOKENS, *(f"w{i}" for i in range(35)))
V, H = len(ENTRIES), 16
CONFIG = encoder_config.EncoderConfig(
    num_layers=2, hidden_size=H, head_size=4, vocab_size=V, max_positions=32
)

# Of TensorFlow 1.15.
OLD_OPS = {
    "AddV2", "AssignVariableOp", "BatchMatMulV2", "BiasAdd", "Cast", "Const",
    "Erf", "Fill", "GatherV2", "GreaterEqual", "Identity", "MatMul", "Mean",
    "Mul", "NotEqual", "Pack", "Placeholder", "RandomUniform", "Range",
    "ReadVariableOp", "RealDiv", "Reshape", "ResourceGather", "Rsqrt", "Shape",
    "Softmax", "Square", "StridedSlice", "Sub", "Tanh", "Transpose",
    "VarHandleOp", "VarIsInitializedOp",
}  # fmt: skip

# What hub.Module takes (native_module.py of tensorflow-hub 0.15), and the one
# for assets, which it makes use of and removes before it looks.
COLLECTIONS = {
    "variables", "trainable_variables", "asset_filepaths", "saved_model_assets"
}


def random_weights(config):
  generator = np.random.default_rng(7)
  return {
      name: generator.normal(
          float(name.endswith("gamma")), 0.3, shape
      ).astype(np.float32)
      for shapes in canonical.groups(config).values()
      for name, shape in shapes.items()
  }


def write(path, config, weights, lower_case=True):
  vocab_file = path.with_name("vocab.txt")
  vocabulary.write(vocab_file, ENTRIES)
  hub_module.write(path, config, weights, vocab_file, lower_case)
  return path


def inputs():
  generator = np.random.default_rng(6)
  return {
      "input_ids": tf.constant(generator.integers(0, V, (3, 7), np.int32)),
      "input_mask": tf.constant(
          np.int32(np.arange(7) < np.array([[7], [4], [1]]))
      ),
      "segment_ids": tf.constant(generator.integers(0, 2, (3, 7), np.int32)),
  }


def positions():
  return tf.constant([[0, 6], [3, 1], [0, 0]])


def fed():
  """Returns the inputs as pd_tf's own encoder takes them."""
  given = inputs()
  return rows.padded(
      given["input_ids"], given["input_mask"], given["segment_ids"]
  )


def built(config, weights):
  """Returns pd_tf's own encoder."""
  model = bert.build(config)
  model.load_canonical_weights({
      name: weights[name] for name in model.canonical_weights()
  })
  return model


def meta_graphs(path):
  saved_model = saved_model_pb2.SavedModel.FromString(
      (path / "saved_model.pb").read_bytes()
  )
  return {
      tuple(graph.meta_info_def.tags): graph
      for graph in saved_model.meta_graphs
  }


def close(actual, expected):
  np.testing.assert_allclose(
      actual, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max()
  )


@pytest.fixture(scope="module", name="weights")
def weights_fixture():
  return random_weights(CONFIG)


@pytest.fixture(scope="module", name="path")
def path_fixture(weights, tmp_path_factory):
  path = tmp_path_factory.mktemp("hub_module") / "module"
  return write(path, CONFIG, weights)


@pytest.fixture(scope="module", name="loaded")
def loaded_fixture(path):
  return hub.load(str(path), tags=[])


def test_has_the_files_of_a_tf1_hub_module(path):
  files = {
      file.relative_to(path).as_posix()
      for file in path.rglob("*") if file.is_file()
  }
  assert files == {
      "assets/vocab.txt", "saved_model.pb", "tfhub_module.pb",
      "variables/variables.data-00000-of-00001", "variables/variables.index",
  }
  assert (path / "tfhub_module.pb").read_bytes() == b"\x08\x03"
  assert (path / "assets" / "vocab.txt").read_bytes() == (
      path.with_name("vocab.txt").read_bytes()
  )


def test_has_a_graph_without_tags_and_one_for_training(path):
  graphs = meta_graphs(path)
  assert graphs.keys() == {(), ("train",)}
  random = {
      tags: sum(node.op == "RandomUniform" for node in graph.graph_def.node)
      for tags, graph in graphs.items()
  }
  # After the embeddings, and thrice a layer.
  assert random == {(): 0, ("train",): 1 + 3 * CONFIG.num_layers}


def test_draws_no_masks_with_a_fixed_seed(weights, tmp_path):
  tf.random.set_seed(3)
  for node in meta_graphs(write(tmp_path / "module", CONFIG, weights))[
      ("train",)
  ].graph_def.node:
    # Stripped as they are 0, which is the default.
    assert not {"seed", "seed2"} & set(node.attr)


def test_signatures_are_those_of_the_original_modules(path):
  texts = ["input_ids", "input_mask", "segment_ids"]
  for graph in meta_graphs(path).values():
    found = {
        name: (sorted(signature.inputs), sorted(signature.outputs))
        for name, signature in graph.signature_def.items()
    }
    assert found == {
        "tokens": (texts, ["pooled_output", "sequence_output"]),
        "mlm": (
            ["input_ids", "input_mask", "mlm_positions", "segment_ids"],
            ["mlm_logits", "pooled_output", "sequence_output"],
        ),
        "tokenization_info": ([], ["do_lower_case", "vocab_file"]),
    }


def test_signatures_tell_types_and_shapes(path):
  graph = meta_graphs(path)[()]
  infos = dict(graph.signature_def["mlm"].inputs)
  infos |= dict(graph.signature_def["mlm"].outputs)
  infos |= dict(graph.signature_def["tokenization_info"].outputs)
  found = {
      name: (tf.as_dtype(info.dtype), tf.TensorShape(info.tensor_shape))
      for name, info in infos.items()
  }
  any_batch = tf.TensorShape([None, None])
  assert {
      name: (dtype.name, shape.as_list()) for name, (dtype, shape) in
      found.items()
  } == {
      **{name: ("int32", any_batch.as_list()) for name in inputs()},
      "mlm_positions": ("int32", any_batch.as_list()),
      "mlm_logits": ("float32", [None, V]),
      "pooled_output": ("float32", [None, H]),
      "sequence_output": ("float32", [None, None, H]),
      "do_lower_case": ("bool", []),
      "vocab_file": ("string", []),
  }


def test_consists_of_what_tensorflow_1_15_knows(path, tmp_path):
  exact = encoder_config.EncoderConfig(
      num_layers=1, hidden_size=H, head_size=8, vocab_size=V, max_positions=8,
      hidden_act="gelu_erf",
  )
  other = write(tmp_path / "module", exact, random_weights(exact))
  for graph in (*meta_graphs(path).values(), *meta_graphs(other).values()):
    assert {node.op for node in graph.graph_def.node} <= OLD_OPS
    assert not graph.graph_def.library.function
    assert graph.collection_def.keys() <= COLLECTIONS
    # It is of TensorFlow 2.16, and not at its default here.
    assert not any("debug_name" in node.attr for node in graph.graph_def.node)


def test_graph_holds_no_weights(path):
  for graph in meta_graphs(path).values():
    for node in graph.graph_def.node:
      assert node.attr["value"].tensor.ByteSize() < 200


def test_names_variables_as_the_released_checkpoints(path, weights):
  reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
  kept = {name for name in weights if "seq_relationship" not in name}
  assert reader.get_variable_to_shape_map().keys() == kept
  for name in kept:
    np.testing.assert_array_equal(reader.get_tensor(name), weights[name])
  for graph in meta_graphs(path).values():
    for collection in ("variables", "trainable_variables"):
      assert len(graph.collection_def[collection].bytes_list.value) == len(kept)


def test_writes_the_same_bytes_again(path, weights, tmp_path):
  again = write(tmp_path / "module", CONFIG, weights)
  for file in path.rglob("*"):
    if file.is_file():
      assert (again / file.relative_to(path)).read_bytes() == file.read_bytes()


@pytest.mark.parametrize("hidden_act", ["gelu", "gelu_erf"])
def test_computes_what_the_encoder_does(hidden_act, tmp_path):
  config = encoder_config.EncoderConfig(
      num_layers=2, hidden_size=H, head_size=8, vocab_size=V, max_positions=16,
      intermediate_size=40, hidden_act=hidden_act, layer_norm_epsilon=1e-3,
  )
  weights = random_weights(config)
  own = built(config, weights).encode(fed(), None)
  # The tags of a TF1 module that hub.load takes without being told.
  loaded = hub.load(str(write(tmp_path / "module", config, weights)))
  outputs = loaded.signatures["tokens"](**inputs())
  close(outputs["sequence_output"].numpy(), own.sequence.numpy())
  close(outputs["pooled_output"].numpy(), own.pooled[:, 0].numpy())


def test_masked_lm_logits_are_those_of_a_numpy_oracle(loaded, weights):
  outputs = loaded.signatures["mlm"](**inputs(), mlm_positions=positions())
  sequence = outputs["sequence_output"].numpy().astype(np.float64)
  x = np.stack([
      sequence[row, place]
      for row, places in enumerate(positions().numpy()) for place in places
  ])
  scope = "cls/predictions/transform"
  x = x @ weights[f"{scope}/dense/kernel"] + weights[f"{scope}/dense/bias"]
  x = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
  x = (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)
  x = x * weights[f"{scope}/LayerNorm/gamma"]
  x = x + weights[f"{scope}/LayerNorm/beta"]
  x = x @ weights["bert/embeddings/word_embeddings"].T
  x = x + weights["cls/predictions/output_bias"]
  # Row after row, [B P, V].
  assert outputs["mlm_logits"].shape == (6, V)
  close(outputs["mlm_logits"].numpy(), x)


def test_has_no_mlm_without_a_masked_lm_head(weights, tmp_path):
  encoder_only = {
      name: array for name, array in weights.items() if "cls/" not in name
  }
  loaded = hub.load(str(write(tmp_path / "module", CONFIG, encoder_only)))
  assert set(loaded.signatures) == {"tokens", "tokenization_info"}
  assert len(loaded.variables) == len(encoder_only)


@pytest.mark.parametrize("lower_case", [False, True])
def test_tokenization_info(lower_case, weights, tmp_path):
  path = write(tmp_path / "module", CONFIG, weights, lower_case)
  loaded = hub.load(str(path), tags=["train"])
  info = loaded.signatures["tokenization_info"]()
  assert bool(info["do_lower_case"]) == lower_case
  # In TensorFlow 2 the path of an asset is here, not in the signature.
  asset = pathlib.Path(loaded.asset_paths[0].asset_path.numpy().decode())
  assert asset == path / "assets" / "vocab.txt"


def test_drops_out_only_in_the_graph_for_training(path, loaded):
  once, again = (
      loaded.signatures["tokens"](**inputs())["pooled_output"]
      for _ in range(2)
  )
  np.testing.assert_array_equal(once, again)
  training = hub.load(str(path), tags=["train"])
  once, again = (
      training.signatures["tokens"](**inputs())["pooled_output"]
      for _ in range(2)
  )
  assert not np.allclose(once, again)


@pytest.mark.parametrize("tags", [None, [], ["train"]])
def test_keras_layer_loads_it(tags, path, loaded):
  layer = hub.KerasLayer(
      str(path), signature="tokens", output_key="pooled_output", tags=tags
  )
  assert layer(inputs()).shape == (3, H)
  assert len(layer.weights) == len(loaded.variables)
  outputs = hub.KerasLayer(
      str(path), signature="mlm", signature_outputs_as_dict=True, tags=tags
  )({**inputs(), "mlm_positions": positions()})
  assert outputs["mlm_logits"].shape == (6, V)
  if not tags:
    expected = loaded.signatures["tokens"](**inputs())
    close(layer(inputs()).numpy(), expected["pooled_output"].numpy())


@pytest.mark.parametrize(
    ("name", "own_name"),
    [
        ("bert/embeddings/word_embeddings", "embeddings/word"),
        ("bert/encoder/layer_0/intermediate/dense/kernel",
         "layer_0/intermediate/kernel"),
        ("bert/encoder/layer_1/attention/output/LayerNorm/gamma",
         "layer_1/attention_layer_norm/gamma"),
    ],
)  # fmt: skip
def test_gradients_are_those_of_the_encoder(name, own_name, loaded, weights):
  (variable,) = (v for v in loaded.variables if v.name == f"{name}:0")
  with tf.GradientTape() as tape:
    outputs = loaded.signatures["tokens"](**inputs())
    loss = tf.reduce_sum(outputs["pooled_output"] ** 2)
  found = tf.convert_to_tensor(tape.gradient(loss, variable))
  model = built(CONFIG, weights)
  (own,) = (v for v in model.trainable_variables if v.name == f"{own_name}:0")
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum(model.encode(fed(), None).pooled ** 2)
  expected = tf.convert_to_tensor(tape.gradient(loss, own)).numpy()
  np.testing.assert_allclose(
      found.numpy(), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max()
  )
