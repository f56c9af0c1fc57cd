"""SavedModels of BERT encoders: Model Garden's, old ones, damaged ones."""

import dataclasses
import json
import logging
import pathlib
import shutil
import subprocess
import sys

import numpy as np
from official.legacy.bert import configs as legacy_configs
from official.nlp.configs import encoders
from official.nlp.tools import export_tfhub_lib
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from pd_tf.config import encoder
from pd_tf.config import errors
from pd_tf.config import pretrained
from pd_tf.formats import bert_config
from pd_tf.formats import canonical
from pd_tf.formats import model_garden
from pd_tf.formats import model_garden_names
from pd_tf.formats import tf_hub
from pd_tf.text import vocabulary

# Model Garden's pretrainer hands its encoder one input too many.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Input dict contained keys:UserWarning"
)

_TINY = encoder.EncoderConfig(
    num_layers=2, hidden_size=16, head_size=8, intermediate_size=24,
    vocab_size=40, max_positions=12,
)
_DATA = pathlib.Path("variables/variables.data-00000-of-00001")
_INDEX = pathlib.Path("variables/variables.index")
_ENTRIES = (*vocabulary.SPECIAL_TOKENS, *(f"w{index}" for index in range(35)))


def _weights(config=_TINY, without=(canonical.NEXT_SENTENCE,), seed=0):
  generator = np.random.default_rng(seed)
  return {
      name: generator.standard_normal(shape).astype(np.float32)
      for part, shapes in canonical.groups(config).items()
      if part not in without
      for name, shape in shapes.items()
  }


def _assert_same_weights(read, written):
  assert read.keys() == written.keys()
  for name, array in written.items():
    assert read[name].tobytes() == array.tobytes(), name
    assert read[name].shape == array.shape


def _without_head(weights):
  return {
      name: array
      for name, array in weights.items()
      if not name.startswith("cls/")
  }


def _export(directory, weights, with_mlm, legacy=False, lower_case=True):
  """Writes Model Garden's own export of weights."""
  model_garden.write(
      directory / "checkpoint",
      pretrained.Pretrained(_TINY, weights, _ENTRIES, lower_case=lower_case),
  )
  sizes = encoders.BertEncoderConfig(
      vocab_size=40, hidden_size=16, num_layers=2, num_attention_heads=2,
      intermediate_size=24, max_position_embeddings=12, type_vocab_size=2,
  )
  config = directory / "checkpoint" / "bert_config.json"
  given = (
      {"bert_config": legacy_configs.BertConfig.from_json_file(str(config))}
      if legacy
      else {"encoder_config": encoders.EncoderConfig(type="bert", bert=sizes)}
  )
  export_tfhub_lib.export_model(
      str(directory / "export"), **given,
      model_checkpoint_path=str(directory / "checkpoint/bert_model.ckpt"),
      with_mlm=with_mlm,
      vocab_file=str(directory / "checkpoint/vocab.txt"),
      do_lower_case=lower_case,
  )
  return directory / "export"


@pytest.fixture(scope="module", name="exported")
def _exported(tmp_path_factory):
  weights = _weights()
  path = _export(
      tmp_path_factory.mktemp("export"), weights, True, lower_case=False
  )
  return path, weights


