"""TF1 TF-Hub modules, those of pd_tf and what others may have made of them."""

import json
import logging
import pathlib
import shutil
import tempfile

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.core.protobuf import saved_model_pb2

from pd_tf.config import encoder as encoder_config
from pd_tf.config import errors
from pd_tf.formats import bert_config
from pd_tf.formats import canonical
from pd_tf.formats import checkpoint
from pd_tf.formats import tf1_hub
from pd_tf.serving import hub_module
from pd_tf.text import vocabulary

CONFIG = encoder_config.EncoderConfig(
    num_layers=2, hidden_size=12, head_size=3, intermediate_size=20,
    vocab_size=9, max_positions=6, hidden_dropout=0.2, layer_norm_epsilon=1e-6,
)
PARTS = (canonical.ENCODER, canonical.POOLER, canonical.MASKED_LM)
CONFIG_NAME = "assets.extra/bert_config.json"
VARIABLES = "variables/variables"


def entries(size):
  return (*vocabulary.SPECIAL_TOKENS, *(f"w{i}" for i in range(size - 5)))


def random_weights(config, parts=PARTS):
  generator = np.random.default_rng(2)
  return {
      name: generator.normal(size=shape).astype(np.float32)
      for part in parts
      for name, shape in canonical.groups(config)[part].items()
  }


def write(path, config, weights, lower_case=False):
  vocab_file = path.with_name(f"{path.name}_vocab.txt")
  vocabulary.write(vocab_file, entries(config.vocab_size))
  hub_module.write(path, config, weights, vocab_file, lower_case)
  (path / "assets.extra").mkdir()
  (path / CONFIG_NAME).write_text(json.dumps(bert_config.to_json(config)))
  return path


def change_graphs(path, change):
  """Applies a function to both graphs of a module."""
  file = path / "saved_model.pb"
  saved_model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
  for graph in saved_model.meta_graphs:
    change(graph)
  file.write_bytes(saved_model.SerializeToString())


def change_config(path, **values):
  file = path / CONFIG_NAME
  file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def error(path):
  """Returns the message of the error of reading, which is one line."""
  with pytest.raises(errors.InputError) as caught:
    tf1_hub.read(path)
  message = str(caught.value)
  assert "\n" not in message
  assert message.startswith(str(path))
  return message.removeprefix(str(path)).removeprefix("/")


@pytest.fixture(scope="module", name="weights")
def weights_fixture():
  return random_weights(CONFIG)


@pytest.fixture(scope="module", name="written")
def written_fixture(weights, tmp_path_factory):
  return write(tmp_path_factory.mktemp("tf1_hub") / "module", CONFIG, weights)


@pytest.fixture(name="path")
def path_fixture(written, tmp_path):
  """A module of one's own, to be damaged."""
  return pathlib.Path(shutil.copytree(written, tmp_path / "module"))


def require_same(found, expected):
  assert found.keys() == expected.keys()
  for name, array in expected.items():
    assert found[name].dtype == np.float32
    np.testing.assert_array_equal(found[name], array)


def test_reads_what_was_written(path, weights, caplog):
  model = tf1_hub.read(path)
  assert model.encoder == CONFIG
  assert model.vocabulary == entries(9)
  assert not model.lower_case
  assert model.task is None
  require_same(model.weights, weights)
  assert not caplog.records


@hypothesis.settings(max_examples=6)
@hypothesis.given(
    layers=st.integers(1, 2),
    heads=st.integers(1, 4),
    head_size=st.integers(1, 8),
    inner=st.none() | st.integers(1, 40),
    sizes=st.tuples(st.integers(5, 30), st.integers(1, 9), st.integers(1, 3)),
    hidden_act=st.sampled_from(["gelu", "gelu_erf"]),
    rates=st.tuples(st.floats(0, 0.9), st.floats(0, 0.9)),
    epsilon=st.sampled_from([1e-12, 1e-5]),
    with_masked_lm=st.booleans(),
    lower_case=st.booleans(),
)
def test_round_trip_of_any_size(
    layers, heads, head_size, inner, sizes, hidden_act, rates, epsilon,
    with_masked_lm, lower_case,
):
  config = encoder_config.EncoderConfig(
      num_layers=layers, hidden_size=heads * head_size, head_size=head_size,
      intermediate_size=None if inner == 4 * heads * head_size else inner,
      vocab_size=sizes[0], max_positions=sizes[1], type_vocab_size=sizes[2],
      hidden_act=hidden_act, hidden_dropout=rates[0],
      attention_dropout=rates[1], layer_norm_epsilon=epsilon,
  )
  weights = random_weights(config, PARTS if with_masked_lm else PARTS[:2])
  with tempfile.TemporaryDirectory() as directory:
    path = pathlib.Path(directory, "module")
    model = tf1_hub.read(write(path, config, weights, lower_case))
    assert model.encoder == config
    assert model.lower_case == lower_case
    assert model.vocabulary == entries(config.vocab_size)
    require_same(model.weights, weights)
    # What the graph and the shapes show.
    (path / CONFIG_NAME).unlink()
    shown = tf1_hub.read(path)
  require_same(shown.weights, weights)
  assert shown.encoder == encoder_config.EncoderConfig(
      num_layers=layers, hidden_size=config.hidden_size, head_size=head_size,
      intermediate_size=config.intermediate_size, vocab_size=sizes[0],
      max_positions=sizes[1], type_vocab_size=sizes[2], hidden_act=hidden_act,
      layer_norm_epsilon=epsilon,
  )


