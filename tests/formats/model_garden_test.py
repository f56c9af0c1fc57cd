"""Model Garden's checkpoints: restored by its own classes, and read back."""

import dataclasses
import json
import logging
import pathlib
import shutil
import tempfile

import hypothesis
from hypothesis import strategies
import numpy as np
from official.legacy.bert import configs as legacy_configs
from official.nlp.configs import encoders
from official.nlp.modeling import layers
from official.nlp.modeling import models
from official.nlp.modeling import networks
from official.nlp.tasks import sentence_prediction
from official.nlp.tools import export_tfhub_lib
import pytest
import tensorflow as tf
import tf_keras
import yaml

from pd_tf.config import encoder
from pd_tf.config import errors
from pd_tf.config import pretrained
from pd_tf.formats import canonical
from pd_tf.formats import model_garden
from pd_tf.formats import model_garden_names
from pd_tf.text import vocabulary

# Model Garden's pretrainer hands its encoder one input too many.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Input dict contained keys:UserWarning"
)

_TINY = encoder.EncoderConfig(
    num_layers=2, hidden_size=16, head_size=8, intermediate_size=24,
    vocab_size=40, max_positions=12,
)
_INDEX = "bert_model.ckpt.index"
_DATA = "bert_model.ckpt.data-00000-of-00001"
_UNTOUCHED = np.float32(-77)


def _model(config=_TINY, num_outputs=0, without=(), seed=0):
  generator = np.random.default_rng(seed)
  weights = {
      name: generator.standard_normal(shape).astype(np.float32)
      for part, shapes in canonical.groups(config, num_outputs).items()
      if part not in without
      for name, shape in shapes.items()
  }
  words = [f"w{index}" for index in range(config.vocab_size - 5)]
  kind = "regression" if num_outputs == 1 else "classification"
  labels = tuple(f"label {index}" for index in range(num_outputs))
  return pretrained.Pretrained(
      encoder=config,
      weights=weights,
      vocabulary=(*vocabulary.SPECIAL_TOKENS, *words),
      task=pretrained.TaskHead(kind, labels, num_texts=2) if labels else None,
  )


def _written(directory, model):
  path = directory / "written"
  model_garden.write(path, model)
  return path


def _assert_same(read, written):
  assert dataclasses.replace(read, weights={}) == dataclasses.replace(
      written, weights={}
  )
  _assert_same_weights(read.weights, written.weights)


def _assert_same_weights(read, written):
  assert read.keys() == written.keys()
  for name, array in written.items():
    assert read[name].dtype == np.float32
    assert read[name].tobytes() == array.tobytes(), name


def _encoder_v2():
  network = networks.BertEncoderV2(
      vocab_size=40, hidden_size=16, num_layers=2, num_attention_heads=2,
      inner_dim=24, max_sequence_length=12, type_vocab_size=2,
  )
  network(network.inputs)
  return network


def _functional_encoder():
  return networks.BertEncoder(
      vocab_size=40, hidden_size=16, num_layers=2, num_attention_heads=2,
      inner_dim=24, max_sequence_length=12, type_vocab_size=2,
  )


_ENCODERS = pytest.mark.parametrize(
    "build", [_encoder_v2, _functional_encoder]
)


def _pretrainer(network, with_next_sentence=True):
  head = layers.ClassificationHead(
      inner_dim=16, num_classes=2, name="next_sentence"
  )
  model = models.BertPretrainerV2(
      network, classification_heads=[head] if with_next_sentence else None
  )
  model(model.inputs)
  return model


def _variables(items):
  found = {
      id(variable): variable
      for item in items.values()
      for variable in item.variables
  }
  return list(found.values())


def _expected(name, weights):
  """Returns the value of a Keras variable, by what it is called."""
  released = model_garden_names.released_name(name)
  if released:
    return weights[released]
  head = model_garden_names.head_variable(name)
  if head.dense == "pooler_dense":
    return weights[f"bert/pooler/dense/{head.leaf}"]
  scope = "cls/seq_relationship/" if head.head == "next_sentence" else ""
  if head.leaf == "kernel":
    return weights[f"{scope}output_weights"].T
  return weights[f"{scope}output_bias"]