class TestModelGardensExports:

  def test_with_masked_lm(self, exported, caplog):
    path, weights = exported
    assert tf_hub.found_in(path)
    with caplog.at_level(logging.WARNING):
      read = tf_hub.read(path)
    assert read.encoder == _TINY
    assert read.vocabulary == _ENTRIES
    assert not read.lower_case
    assert read.task is None
    _assert_same_weights(read.weights, weights)
    (line,) = caplog.messages
    assert "assumed" in line

  @pytest.mark.slow
  @pytest.mark.parametrize("legacy", [True, False])
  @pytest.mark.parametrize("with_mlm", [True, False])
  def test_of_every_kind(self, tmp_path, legacy, with_mlm):
    weights = _weights(seed=1)
    path = _export(tmp_path, weights, with_mlm, legacy)
    read = tf_hub.read(path)
    assert read.encoder == _TINY
    assert read.vocabulary == _ENTRIES
    assert read.lower_case
    _assert_same_weights(
        read.weights, weights if with_mlm else _without_head(weights)
    )

  @pytest.mark.slow
  def test_inside_a_keras_model(self, tmp_path, exported, caplog):
    path, weights = exported
    # hub.KerasLayer leaves traces in the process.
    subprocess.run(
        [sys.executable, "-c", _SAVE_INSIDE, path, tmp_path / "classifier"],
        check=True, capture_output=True,
    )
    with caplog.at_level(logging.WARNING):
      read = tf_hub.read(tmp_path / "classifier")
    assert read.encoder == _TINY
    assert read.vocabulary == _ENTRIES
    assert not read.lower_case
    (line,) = [each for each in caplog.messages if "ignored" in each]
    assert "score/kernel" in line and "score/bias" in line
    _assert_same_weights(_without_head(read.weights), _without_head(weights))

  @pytest.mark.slow
  def test_twice_inside_a_keras_model(self, tmp_path, exported):
    path, _ = exported
    subprocess.run(
        [sys.executable, "-c", _SAVE_TWICE, path, tmp_path / "two"],
        check=True, capture_output=True,
    )
    assert "expected one BERT encoder" in _error(tmp_path / "two")


_SAVE_INSIDE = """
import sys
import tensorflow as tf, tensorflow_hub as hub, tf_keras
inputs = {
    name: tf_keras.Input([None], dtype=tf.int32, name=name)
    for name in ("input_word_ids", "input_mask", "input_type_ids")
}
pooled = hub.KerasLayer(sys.argv[1], trainable=True)(inputs)["pooled_output"]
model = tf_keras.Model(inputs, tf_keras.layers.Dense(1, name="score")(pooled))
model.compile("adam", "mse")
ids = {name: tf.ones([2, 3], tf.int32) for name in inputs}
model.optimizer.learning_rate.assign(0.0)
model.fit(ids, tf.zeros([2, 1]), verbose=0)
model.save(sys.argv[2])
"""

_SAVE_TWICE = """
import sys
import tensorflow as tf
root = tf.train.Checkpoint(
    a=tf.saved_model.load(sys.argv[1]), b=tf.saved_model.load(sys.argv[1])
)
tf.saved_model.save(root, sys.argv[2])
"""


# Names of tensorflow/bert_en_uncased_L-12_H-768_A-12/1, of 2019.
_NAMES_2019 = [
    ("bert/embeddings/word_embeddings",
     "bert_model/word_embeddings/embeddings"),
    ("bert/embeddings/position_embeddings",
     "bert_model/embedding_postprocessor/position_embeddings"),
    ("bert/embeddings/token_type_embeddings",
     "bert_model/embedding_postprocessor/type_embeddings"),
    ("bert/embeddings/LayerNorm",
     "bert_model/embedding_postprocessor/layer_norm"),
    ("attention/self/", "self_attention/"),
    ("attention/output/dense", "self_attention_output"),
    ("attention/output/LayerNorm", "self_attention_layer_norm"),
    ("intermediate/dense", "intermediate"),
    ("output/dense", "output"),
    ("output/LayerNorm", "output_layer_norm"),
    ("bert/encoder/", "bert_model/encoder/"),
    ("bert/pooler/dense", "bert_model/pooler_transform"),
]


def _name_2019(name):
  for ours, theirs in _NAMES_2019:
    name = name.replace(ours, theirs)
  return name


def _name_2020(name):
  """Returns what Model Garden called it when attention had no layer."""
  part = next(
      part for part, shapes in canonical.groups(_TINY).items() if name in shapes
  )
  names = {
      stored.released: stored.name
      for stored in model_garden_names.layout(_TINY, part)
  }
  return names[name].replace(
      "self_attention/attention_output", "self_attention_output"
  )


def _gelu(values):
  return tf.nn.gelu(values, approximate=True)