def test_takes_heads_to_be_of_64_where_the_graph_hides_them(
    tmp_path, caplog
):
  config = encoder_config.EncoderConfig(
      num_layers=1, hidden_size=128, head_size=32, vocab_size=7,
      max_positions=4,
  )
  path = write(tmp_path / "module", config, random_weights(config))
  (path / CONFIG_NAME).unlink()

  def hide(graph):
    for node in graph.graph_def.node:
      if node.op == "Reshape":
        node.op = "Identity"

  change_graphs(path, hide)
  assert tf1_hub.read(path).encoder.num_heads == 2
  assert [record.message for record in caplog.records] == [
      f"{path}/saved_model.pb: shows no number of heads; taken to be of size "
      "64."
  ]


def test_refuses_heads_that_nothing_tells(path):
  (path / CONFIG_NAME).unlink()

  def hide(graph):
    for node in graph.graph_def.node:
      if node.op == "Reshape":
        node.op = "Identity"

  change_graphs(path, hide)
  assert error(path) == (
      "saved_model.pb: shows no number of heads, and hidden_size (12) is no "
      "multiple of 64, the size of a released model's."
  )


def test_epsilon_is_that_of_bert_where_the_graph_hides_it(path):
  (path / CONFIG_NAME).unlink()

  def hide(graph):
    for node in graph.graph_def.node:
      if node.op == "Rsqrt":
        node.op = "Sqrt"

  assert tf1_hub.read(path).encoder.layer_norm_epsilon == 1e-6
  change_graphs(path, hide)
  assert tf1_hub.read(path).encoder.layer_norm_epsilon == 1e-12


def test_reads_a_configuration_among_the_assets(path):
  (path / CONFIG_NAME).rename(path / "assets" / "bert_config.json")
  assert tf1_hub.read(path).encoder == CONFIG


def test_reads_variables_below_a_scope(path, weights, caplog):
  shutil.rmtree(path / "variables")
  (path / "variables").mkdir()
  others = {"global_step": np.float32(1), "module/output_bias": np.ones(2)}
  checkpoint.write(
      path / VARIABLES,
      {
          **{f"module/{name}": array for name, array in weights.items()},
          **{name: np.float32(array) for name, array in others.items()},
      },
  )
  require_same(tf1_hub.read(path).weights, weights)
  assert [record.message for record in caplog.records] == [
      f"{path}: ignored global_step, module/output_bias."
  ]


def test_reads_a_next_sentence_head(path, weights):
  head = random_weights(CONFIG, [canonical.NEXT_SENTENCE])
  checkpoint.write(path / VARIABLES, weights | head)
  require_same(tf1_hub.read(path).weights, weights | head)


def test_reads_a_vocabulary_of_another_name(path):
  (path / "assets" / "vocab.txt").rename(path / "assets" / "words.list")

  def rename(graph):
    (packed,) = graph.collection_def["saved_model_assets"].any_list.value
    asset = meta_graph_pb2.AssetFileDef()
    packed.Unpack(asset)
    asset.filename = "words.list"
    packed.Pack(asset)

  change_graphs(path, rename)
  assert tf1_hub.read(path).vocabulary == entries(9)


def test_reads_a_module_without_vocabulary(path, caplog):
  (path / "assets" / "vocab.txt").unlink()
  assert tf1_hub.read(path).vocabulary == ()
  assert [record.levelno for record in caplog.records] == [logging.WARNING]