def _assert_restores(path, weights, **items):
  """Restores a checkpoint into objects and compares each variable."""
  variables = _variables(items)
  assert len(variables) >= 5 + 16 * 2
  for variable in variables:
    variable.assign(tf.fill(variable.shape, _UNTOUCHED))
  status = tf.train.Checkpoint(**items).restore(str(path / "bert_model.ckpt"))
  status.assert_existing_objects_matched()
  status.expect_partial()
  for variable in variables:
    expected = _expected(variable.name, weights)
    assert variable.numpy().tobytes() == expected.tobytes(), variable.name


@pytest.fixture(scope="module", name="fine_tuned")
def _fine_tuned(tmp_path_factory):
  model = _model(num_outputs=3)
  path = _written(tmp_path_factory.mktemp("fine_tuned"), model)
  return path, model


class TestWrite:

  def test_makes_the_files_of_the_published_directories(self, fine_tuned):
    path, _ = fine_tuned
    assert sorted(file.name for file in path.iterdir()) == [
        "bert_config.json", _DATA, _INDEX, "task.json", "vocab.txt"
    ]

  @_ENCODERS
  def test_an_encoder_restores_it(self, fine_tuned, build):
    path, model = fine_tuned
    network = build()
    _assert_restores(path, model.weights, encoder=network)
    _assert_restores(path, model.weights, model=network)
    # As export_tfhub_lib does.
    _assert_restores(path, model.weights, model=network, encoder=network)

  @_ENCODERS
  @pytest.mark.parametrize("with_next_sentence", [True, False])
  def test_a_pretrainer_restores_it(
      self, fine_tuned, build, with_next_sentence
  ):
    path, model = fine_tuned
    pretrainer = _pretrainer(build(), with_next_sentence)
    items = pretrainer.checkpoint_items
    assert ("next_sentence.pooler_dense" in items) == with_next_sentence
    _assert_restores(path, model.weights, **items)
    _assert_restores(path, model.weights, model=pretrainer)
    _assert_restores(path, model.weights, model=pretrainer, **items)

  @_ENCODERS
  @pytest.mark.parametrize("use_encoder_pooler", [True, False])
  def test_a_classifier_restores_it(
      self, fine_tuned, build, use_encoder_pooler
  ):
    path, model = fine_tuned
    classifier = models.BertClassifier(
        build(), num_classes=3, use_encoder_pooler=use_encoder_pooler
    )
    _assert_restores(path, model.weights, model=classifier)
    if not use_encoder_pooler:
      _assert_restores(path, model.weights, **classifier.checkpoint_items)

  @pytest.mark.parametrize("init_cls_pooler", [True, False])
  def test_fine_tuning_starts_from_it(self, fine_tuned, init_cls_pooler):
    path, model = fine_tuned
    config = sentence_prediction.SentencePredictionConfig(
        init_checkpoint=str(path / "bert_model.ckpt"),
        init_cls_pooler=init_cls_pooler,
        model=sentence_prediction.ModelConfig(
            num_classes=3, encoder=_encoder_config()
        ),
    )
    task = sentence_prediction.SentencePredictionTask(config)
    classifier = task.build_model()
    task.initialize(classifier)
    kernel = classifier.checkpoint_items[
        "sentence_prediction.pooler_dense"
    ].kernel.numpy()
    same = np.array_equal(kernel, model.weights["bert/pooler/dense/kernel"])
    assert same == init_cls_pooler

  def test_holds_each_tensor_once_but_the_heads_pooler(self, fine_tuned):
    path, model = fine_tuned
    stored = tf.train.load_checkpoint(str(path / "bert_model.ckpt"))
    names = stored.get_variable_to_shape_map()
    assert len(names) == len(model.weights) + 2 + len(
        ["save_counter", "_CHECKPOINTABLE_OBJECT_GRAPH"]
    )

  def test_an_encoder_alone_has_no_tensor_twice(self, tmp_path):
    model = _model(without=(canonical.NEXT_SENTENCE, canonical.MASKED_LM))
    path = _written(tmp_path, model)
    stored = tf.train.load_checkpoint(str(path / "bert_model.ckpt"))
    assert len(stored.get_variable_to_shape_map()) == len(model.weights) + 2
    _assert_restores(path, model.weights, encoder=_encoder_v2())

  @pytest.mark.slow
  @pytest.mark.parametrize("with_mlm", [True, False])
  @pytest.mark.parametrize("legacy", [True, False])
  def test_model_garden_exports_it(
      self, tmp_path, fine_tuned, with_mlm, legacy
  ):
    path, model = fine_tuned
    given = (
        {"bert_config": legacy_configs.BertConfig.from_json_file(
            str(path / "bert_config.json")
        )}
        if legacy
        else {"encoder_config": _encoder_config()}
    )
    export_tfhub_lib.export_model(
        str(tmp_path / "export"), **given,
        model_checkpoint_path=str(path / "bert_model.ckpt"),
        with_mlm=with_mlm, copy_pooler_dense_to_encoder=True,
        vocab_file=str(path / "vocab.txt"), do_lower_case=True,
    )
    loaded = tf.saved_model.load(str(tmp_path / "export"))
    variables = (loaded.mlm if with_mlm else loaded).trainable_variables
    assert len(variables) == 5 + 16 * 2 + 2 + (5 if with_mlm else 0)
    for variable in variables:
      expected = _expected(variable.name, model.weights)
      assert variable.numpy().tobytes() == expected.tobytes()