def _save(
    path, weights, name_of=_name_2020, flat=False, activation=_gelu,
    vocab_file=None, lower_case=None, others=(), epsilon=1e-12,
):
  """Writes a SavedModel by hand."""
  root = tf.train.Checkpoint()
  root.variables = [
      tf.Variable(
          array if flat else model_garden_names.stored(name, array, _TINY),
          name=name_of(name),
      )
      for name, array in weights.items()
  ] + [tf.Variable(tf.zeros([2]), name=name) for name in others]

  @tf.function(input_signature=[tf.TensorSpec([2], tf.float32)])
  def call(values):
    normalized = tf.nn.batch_normalization(
        values, 0.0, tf.square(values), None, None, epsilon
    )
    return activation(normalized) + root.variables[0][0, 0]

  root.__call__ = call
  if vocab_file is not None:
    root.vocab_file = tf.saved_model.Asset(str(vocab_file))
  if lower_case is not None:
    root.do_lower_case = tf.Variable(lower_case, trainable=False)
  tf.saved_model.save(root, str(path))
  return path


class TestOldOnes:

  @pytest.mark.parametrize("name_of", [_name_2019, _name_2020])
  def test_by_head(self, tmp_path, name_of):
    weights = _weights(without=(canonical.MASKED_LM, canonical.NEXT_SENTENCE))
    vocab_file = tmp_path / "vocab.txt"
    vocabulary.write(vocab_file, _ENTRIES)
    path = _save(
        tmp_path / "model", weights, name_of, vocab_file=vocab_file,
        lower_case=True,
    )
    read = tf_hub.read(path)
    assert read.encoder == _TINY
    assert read.vocabulary == _ENTRIES
    assert read.lower_case
    _assert_same_weights(read.weights, weights)

  def test_flat(self, tmp_path, caplog):
    # BertConfig.backward_compatible, in 2019: [H, H] as released.
    config = dataclasses.replace(
        _TINY, hidden_size=128, head_size=64, intermediate_size=None
    )
    weights = _weights(config, (canonical.MASKED_LM, canonical.NEXT_SENTENCE))
    with caplog.at_level(logging.WARNING):
      read = tf_hub.read(
          _save(tmp_path / "model", weights, _name_2019, flat=True)
      )
    assert read.encoder == config
    _assert_same_weights(read.weights, weights)
    assert any("num_attention_heads 2" in line for line in caplog.messages)

  def test_variables_of_a_taken_name(self, tmp_path):
    weights = _weights()
    path = _save(
        tmp_path / "model", weights,
        lambda name: f"keras_layer/{_name_2020(name)}_1",
    )
    _assert_same_weights(tf_hub.read(path).weights, weights)

  def test_without_pooler(self, tmp_path):
    weights = _weights(without=(
        canonical.POOLER, canonical.MASKED_LM, canonical.NEXT_SENTENCE
    ))
    path = _save(tmp_path / "model", weights)
    _assert_same_weights(tf_hub.read(path).weights, weights)