@pytest.mark.parametrize(
    ("entry", "lower_case"), [("w0", True), ("W0", False)]
)
def test_case_is_that_of_the_vocabulary_where_nothing_tells(
    path, entry, lower_case
):
  file = path / "assets" / "vocab.txt"
  file.write_text(file.read_text().replace("w0", entry))
  change_graphs(path, lambda graph: graph.signature_def.clear())
  assert tf1_hub.read(path).lower_case == lower_case


def test_follows_identities_to_the_case(path):
  def detour(graph):
    node = graph.graph_def.node.add(name="detour", op="Identity")
    node.input.append("do_lower_case")
    outputs = graph.signature_def["tokenization_info"].outputs
    outputs["do_lower_case"].name = "detour:0"

  change_graphs(path, detour)
  file = path / "assets" / "vocab.txt"
  assert "W" not in file.read_text()
  assert not tf1_hub.read(path).lower_case


def test_identities_in_a_circle_come_to_an_end(path):
  def circle(graph):
    node = graph.graph_def.node.add(name="circle", op="Identity")
    node.input.append("circle")
    outputs = graph.signature_def["tokenization_info"].outputs
    outputs["do_lower_case"].name = "circle:0"

  change_graphs(path, circle)
  assert tf1_hub.read(path).lower_case


def test_found_in_needs_the_mark_and_a_graph(path):
  assert tf1_hub.found_in(path)
  (path / "tfhub_module.pb").unlink()
  assert not tf1_hub.found_in(path)
  assert not tf1_hub.found_in(path / "saved_model.pb")
  assert not tf1_hub.found_in(path / "nowhere")


def test_carries_what_has_a_signature():
  parts = canonical.groups(CONFIG, num_outputs=2)
  assert tf1_hub.carried(parts) == list(PARTS)
  assert tf1_hub.carried([canonical.ENCODER]) == [canonical.ENCODER]


def test_everything_at_the_top_is_its_own(path):
  names = {file.name for file in path.iterdir()}
  assert names <= set(tf1_hub.OWN_FILES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (b"\x08\x03\x12\x01x", "08 03 12 01 78"),
        (b"\x08\x02", "08 02"),
    ],
)
def test_refuses_another_mark(path, content, message):
  (path / "tfhub_module.pb").write_bytes(content)
  assert error(path) == (
      "tfhub_module.pb: expected the two bytes 08 03 of a TF1 TF-Hub module, "
      f"got {message}."
  )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tfhub_module.pb", "tfhub_module.pb: cannot be read: "
         "No such file or directory."),
        ("saved_model.pb", "saved_model.pb: cannot be read: "
         "No such file or directory."),
        (f"{VARIABLES}.index", f"{VARIABLES}: not a readable checkpoint: "),
        (f"{VARIABLES}.data-00000-of-00001",
         f"{VARIABLES}: not a readable checkpoint: "),
    ],
)  # fmt: skip
def test_missing_files(path, name, message):
  (path / name).unlink()
  assert error(path).startswith(message)


@pytest.mark.parametrize("share", [0, 0.1, 0.3, 0.5, 0.9, 0.999])
def test_refuses_a_graph_that_is_cut_off(path, share):
  file = path / "saved_model.pb"
  content = file.read_bytes()
  file.write_bytes(content[:int(share * len(content))])
  assert error(path).startswith("saved_model.pb: ")


def test_refuses_a_graph_cut_off_between_graphs(path):
  file = path / "saved_model.pb"
  saved_model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
  del saved_model.meta_graphs[1:]
  file.write_bytes(saved_model.SerializeToString())
  assert error(path) == (
      "saved_model.pb: expected a graph without tags, as TF1 TF-Hub modules "
      "have, found 1 graphs [['train']]."
  )


@hypothesis.settings(max_examples=20)
@hypothesis.given(data=st.data())
def test_damage_to_a_graph_gives_the_same_model_or_an_error(
    written, weights, data
):
  content = bytearray((written / "saved_model.pb").read_bytes())
  for _ in range(3):
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255))
  with tempfile.TemporaryDirectory() as directory:
    path = pathlib.Path(shutil.copytree(written, f"{directory}/module"))
    (path / "saved_model.pb").write_bytes(content)
    try:
      model = tf1_hub.read(path)
    except errors.InputError as error:
      assert "\n" not in str(error)
      assert str(error).startswith(str(path))
      return
  assert model.encoder == CONFIG
  require_same(model.weights, weights)


@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001"])
@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_refuses_variables_that_are_cut_off(path, suffix, share):
  file = path / f"{VARIABLES}{suffix}"
  content = file.read_bytes()
  file.write_bytes(content[:int(share * len(content))])
  assert error(path).startswith(f"{VARIABLES}: not a readable checkpoint: ")