def _encoder_config():
  return encoders.EncoderConfig(
      type="bert",
      bert=encoders.BertEncoderConfig(
          vocab_size=40, hidden_size=16, num_layers=2, num_attention_heads=2,
          intermediate_size=24, max_position_embeddings=12, type_vocab_size=2,
      ),
  )


class TestRoundTrip:

  def test_keeps_a_fine_tuned_model(self, fine_tuned):
    path, model = fine_tuned
    _assert_same(model_garden.read(path), model)
    _assert_same(model_garden.read(path / "bert_model.ckpt"), model)
    _assert_same(model_garden.read(path / _INDEX), model)

  def test_keeps_what_bert_config_has_keys_for(self, tmp_path):
    config = dataclasses.replace(
        _TINY, hidden_act="gelu_erf", layer_norm_epsilon=1e-6,
        hidden_dropout=0.25, attention_dropout=0.5, initializer_range=0.01,
    )
    model = dataclasses.replace(_model(config), lower_case=False)
    _assert_same(model_garden.read(_written(tmp_path, model)), model)

  def test_logs_nothing(self, fine_tuned, caplog):
    with caplog.at_level(logging.INFO):
      model_garden.read(fine_tuned[0])
    assert not caplog.messages

  def test_keeps_every_bit(self, tmp_path):
    model = _model()
    odd = np.array([-0.0, np.nan, np.inf, 1e-45], np.float32)
    model.weights["bert/embeddings/LayerNorm/beta"][:4] = odd
    model.weights["bert/encoder/layer_1/attention/self/key/bias"][:4] = odd
    _assert_same(model_garden.read(_written(tmp_path, model)), model)

  @hypothesis.settings(max_examples=25)
  @hypothesis.given(strategies.data())
  def test_keeps_any_size_and_any_parts(self, data):
    heads = data.draw(strategies.integers(1, 4))
    head_size = data.draw(strategies.integers(1, 8))
    config = encoder.EncoderConfig(
        hidden_size=heads * head_size,
        head_size=head_size,
        intermediate_size=data.draw(
            strategies.integers(33, 50) | strategies.none()
        ),
        num_layers=data.draw(strategies.integers(1, 12)),
        vocab_size=data.draw(strategies.integers(5, 50)),
        max_positions=data.draw(strategies.integers(1, 20)),
        type_vocab_size=data.draw(strategies.integers(1, 3)),
    )
    without = data.draw(strategies.sets(strategies.sampled_from([
        canonical.POOLER, canonical.MASKED_LM, canonical.NEXT_SENTENCE
    ])))
    model = _model(config, data.draw(strategies.integers(0, 3)), without)
    with tempfile.TemporaryDirectory() as directory:
      path = _written(pathlib.Path(directory), model)
      assert model_garden.found_in(path)
      _assert_same(model_garden.read(path), model)


def _train(model):
  """Gives all variables of a model values that training might."""
  generator = np.random.default_rng(3)
  for variable in model.variables:
    variable.assign(generator.standard_normal(variable.shape))


def _canonical(model):
  """Returns a Keras model's weights by released name; heads not among them."""
  weights = {}
  for variable in model.variables:
    name = model_garden_names.released_name(variable.name)
    if name:
      value = variable.numpy()
      shape = model_garden_names.released_shape(name, value.shape)
      weights[name] = value.reshape(shape)
  return weights