class TestConfiguration:

  @pytest.mark.parametrize("erf", [tf.math.erf, tf.math.erfc])
  def test_tells_the_exact_gelu(self, tmp_path, erf):
    path = _save(tmp_path / "model", _weights(), activation=erf)
    assert tf_hub.read(path).encoder.hidden_act == "gelu_erf"

  def test_takes_the_tanh_form_where_there_are_both(self, tmp_path):
    path = _save(
        tmp_path / "model", _weights(),
        activation=lambda x: _gelu(x) + tf.math.erf(x),
    )
    assert tf_hub.read(path).encoder.hidden_act == "gelu"

  def test_refuses_another_activation(self, tmp_path):
    path = _save(tmp_path / "model", _weights(), activation=tf.nn.relu)
    assert "found a graph that computes no GELU" in _error(path)

  def test_refuses_layers_that_normalize_first(self, tmp_path):

    def normalize_first(values):
      with tf.name_scope("transformer/layer_0/self_attention_layer_norm"):
        normal = tf.add(values, 1.0)
      with tf.name_scope("transformer/layer_0/self_attention/query"):
        return tf.multiply(normal, 2.0) + _gelu(values)

    path = _save(tmp_path / "model", _weights(), activation=normalize_first)
    assert "normalize before attention (norm_first)" in _error(path)

  def test_tells_epsilon(self, tmp_path):
    path = _save(tmp_path / "model", _weights(), epsilon=1e-6)
    assert tf_hub.read(path).encoder.layer_norm_epsilon == 1e-6

  def test_takes_that_of_pd_tf(self, tmp_path, caplog):
    config = dataclasses.replace(
        _TINY, hidden_act="gelu_erf", hidden_dropout=0.3,
        layer_norm_epsilon=1e-5,
    )
    path = _save(tmp_path / "model", _weights())
    (path / "assets.extra").mkdir()
    (path / "assets.extra/bert_config.json").write_text(
        json.dumps(bert_config.to_json(config))
    )
    with caplog.at_level(logging.WARNING):
      assert tf_hub.read(path).encoder == config
    assert not caplog.messages

  def test_takes_the_case_from_the_vocabulary(self, tmp_path):
    vocab_file = tmp_path / "vocab.txt"
    vocabulary.write(vocab_file, (*_ENTRIES[:-1], "Word"))
    path = _save(tmp_path / "model", _weights(), vocab_file=vocab_file)
    assert not tf_hub.read(path).lower_case

  def test_lists_what_it_ignores(self, tmp_path, caplog):
    path = _save(tmp_path / "model", _weights(), others=("a/kernel", "b"))
    with caplog.at_level(logging.WARNING):
      tf_hub.read(path)
    assert any("ignored a/kernel, b." in line for line in caplog.messages)


class TestFoundIn:

  def test_leaves_tf1_modules_alone(self, tmp_path):
    assert not tf_hub.found_in(tmp_path)
    (tmp_path / "saved_model.pb").touch()
    assert tf_hub.found_in(tmp_path)
    (tmp_path / "tfhub_module.pb").touch()
    assert not tf_hub.found_in(tmp_path)


def test_carries_no_head_of_a_task():
  parts = list(canonical.groups(_TINY, 2))
  assert tf_hub.carried(parts) == [
      canonical.ENCODER, canonical.POOLER, canonical.MASKED_LM
  ]


def _error(path):
  with pytest.raises(errors.InputError) as caught:
    tf_hub.read(path)
  message = str(caught.value)
  assert "\n" not in message
  assert message.startswith(str(path))
  return message


@pytest.fixture(name="copy")
def _copy(tmp_path, exported):
  shutil.copytree(exported[0], tmp_path / "copy")
  return tmp_path / "copy"


def _edited(path, edit):
  """Changes saved_model.pb."""
  model = saved_model_pb2.SavedModel()
  model.ParseFromString((path / "saved_model.pb").read_bytes())
  edit(model.meta_graphs[0])
  (path / "saved_model.pb").write_bytes(model.SerializeToString())