def test_refuses_variables_that_are_damaged(path):
  file = path / f"{VARIABLES}.data-00000-of-00001"
  content = bytearray(file.read_bytes())
  content[len(content) // 2] ^= 1
  file.write_bytes(content)
  assert "Checksum does not match" in error(path)


def test_refuses_a_module_of_something_else(path):
  table = np.ones((3, 2), np.float32)
  checkpoint.write(path / VARIABLES, {"embeddings": table})
  assert error(path) == (
      f"{VARIABLES}: expected one tensor bert/embeddings/word_embeddings, "
      "found 0 among 1 tensors."
  )


def test_refuses_two_encoders(path, weights):
  checkpoint.write(
      path / VARIABLES,
      weights | {f"other/{name}": array for name, array in weights.items()},
  )
  assert "expected one tensor bert/embeddings/word_embeddings, found 2" in (
      error(path)
  )


def test_refuses_a_part_of_an_encoder(path, weights):
  lacking = "bert/encoder/layer_1/output/dense/bias"
  checkpoint.write(
      path / VARIABLES,
      {name: array for name, array in weights.items() if name != lacking},
  )
  assert error(path).startswith(
      f"{VARIABLES}: expected tensor {lacking} [12] of the encoder, found none"
  )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (dict(hidden_act="gelu_erf"), "hidden_act must be what saved_model.pb "
         "computes (gelu), was 'gelu_erf'."),
        (dict(hidden_act="relu"), "hidden_act must be one of gelu, gelu_erf, "
         "was 'relu'."),
        (dict(num_attention_heads=6), "num_attention_heads must be the 4 of "
         "saved_model.pb, was 6."),
        (dict(num_hidden_layers=None), "num_hidden_layers must be an integer "
         "of at least 1, was None."),
    ],
)  # fmt: skip
def test_refuses_a_configuration_of_another_model(path, values, message):
  change_config(path, **values)
  assert error(path) == f"{CONFIG_NAME}: {message}"


def test_refuses_a_configuration_of_another_shape(path):
  change_config(path, max_position_embeddings=7)
  assert error(path) == (
      f"{VARIABLES}: bert/embeddings/position_embeddings must have shape "
      "[7, 12] after the configuration, has [6, 12]."
  )


def test_refuses_a_vocabulary_of_another_size(path):
  with open(path / "assets" / "vocab.txt", "a", encoding="utf-8") as file:
    file.write("more\n")
  assert error(path) == (
      "assets/vocab.txt: expected vocab_size (9) entries, got 10."
  )


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/passwd", "..", ""])
def test_refuses_a_vocabulary_outside_the_assets(path, name):
  def lead_out(graph):
    (packed,) = graph.collection_def["saved_model_assets"].any_list.value
    asset = meta_graph_pb2.AssetFileDef()
    packed.Unpack(asset)
    asset.filename = name
    packed.Pack(asset)

  change_graphs(path, lead_out)
  assert error(path) == (
      f"saved_model.pb: the vocabulary must be a file in assets, is {name!r}."
  )


@pytest.mark.parametrize("with_config", [True, False])
def test_refuses_another_activation(path, with_config):
  def replace(graph):
    for node in graph.graph_def.node:
      if node.op == "Tanh":
        node.op = "Relu"

  change_graphs(path, replace)
  if with_config:
    assert "computes (no GELU)" in error(path)
    return
  (path / CONFIG_NAME).unlink()
  assert error(path) == (
      "saved_model.pb: expected a BERT, found a graph that computes no GELU."
  )


@pytest.mark.parametrize(
    ("name", "shape", "found"),
    [
        ("bert/embeddings/position_embeddings", (12,), "shape [12]"),
        ("bert/embeddings/token_type_embeddings", None, "none"),
    ],
)
def test_refuses_shapes_that_show_no_encoder(
    path, weights, name, shape, found
):
  (path / CONFIG_NAME).unlink()
  changed = dict(weights)
  del changed[name]
  if shape is not None:
    changed[name] = np.zeros(shape, np.float32)
  checkpoint.write(path / VARIABLES, changed)
  assert error(path) == (
      f"{VARIABLES}: expected a matrix {name}, found {found}."
  )


def test_claims_of_huge_constants_cost_nothing(path):
  def claim(graph):
    for node in graph.graph_def.node:
      if node.name.endswith("/shape/2") or node.name == "do_lower_case":
        shape = tf.TensorShape([2**40]).as_proto()
        node.attr["value"].tensor.tensor_shape.CopyFrom(shape)

  change_graphs(path, claim)
  assert tf1_hub.read(path).encoder == CONFIG