def _write_params(path, num_layers=2, kind="bert", **others):
  settings = {
      "vocab_size": 40, "hidden_size": 16, "num_layers": num_layers,
      "num_attention_heads": 2, "intermediate_size": 24,
      "hidden_activation": "gelu", "dropout_rate": 0.2,
      "attention_dropout_rate": 0.3, "max_position_embeddings": 12,
      "type_vocab_size": 2, "initializer_range": 0.05, "embedding_size": None,
      "norm_first": False, **others,
  }
  values = {"task": {"model": {"encoder": {"type": kind, kind: settings}}}}
  path.write_text(yaml.safe_dump(values))


_PARAMS_CONFIG = dataclasses.replace(
    _TINY, hidden_dropout=0.2, attention_dropout=0.3, initializer_range=0.05
)


class TestRead:

  @pytest.mark.parametrize("legacy", [True, False])
  def test_a_run_of_pretraining(self, tmp_path, caplog, legacy):
    pretrainer = _pretrainer(_encoder_v2())
    _train(pretrainer)
    optimizer = (
        tf_keras.optimizers.legacy.Adam() if legacy
        else tf_keras.optimizers.Adam()
    )
    optimizer.apply_gradients(
        (tf.ones_like(variable), variable)
        for variable in pretrainer.trainable_variables
    )
    checkpoint = tf.train.Checkpoint(
        model=pretrainer, optimizer=optimizer, **pretrainer.checkpoint_items
    )
    manager = tf.train.CheckpointManager(checkpoint, tmp_path / "run", 2)
    manager.save(checkpoint_number=9)
    _train(pretrainer)
    manager.save(checkpoint_number=10)
    _write_params(tmp_path / "params.yaml", kind="bert_v2")
    assert model_garden.found_in(tmp_path / "run")
    with caplog.at_level(logging.WARNING):
      read = model_garden.read(tmp_path / "run")
    assert read.encoder == _PARAMS_CONFIG
    assert read.vocabulary == ()
    head = pretrainer.classification_heads[0]
    _assert_same_weights(read.weights, {
        **_canonical(pretrainer),
        # The head's own, not the encoder's.
        "bert/pooler/dense/kernel": head.dense.kernel.numpy(),
        "bert/pooler/dense/bias": head.dense.bias.numpy(),
        "cls/seq_relationship/output_weights": (
            head.out_proj.kernel.numpy().T
        ),
        "cls/seq_relationship/output_bias": head.out_proj.bias.numpy(),
    })
    (ignored,) = [line for line in caplog.messages if "ignored" in line]
    assert "bert_encoder_v2" in ignored and "pooler_transform/kernel" in ignored
    assert "optimizer state of" in ignored and "m/bert" not in ignored

  @pytest.mark.parametrize("build", [_encoder_v2, _functional_encoder])
  @pytest.mark.parametrize("name", ["model", "encoder"])
  def test_an_encoder_without_configuration(
      self, tmp_path, caplog, build, name
  ):
    network = build()
    _train(network)
    checkpoint = tf.train.Checkpoint(**{name: network})
    prefix = checkpoint.save(tmp_path / "run" / "ckpt")
    for path in (tmp_path / "run", pathlib.Path(prefix)):
      caplog.clear()
      with caplog.at_level(logging.WARNING):
        read = model_garden.read(path)
      assert read.encoder == _TINY
      _assert_same_weights(read.weights, _canonical(network))
      (line,) = [each for each in caplog.messages if "assumed" in each]
      assert "hidden_act gelu" in line and "num_attention" not in line

  @pytest.mark.parametrize("use_encoder_pooler", [True, False])
  @pytest.mark.parametrize("num_classes", [1, 3])
  def test_a_classifier(self, tmp_path, use_encoder_pooler, num_classes):
    classifier = models.BertClassifier(
        _encoder_v2(), num_classes, use_encoder_pooler=use_encoder_pooler
    )
    _train(classifier)
    tf.train.Checkpoint(model=classifier).save(tmp_path / "ckpt")
    read = model_garden.read(tmp_path)
    expected = _canonical(classifier)
    if not use_encoder_pooler:
      dense = classifier.classifier.dense
      expected["bert/pooler/dense/kernel"] = dense.kernel.numpy()
      expected["bert/pooler/dense/bias"] = dense.bias.numpy()
    out = classifier.classifier.out_proj
    expected["output_weights"] = out.kernel.numpy().T
    expected["output_bias"] = out.bias.numpy()
    _assert_same_weights(read.weights, expected)
    assert read.task == (
        pretrained.TaskHead("regression", ("score",))
        if num_classes == 1
        else pretrained.TaskHead("classification", ("0", "1", "2"))
    )

  def test_the_latest_checkpoint(self, tmp_path):
    network = _functional_encoder()
    checkpoint = tf.train.Checkpoint(encoder=network)
    manager = tf.train.CheckpointManager(checkpoint, tmp_path, 5)
    for step in (9, 10):
      _train(network)
      network.variables[0].assign(tf.fill([40, 16], float(step)))
      manager.save(checkpoint_number=step)
    name = "bert/embeddings/word_embeddings"
    assert model_garden.read(tmp_path).weights[name][0, 0] == 10
    assert model_garden.read(tmp_path / "ckpt-9").weights[name][0, 0] == 9
    # Without the file that names it, and with one from another place.
    (tmp_path / "checkpoint").unlink()
    assert model_garden.read(tmp_path).weights[name][0, 0] == 10
    (tmp_path / "checkpoint").write_text(
        'model_checkpoint_path: "/elsewhere/ckpt-9"'
    )
    assert model_garden.read(tmp_path).weights[name][0, 0] == 9
    (tmp_path / "checkpoint").write_text("\0 no state")
    assert model_garden.read(tmp_path).weights[name][0, 0] == 10

  def test_params_beside_it(self, tmp_path):
    path = _written(tmp_path, _model())
    (path / "bert_config.json").unlink()
    _write_params(path / "params.yaml")
    assert model_garden.read(path).encoder == _PARAMS_CONFIG