class TestErrors:

  @pytest.mark.parametrize("name", [_INDEX, _DATA])
  @pytest.mark.parametrize("part", [0, 0.1, 0.5, 0.9, 0.999])
  def test_a_bundle_cut_off(self, copy, name, part):
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[: int(part * len(content))])
    assert "not a readable checkpoint" in _error(copy)

  @pytest.mark.parametrize("part", [0.01, 0.5, 0.99])
  def test_a_bundle_with_another_bit(self, copy, part):
    content = bytearray((copy / _DATA).read_bytes())
    content[int(part * len(content))] ^= 1
    (copy / _DATA).write_bytes(content)
    assert "not a readable checkpoint" in _error(copy)

  @pytest.mark.parametrize("part", [0, 0.1, 0.5, 0.9, 0.999])
  def test_a_graph_cut_off(self, copy, part):
    path = copy / "saved_model.pb"
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    expected = "not a readable SavedModel" if part else "no graph of objects"
    assert expected in _error(copy)

  def test_a_graph_of_something_else(self, copy):
    (copy / "saved_model.pb").write_bytes(b"\0 no SavedModel")
    assert "not a readable SavedModel" in _error(copy)

  def test_no_graph(self, copy):
    (copy / "saved_model.pb").unlink()
    assert "no such file" in _error(copy)

  def test_no_variables(self, copy):
    shutil.rmtree(copy / "variables")
    assert "not a readable checkpoint" in _error(copy)

  def test_a_savedmodel_of_tensorflow_1(self, copy):
    _edited(copy, lambda graph: graph.ClearField("object_graph_def"))
    assert "expected a SavedModel of TensorFlow 2" in _error(copy)

  def test_a_savedmodel_of_something_else(self, tmp_path):
    path = _save(tmp_path / "model", {
        "bert/embeddings/word_embeddings": np.ones([2, 2], np.float32)
    }, name_of=lambda name: "w")
    assert "expected a BERT encoder" in _error(path)

  def test_no_vocabulary(self, copy):
    (copy / "assets/vocab.txt").unlink()
    assert "no such file; saved_model.pb names it" in _error(copy)

  def test_a_vocabulary_of_another_model(self, copy):
    vocabulary.write(copy / "assets/vocab.txt", vocabulary.SPECIAL_TOKENS)
    assert "expected vocab_size (40) entries" in _error(copy)

  @pytest.mark.parametrize(
      "name", ["../vocab.txt", "/etc/passwd", "a/../../b", "", "..\\vocab.txt"]
  )
  def test_an_asset_outside(self, copy, name):
    def edit(graph):
      graph.asset_file_def[0].filename = name

    _edited(copy, edit)
    assert "vocab_file must be a file in assets" in _error(copy)

  def test_an_asset_that_is_none(self, copy):
    _edited(copy, lambda graph: graph.ClearField("asset_file_def"))
    assert "must be one of 0, was number 0" in _error(copy)

  def test_an_encoder_of_another_form(self, tmp_path):
    path = _save(
        tmp_path / "model", _weights(),
        others=["transformer/layer_0/gate/kernel"],
    )
    assert "that it has not: transformer/layer_0/gate/kernel" in _error(path)

  @pytest.mark.parametrize("missing", [
      "bert/embeddings/position_embeddings",
      "bert/embeddings/LayerNorm/beta",
      "bert/encoder/layer_0/intermediate/dense/kernel",
      "bert/encoder/layer_0/attention/self/query/kernel",
      "bert/encoder/layer_1/attention/output/dense/bias",
      "bert/pooler/dense/bias",
      "cls/predictions/transform/LayerNorm/gamma",
  ])
  def test_a_missing_tensor(self, tmp_path, missing):
    weights = _weights()
    del weights[missing]
    assert missing in _error(_save(tmp_path / "model", weights))

  @pytest.mark.parametrize(("name", "shape"), [
      ("bert/embeddings/LayerNorm/beta", [17]),
      ("bert/embeddings/position_embeddings", [12, 17]),
      ("bert/encoder/layer_1/intermediate/dense/bias", [25]),
      ("bert/encoder/layer_0/intermediate/dense/kernel", [16]),
      ("bert/pooler/dense/kernel", [4, 4, 16]),
  ])
  def test_a_tensor_of_another_shape(self, tmp_path, name, shape):
    weights = _weights() | {name: np.ones(shape, np.float32)}
    assert name in _error(_save(tmp_path / "model", weights))

  def test_a_tensor_of_another_type(self, tmp_path):
    weights = _weights()
    name = "bert/embeddings/LayerNorm/beta"
    weights[name] = weights[name].astype(np.float64)
    assert "must be float32, is float64" in _error(
        _save(tmp_path / "model", weights)
    )

  def test_a_case_that_is_no_boolean(self, tmp_path):
    path = _save(tmp_path / "model", _weights(), lower_case=1)
    assert "do_lower_case must be one boolean" in _error(path)

  def test_a_configuration_of_another_model(self, copy):
    (copy / "assets.extra").mkdir()
    config = dataclasses.replace(_TINY, head_size=4)
    (copy / "assets.extra/bert_config.json").write_text(
        json.dumps(bert_config.to_json(config))
    )
    assert "num_attention_heads (4) must be 2" in _error(copy)