class TestFoundIn:

  def test_tells_it_from_a_released_checkpoint(self, tmp_path):
    with tf.device("CPU:0"):
      tf.raw_ops.SaveV2(
          prefix=str(tmp_path / "bert_model.ckpt"), tensor_names=["bert/a"],
          shape_and_slices=[""], tensors=[tf.zeros([2])],
      )
    assert not model_garden.found_in(tmp_path)
    assert not model_garden.found_in(tmp_path / "bert_model.ckpt")

  def test_finds_nothing_elsewhere(self, tmp_path):
    assert not model_garden.found_in(tmp_path)
    assert not model_garden.found_in(tmp_path / "none")
    (tmp_path / "config.json").write_text("{}")
    assert not model_garden.found_in(tmp_path / "config.json")

  def test_takes_directory_prefix_and_index(self, fine_tuned):
    path, _ = fine_tuned
    assert model_garden.found_in(path)
    assert model_garden.found_in(path / "bert_model.ckpt")
    assert model_garden.found_in(path / _INDEX)


def _error(path):
  with pytest.raises(errors.InputError) as caught:
    model_garden.read(path)
  message = str(caught.value)
  assert "\n" not in message
  assert message.startswith(str(path))
  return message


@pytest.fixture(name="copy")
def _copy(tmp_path, fine_tuned):
  path = tmp_path / "copy"
  shutil.copytree(fine_tuned[0], path)
  return path


class TestErrors:

  @pytest.mark.parametrize("name", [_INDEX, _DATA])
  @pytest.mark.parametrize("part", [0, 0.1, 0.5, 0.9, 0.999])
  def test_a_bundle_cut_off(self, copy, name, part):
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[: int(part * len(content))])
    # Nothing at all is no checkpoint of any kind.
    assert "not a readable checkpoint" in _error(copy)

  @pytest.mark.parametrize("part", [0.01, 0.3, 0.7, 0.99])
  def test_a_bundle_with_another_bit(self, copy, part):
    content = bytearray((copy / _DATA).read_bytes())
    content[int(part * len(content))] ^= 1
    (copy / _DATA).write_bytes(content)
    assert "not a readable checkpoint" in _error(copy)

  def test_no_data(self, copy):
    (copy / _DATA).unlink()
    assert "not a readable checkpoint" in _error(copy)

  def test_no_checkpoint(self, copy):
    (copy / _INDEX).unlink()
    assert "expected bert_model.ckpt.index" in _error(copy)
    assert "found no none.index" in _error(copy / "none")

  def test_a_released_checkpoint(self, tmp_path):
    with tf.device("CPU:0"):
      tf.raw_ops.SaveV2(
          prefix=str(tmp_path / "ckpt"), tensor_names=["bert/a"],
          shape_and_slices=[""], tensors=[tf.zeros([2])],
      )
    assert "with an object graph, got one without" in _error(tmp_path)

  def test_a_damaged_object_graph(self, tmp_path):
    for graph in (tf.constant(b"\xff"), tf.zeros([2])):
      with tf.device("CPU:0"):
        tf.raw_ops.SaveV2(
            prefix=str(tmp_path / "ckpt"),
            tensor_names=["_CHECKPOINTABLE_OBJECT_GRAPH"],
            shape_and_slices=[""], tensors=[graph],
        )
      assert "its object graph is damaged" in _error(tmp_path)

  def test_a_model_of_another_kind(self, tmp_path):
    tf.train.Checkpoint(model=tf_keras.Sequential([
        tf_keras.layers.Dense(3, input_shape=(2,))
    ])).save(tmp_path / "ckpt")
    assert "expected a BERT encoder" in _error(tmp_path)

  def test_two_encoders(self, tmp_path):
    tf.train.Checkpoint(
        student=_functional_encoder(), teacher=_functional_encoder()
    ).save(tmp_path / "ckpt")
    assert "expected one BERT encoder" in _error(tmp_path)

  def test_an_encoder_not_built(self, tmp_path):
    network = _functional_encoder()
    tf.train.Checkpoint(
        words=network.get_embedding_layer()
    ).save(tmp_path / "ckpt")
    assert "bert/embeddings/position_embeddings" in _error(tmp_path)

  @pytest.mark.parametrize(("key", "value", "expected"), [
      ("num_hidden_layers", 3, "bert/encoder/layer_2/"),
      ("vocab_size", 41, "bert/embeddings/word_embeddings must have shape"),
      ("intermediate_size", 25, "intermediate/dense/kernel must have shape"),
      ("num_attention_heads", 4, "num_attention_heads (4) must be 2"),
      ("num_attention_heads", 3, "must be a multiple of"),
      ("hidden_act", "relu", "hidden_act must be one of"),
      ("do_lower_case", 1, "do_lower_case must be true or false"),
  ])
  def test_a_configuration_of_another_model(self, copy, key, value, expected):
    path = copy / "bert_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    assert expected in _error(copy)

  def test_a_vocabulary_of_another_model(self, copy):
    path = copy / "vocab.txt"
    path.write_text("\n".join(vocabulary.SPECIAL_TOKENS) + "\n")
    assert "expected vocab_size (40) entries" in _error(copy)

  def test_label_names_of_another_model(self, copy):
    path = copy / "task.json"
    task = {**json.loads(path.read_text()), "label_names": ["a", "b"]}
    path.write_text(json.dumps(task))
    assert "expected 3 label names" in _error(copy)

  @pytest.mark.parametrize(("content", "expected"), [
      ("a: [", "not valid YAML"),
      ("a: !!python/object/apply:os.getcwd []", "not valid YAML"),
      ("- 1", "task.model.encoder.type must be one of bert, bert_v2"),
      ("task: {model: {encoder: {type: albert}}}", "was 'albert'"),
      ("task: {model: {encoder: {type: bert}}}", "got None"),
      ("task: {model: {encoder: {type: bert, bert: {}}}}", "hidden_size"),
  ])
  def test_params_that_tell_nothing(self, copy, content, expected):
    (copy / "bert_config.json").unlink()
    (copy / "params.yaml").write_text(content)
    assert expected in _error(copy)

  @pytest.mark.parametrize(("setting", "expected"), [
      ({"norm_first": True}, "norm_first must be false"),
      ({"embedding_size": 8}, "embedding_size must be hidden_size (16)"),
      ({"hidden_activation": "relu"}, "hidden_act must be one of gelu"),
      ({"num_layers": 4}, "layer_2"),
  ])
  def test_params_of_another_model(self, copy, setting, expected):
    (copy / "bert_config.json").unlink()
    _write_params(copy / "params.yaml", **setting)
    assert expected in _error(copy)
