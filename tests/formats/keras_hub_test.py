"""Keras Hub presets: round trips, what others wrote, and what is damaged.

Making Keras models takes a second each, so hypothesis draws few examples.
"""

import dataclasses
import json
import logging
import pathlib
import shutil

import h5py
import hypothesis
from hypothesis import strategies
import numpy as np
import pytest

from pd_tf.config import encoder
from pd_tf.config import errors
from pd_tf.config import pretrained
from pd_tf.formats import canonical
from pd_tf.formats import keras_hub
from pd_tf.formats import keras_hub_names
from pd_tf.text import vocabulary

_CONFIG = encoder.EncoderConfig(
    num_layers=2,
    hidden_size=8,
    head_size=4,
    intermediate_size=20,
    vocab_size=12,
    max_positions=10,
)
_TASK = pretrained.TaskHead("classification", ("né", "maybe", "yes"), 2)
_BOTH = (canonical.ENCODER, canonical.POOLER)


def _model(config=_CONFIG, parts=_BOTH, task=None, lower_case=True):
  generator = np.random.default_rng(0)
  groups = canonical.groups(config, len(task.label_names) if task else 0)
  weights = {
      name: generator.standard_normal(shape).astype(np.float32)
      for part in parts
      for name, shape in groups[part].items()
  }
  entries = [f"w{index}" for index in range(config.vocab_size - 5)]
  return pretrained.Pretrained(
      config, weights, (*vocabulary.SPECIAL_TOKENS, *entries), lower_case, task
  )


def _classifier(task=_TASK):
  return _model(parts=(*_BOTH, canonical.TASK), task=task)


def _require_same(model, other):
  assert model.encoder == other.encoder
  assert model.vocabulary == other.vocabulary
  assert model.lower_case == other.lower_case
  assert model.task == other.task
  assert model.weights.keys() == other.weights.keys()
  for name, array in model.weights.items():
    assert other.weights[name].dtype == np.float32
    np.testing.assert_array_equal(array, other.weights[name], name)


@pytest.fixture(name="written", scope="module")
def fixture_written(tmp_path_factory):
  path = tmp_path_factory.mktemp("keras_hub") / "preset"
  keras_hub.write(path, _classifier())
  return path


@pytest.fixture(name="preset")
def fixture_preset(written, tmp_path):
  return pathlib.Path(shutil.copytree(written, tmp_path / "preset"))


@pytest.mark.parametrize(
    "parts,task,lower_case",
    [
        (_BOTH, None, True),
        (_BOTH, None, False),
        ((*_BOTH, canonical.MASKED_LM), None, True),
        ((*_BOTH, canonical.TASK), _TASK, True),
        (
            (*_BOTH, canonical.TASK),
            pretrained.TaskHead("regression", ("score",)),
            False,
        ),
    ],
)
def test_round_trip(tmp_path, parts, task, lower_case):
  model = _model(parts=parts, task=task, lower_case=lower_case)
  keras_hub.write(tmp_path / "preset", model)
  _require_same(keras_hub.read(tmp_path / "preset"), model)


@hypothesis.settings(max_examples=5)
@hypothesis.given(
    num_layers=strategies.integers(1, 3),
    heads=strategies.integers(1, 3),
    head_size=strategies.integers(1, 5),
    intermediate_size=strategies.integers(1, 9) | strategies.none(),
    vocab_size=strategies.integers(5, 9),
    max_positions=strategies.integers(1, 9),
    type_vocab_size=strategies.integers(1, 3),
    rates=strategies.tuples(*[strategies.floats(0, 0.9)] * 3),
    head=strategies.sampled_from([None, canonical.MASKED_LM, canonical.TASK]),
)
def test_round_trip_of_any_size(
    tmp_path_factory, num_layers, heads, head_size, intermediate_size,
    vocab_size, max_positions, type_vocab_size, rates, head,
):
  config = encoder.EncoderConfig(
      num_layers=num_layers,
      hidden_size=heads * head_size,
      head_size=head_size,
      intermediate_size=intermediate_size,
      vocab_size=vocab_size,
      max_positions=max_positions,
      type_vocab_size=type_vocab_size,
      hidden_dropout=rates[0],
      attention_dropout=rates[1],
      initializer_range=rates[2],
  )
  parts = (*_BOTH, head) if head else _BOTH
  task = _TASK if head == canonical.TASK else None
  model = _model(config, parts, task)
  if config.intermediate_size == 4 * config.hidden_size:
    config = dataclasses.replace(config, intermediate_size=None)
  path = tmp_path_factory.mktemp("keras_hub") / "preset"
  keras_hub.write(path, model)
  _require_same(
      keras_hub.read(path), dataclasses.replace(model, encoder=config)
  )


def test_every_tensor_has_a_place_of_its_own():
  shapes = {}
  for part in (*_BOTH, canonical.MASKED_LM):
    shapes |= canonical.groups(_CONFIG)[part]
  places = keras_hub_names.places(_CONFIG, shapes)
  assert len({place.stored for place in places.values()}) == len(places)
  assert len({place.variable for place in places.values()}) == len(places)
  assert places["bert/encoder/layer_1/attention/self/key/kernel"] == (
      "transformer_encoder_1/_self_attention_layer/key_dense/vars/0",
      "transformer_layer_1/self_attention_layer/key/kernel",
      (8, 2, 4),
  )
  assert places["bert/encoder/layer_0/attention/output/dense/kernel"] == (
      "transformer_encoder/_self_attention_layer/output_dense/vars/0",
      "transformer_layer_0/self_attention_layer/attention_output/kernel",
      (2, 4, 8),
  )


def test_carried():
  every = [
      *_BOTH, canonical.MASKED_LM, canonical.NEXT_SENTENCE, canonical.TASK
  ]
  assert keras_hub.carried(every) == [*_BOTH, canonical.TASK]
  assert keras_hub.carried(every[:-1]) == [*_BOTH, canonical.MASKED_LM]
  assert keras_hub.carried([canonical.ENCODER]) == [canonical.ENCODER]


def test_own_files(written):
  for path in written.iterdir():
    assert any(map(path.match, keras_hub.OWN_FILES)), path


def test_the_same_model_has_the_same_settings(tmp_path, written):
  keras_hub.write(tmp_path / "again", _classifier())
  for path in written.rglob("*"):
    # Keras Hub notes the time, and names of layers that count the process's.
    if path.is_file() and path.suffix != ".h5" and path.stem != "metadata":
      again = tmp_path / "again" / path.relative_to(written)
      assert again.read_bytes() == path.read_bytes(), path


def test_found_in(preset, tmp_path):
  assert keras_hub.found_in(preset)
  (preset / "model.weights.h5").unlink()
  assert keras_hub.found_in(preset)
  (preset / "config.json").write_text('{"model_type": "bert"}')
  assert not keras_hub.found_in(preset)
  (preset / "config.json").write_text("{")
  assert not keras_hub.found_in(preset)
  assert not keras_hub.found_in(tmp_path)
  assert not keras_hub.found_in(preset / "config.json")
  assert not keras_hub.found_in(tmp_path / "nothing")


@pytest.mark.parametrize(
    "changes,message",
    [
        ({"hidden_act": "gelu_erf"}, "encoder.hidden_act: must be 'gelu' for"),
        (
            {"layer_norm_epsilon": 1e-6},
            "encoder.layer_norm_epsilon: must be 1e-12 for a Keras Hub preset",
        ),
    ],
)
def test_what_keras_hub_does_not_compute_is_refused(
    tmp_path, changes, message
):
  model = _model(dataclasses.replace(_CONFIG, **changes))
  with pytest.raises(errors.InputError, match=f"^{message}"):
    keras_hub.write(tmp_path / "preset", model)
  assert not (tmp_path / "preset").exists()


def test_two_dropout_rates_and_the_masked_lm_head_are_said(tmp_path, caplog):
  config = dataclasses.replace(_CONFIG, attention_dropout=0.0)
  model = _model(config, (*_BOTH, canonical.MASKED_LM))
  with caplog.at_level(logging.INFO, logger="absl"):
    keras_hub.write(tmp_path / "preset", model)
  assert len(caplog.messages) == 2
  assert "drops 0.1 of the attention probabilities too" in caplog.messages[0]
  assert "with the exact gelu and LayerNorm's epsilon" in caplog.messages[1]


@pytest.mark.parametrize(
    "change,message",
    [
        (lambda m: m.weights.pop("bert/pooler/dense/bias"), "bert/pooler/den"),
        (lambda m: m.weights.pop("output_bias"), "output_bias"),
        (
            lambda m: [m.weights.pop(n) for n in ("output_bias",
                                                  "output_weights")],
            "task and output_weights must come together",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(tmp_path, change, message):
  model = _classifier()
  change(model)
  with pytest.raises(errors.InputError, match=f"^model: .*{message}"):
    keras_hub.write(tmp_path / "preset", model)


@pytest.mark.parametrize("entries", [(), ("[PAD]",) * 12])
def test_vocabulary_must_fit(tmp_path, entries):
  model = dataclasses.replace(_model(), vocabulary=entries)
  with pytest.raises(errors.InputError, match=r"^vocab.*expected"):
    keras_hub.write(tmp_path / "preset", model)


# What Keras Hub itself writes.


def _backbone(dtype="float32"):
  import keras_hub as library

  return library.models.BertBackbone(
      vocabulary_size=12, num_layers=2, num_heads=2, hidden_dim=8,
      intermediate_dim=20, max_sequence_length=10, dropout=0, dtype=dtype,
  )


def _variable(model, path):
  (found,) = [v for v in model.weights if v.path.endswith(path)]
  return np.asarray(found.numpy(), np.float32)


# Of Keras 3 with NumPy 2 and with Keras Hub's own models.
pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:__array__ implementation:DeprecationWarning"
    ),
    pytest.mark.filterwarnings("ignore:`build.*was called:UserWarning"),
]


def test_a_bare_backbone(tmp_path, caplog):
  backbone = _backbone()
  backbone.save_to_preset(str(tmp_path))
  with caplog.at_level(logging.INFO, logger="absl"):
    model = keras_hub.read(tmp_path)
  assert model.encoder == dataclasses.replace(
      _CONFIG, hidden_dropout=0.0, attention_dropout=0.0
  )
  assert model.vocabulary == () and model.task is None
  assert len(model.weights) == 7 + 16 * 2
  np.testing.assert_array_equal(
      model.weights["bert/encoder/layer_1/attention/self/value/kernel"],
      _variable(
          backbone, "transformer_layer_1/self_attention_layer/value/kernel"
      ).reshape(8, 8),
  )
  np.testing.assert_array_equal(
      model.weights["bert/embeddings/token_type_embeddings"],
      _variable(backbone, "segment_embedding/embeddings"),
  )
  assert set(caplog.messages) == {
      "vocabulary.txt: not there; the model has no vocabulary."
  }


def test_shards(tmp_path):
  backbone = _backbone()
  backbone.save_to_preset(str(tmp_path / "whole"))
  backbone.save_to_preset(str(tmp_path / "shards"), max_shard_size=2e-6)
  assert len(list((tmp_path / "shards").glob("*.h5"))) > 1
  assert keras_hub.found_in(tmp_path / "shards")
  _require_same(
      keras_hub.read(tmp_path / "shards"), keras_hub.read(tmp_path / "whole")
  )


def test_bfloat16(tmp_path):
  backbone = _backbone("bfloat16")
  backbone.save_to_preset(str(tmp_path))
  np.testing.assert_array_equal(
      keras_hub.read(tmp_path).weights["bert/pooler/dense/kernel"],
      _variable(backbone, "pooled_dense/kernel"),
  )


def _tokenizer():
  import keras_hub as library

  return library.models.BertTokenizer(list(_model().vocabulary))


def _save_classifier(path, **settings):
  import keras_hub as library

  model = library.models.BertTextClassifier(
      _backbone(),
      preprocessor=library.models.BertTextClassifierPreprocessor(_tokenizer()),
      **settings,
  )
  model.save_to_preset(str(path))
  return model


def test_a_classifier(tmp_path, caplog):
  theirs = _save_classifier(tmp_path, num_classes=3, activation="softmax")
  with caplog.at_level(logging.INFO, logger="absl"):
    model = keras_hub.read(tmp_path)
  assert model.task == pretrained.TaskHead("classification", ("0", "1", "2"))
  assert set(caplog.messages) == {
      f"{tmp_path}: has no labels.json; labels are named by their numbers."
  }
  assert model.vocabulary == _model().vocabulary and not model.lower_case
  np.testing.assert_array_equal(
      model.weights["output_weights"], _variable(theirs, "logits/kernel").T
  )


def test_an_optimizer_is_left_out(tmp_path, caplog):
  model = _save_classifier(tmp_path / "new", num_classes=2)
  model.optimizer.build(model.trainable_variables)
  model.save_to_preset(str(tmp_path / "trained"))
  with caplog.at_level(logging.INFO, logger="absl"):
    trained = keras_hub.read(tmp_path / "trained")
  _require_same(trained, keras_hub.read(tmp_path / "new"))
  # The step, the learning rate, and Adam's two of each weight.
  assert (
      f"{tmp_path / 'trained'}: ignored optimizer/* of "
      f"{2 + 2 * (7 + 16 * 2 + 2)} tensors." in caplog.messages
  )


def test_a_regression(tmp_path):
  _save_classifier(tmp_path, num_classes=1)
  task = keras_hub.read(tmp_path).task
  assert task == pretrained.TaskHead("regression", ("score",))


def test_a_head_of_many_labels_is_left_out(tmp_path, caplog):
  _save_classifier(tmp_path, num_classes=3, activation="sigmoid")
  with caplog.at_level(logging.INFO, logger="absl"):
    model = keras_hub.read(tmp_path)
  assert model.task is None and "output_bias" not in model.weights
  assert (
      f"{tmp_path}: ignored the head BertTextClassifier with activation "
      "sigmoid." in caplog.messages
  )


def test_a_head_that_pd_tf_lacks_is_left_out(preset, caplog):
  values = json.loads((preset / "task.json").read_text())
  values["registered_name"] = "keras_hub>BertTextEmbedder"
  (preset / "task.json").write_text(json.dumps(values))
  with caplog.at_level(logging.INFO, logger="absl"):
    assert keras_hub.read(preset).task is None
  assert caplog.messages == [f"{preset}: ignored the head BertTextEmbedder."]


def test_an_encoder_in_the_file_of_the_head_is_a_copy(preset, caplog):
  with h5py.File(preset / "task.weights.h5", "a") as file:
    file["layers/bert_backbone/vars/9"] = np.zeros([8], np.float32)
  with caplog.at_level(logging.INFO, logger="absl"):
    _require_same(keras_hub.read(preset), _classifier())
  assert not caplog.messages


def test_a_masked_lm(tmp_path):
  import keras_hub as library

  theirs = library.models.BertMaskedLM(
      _backbone(), library.models.BertMaskedLMPreprocessor(_tokenizer())
  )
  theirs.save_to_preset(str(tmp_path))
  weights = keras_hub.read(tmp_path).weights
  for name, path in (
      ("output_bias", "mlm_head/output_bias"),
      ("transform/dense/kernel", "mlm_head/intermediate_dense/kernel"),
      ("transform/LayerNorm/gamma", "mlm_head/intermediate_layer_norm/gamma"),
  ):
    np.testing.assert_array_equal(
        weights[f"cls/predictions/{name}"], _variable(theirs, path)
    )


def test_a_tokenizer_that_keeps_accents_is_said(preset, caplog):
  _edit(preset / "tokenizer.json", strip_accents=False)
  with caplog.at_level(logging.INFO, logger="absl"):
    assert keras_hub.read(preset).lower_case
  assert caplog.messages == [
      f"{preset}: ignored strip_accents of tokenizer.json, False."
  ]


def test_extra_tensors_are_said(preset, caplog):
  with h5py.File(preset / "model.weights.h5", "a") as file:
    file["layers/adapter/vars/0"] = np.zeros([2], np.float32)
  with caplog.at_level(logging.INFO, logger="absl"):
    _require_same(keras_hub.read(preset), _classifier())
  assert caplog.messages == [f"{preset}: ignored adapter/vars/0."]


# What older versions wrote.


def _rename(path, renamed):
  """Gives each tensor of a file another name."""
  with h5py.File(path, "a") as file:
    names = []
    file.visititems(
        lambda name, item: names.append(name)
        if isinstance(item, h5py.Dataset)
        else None
    )
    for name in names:
      if renamed(name) != name:
        file[renamed(name)] = file[name]
        del file[name]


_ATTRIBUTES = {
    "layers/reversible_embedding": "token_embedding",
    "layers/dense": "pooled_dense",
    "layers/transformer": "transformer_layers/transformer",
    "_self_attention_layer_norm": "_self_attention_layernorm",
}
_LAYER_NAMES = {
    "layers/reversible_embedding": "layers/token_embedding",
    "layers/embedding": "layers/segment_embedding",
    "layers/layer_normalization": "layers/embeddings_layer_norm",
    "layers/dense": "layers/pooled_dense",
    "layers/transformer_encoder_1": "layers/transformer_layer_1",
    "layers/transformer_encoder": "layers/transformer_layer_0",
    "layers/": "_layer_checkpoint_dependencies/",
}


@pytest.mark.parametrize("names", [_ATTRIBUTES, _LAYER_NAMES])
@pytest.mark.parametrize("library", ["keras_nlp", "keras_hub"])
def test_layers_named_by_keras_2(preset, names, library):
  def old(name):
    for new, previous in names.items():
      name = name.replace(new, previous)
    for part in ("query", "key", "value", "output"):
      name = name.replace(f"/{part}_dense/", f"/_{part}_dense/")
    return name

  _rename(preset / "model.weights.h5", old)
  _rename(
      preset / "task.weights.h5",
      lambda name: name.replace("layers/dense", "output_dense"),
  )
  values = json.loads((preset / "config.json").read_text())
  values["registered_name"] = f"{library}>BertBackbone"
  (preset / "config.json").write_text(json.dumps(values))
  values = json.loads((preset / "task.json").read_text())
  values["registered_name"] = f"{library}>BertClassifier"
  (preset / "task.json").write_text(json.dumps(values))
  _require_same(keras_hub.read(preset), _classifier())


# What is damaged.


def _edit(path, **changes):
  """Changes settings; None removes one."""
  values = json.loads(path.read_text())
  settings = values["config"] if "config" in values else values
  settings.update(changes)
  for key in [key for key, value in settings.items() if value is None]:
    del settings[key]
  path.write_text(json.dumps(values))


def _expect_error(preset, file, message):
  with pytest.raises(errors.InputError) as info:
    keras_hub.read(preset)
  assert str(info.value).startswith(f"{preset / file}: {message}"), info.value
  assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    "changes,file,message",
    [
        ({"num_layers": None}, "config.json", "num_layers must be an integer"),
        ({"num_layers": 3}, "config.json", "num_layers must be 2, as model.w"),
        ({"num_layers": 10**12}, "config.json", "num_layers must be 2, as "),
        ({"num_heads": 3}, "config.json", "hidden_dim (8) must be a multiple"),
        (
            {"num_heads": 1},
            "model.weights.h5",
            "transformer_encoder/_self_attention_layer/query_dense/vars/0 must "
            "have shape [8, 1, 8] after the configuration, has [8, 2, 4].",
        ),
        ({"hidden_dim": True}, "config.json", "hidden_dim must be an integer"),
        (
            {"hidden_dim": 16},
            "model.weights.h5",
            "reversible_embedding/vars/0 must have shape [12, 16] after",
        ),
        (
            {"vocabulary_size": 13},
            "model.weights.h5",
            "reversible_embedding/vars/0 must have shape [13, 8] after",
        ),
        (
            {"max_sequence_length": 11},
            "model.weights.h5",
            "position_embedding/vars/0 must have shape [11, 8] after",
        ),
        ({"dropout": 1.5}, "config.json", "dropout must be in [0, 1), was 1.5"),
        ({"dropout": "0"}, "config.json", "dropout must be in [0, 1), was '0'"),
    ],
)
def test_settings_that_do_not_fit(preset, changes, file, message):
  (preset / "pd_tf_config.json").unlink()
  _edit(preset / "config.json", **changes)
  _expect_error(preset, file, message)


@pytest.mark.parametrize(
    "name", ["keras_hub>RobertaBackbone", "Functional", None, 3]
)
def test_other_models_are_refused(preset, name):
  values = json.loads((preset / "config.json").read_text())
  values["registered_name"] = name
  (preset / "config.json").write_text(json.dumps(values))
  _expect_error(
      preset,
      "config.json",
      "registered_name must be one of keras_hub>BertBackbone, "
      f"keras_nlp>BertBackbone, was {name!r}.",
  )


def test_own_settings_must_fit(preset):
  path = preset / "pd_tf_config.json"
  values = json.loads(path.read_text())
  path.write_text(json.dumps({**values, "num_hidden_layers": 3}))
  _expect_error(
      preset, path.name, "num_layers must be 2, as config.json beside it says, "
      "was 3.",
  )
  path.write_text("[]")
  _expect_error(preset, path.name, "expected a JSON object")


def test_a_dropout_that_keras_hub_changed_holds_for_attention(preset):
  _edit(preset / "config.json", dropout=0.3)
  config = keras_hub.read(preset).encoder
  assert (config.hidden_dropout, config.attention_dropout) == (0.3, 0.3)


@pytest.mark.parametrize("file", ["model.weights.h5", "task.weights.h5"])
@pytest.mark.parametrize("kept", [0, 0.001, 0.2, 0.5, 0.9, 0.999])
def test_truncated_weights(preset, file, kept):
  data = (preset / file).read_bytes()
  (preset / file).write_bytes(data[: int(kept * len(data))])
  _expect_error(preset, file, "not a readable HDF5 file: ")


@pytest.mark.parametrize(
    "file", ["config.json", "task.json", "tokenizer.json", "labels.json"]
)
def test_truncated_settings(preset, file):
  data = (preset / file).read_bytes()
  (preset / file).write_bytes(data[: len(data) // 2])
  _expect_error(preset, file, "not valid JSON: ")


def test_missing_weights(preset):
  (preset / "task.weights.h5").unlink()
  _expect_error(preset, "task.weights.h5", "no such file.")
  (preset / "model.weights.h5").unlink()
  with pytest.raises(errors.InputError, match=f"^{preset}: expected model.we"):
    keras_hub.read(preset)


@pytest.mark.parametrize(
    "file,name,message",
    [
        (
            "model.weights.h5",
            "layers/dense/vars/1",
            "expected tensor dense/vars/1 [8] of the encoder, found none among",
        ),
        (
            "model.weights.h5",
            "layers/transformer_encoder/_feedforward_layer_norm",
            "expected tensor transformer_encoder/_feedforward_layer_norm/vars",
        ),
        (
            "task.weights.h5",
            "layers/dense/vars/0",
            "expected tensor dense/vars/0 [8, 3] of the task head, found none",
        ),
        (
            "task.weights.h5",
            "layers",
            "expected the task head, found no tensor of it among 2.",
        ),
    ],
)
def test_missing_tensors(preset, file, name, message):
  with h5py.File(preset / file, "a") as weights:
    del weights[name]
  _expect_error(preset, file, message)


def test_a_missing_layer(preset):
  with h5py.File(preset / "model.weights.h5", "a") as file:
    del file["layers/transformer_encoder_1"]
  _expect_error(preset, "config.json", "num_layers must be 1, as model.weight")


def test_weights_behind_links_are_missing(preset, tmp_path):
  other = shutil.copy(preset / "model.weights.h5", tmp_path / "other.h5")
  with h5py.File(preset / "model.weights.h5", "a") as file:
    del file["layers/dense"]
    file["layers/dense"] = h5py.ExternalLink(str(other), "/layers/dense")
  _expect_error(preset, "model.weights.h5", "expected tensor dense/vars/0")


@pytest.mark.parametrize(
    "weight_map,message",
    [
        ({}, "expected weight_map, an object"),
        (["a"], "expected weight_map, an object"),
        ({"/a": "../b.weights.h5"}, "expected names of files beside it, got '"),
        ({"/a": ["/b.weights.h5"]}, "expected names of files beside it, got '"),
        ({"/a": 3}, "expected names of files beside it, got 3."),
    ],
)
def test_shards_that_are_none(preset, weight_map, message):
  (preset / "model.weights.h5").unlink()
  (preset / "model.weights.json").write_text(
      json.dumps({"weight_map": weight_map})
  )
  _expect_error(preset, "model.weights.json", message)


def test_a_missing_shard(preset):
  (preset / "model.weights.h5").unlink()
  name = "model_00000.weights.h5"
  (preset / "model.weights.json").write_text(
      json.dumps({"weight_map": {"/a": name}})
  )
  _expect_error(preset, name, "no such file.")


@pytest.mark.parametrize(
    "changes,message",
    [
        ({"num_classes": 4}, "dense/vars/0 must have shape [8, 4] after"),
        ({"num_classes": 0}, "num_classes must be an integer of at least 1"),
        ({"num_classes": None}, "num_classes must be an integer of at least 1"),
    ],
)
def test_a_head_that_does_not_fit(preset, changes, message):
  _edit(preset / "task.json", **changes)
  file = "task.weights.h5" if "vars" in message else "task.json"
  _expect_error(preset, file, message)


def test_labels_that_do_not_fit(preset):
  _edit(preset / "labels.json", label_names=["a"])
  _expect_error(preset, "labels.json", "expected 3 label names, one for each")


@pytest.mark.parametrize(
    "changes,message",
    [
        ({"lowercase": "no"}, "lowercase must be true or false, was 'no'"),
        ({"suffix_indicator": "@@"}, "suffix_indicator must be '##', was '@@'"),
        ({"split": False}, "split must be True, was False"),
    ],
)
def test_a_tokenizer_that_does_not_fit(preset, changes, message):
  _edit(preset / "tokenizer.json", **changes)
  _expect_error(preset, "tokenizer.json", message)


def test_a_vocabulary_that_does_not_fit(preset):
  file = "assets/tokenizer/vocabulary.txt"
  with open(preset / file, "a") as vocabulary_file:
    vocabulary_file.write("more\n")
  _expect_error(preset, file, "expected vocab_size (12) entries, got 13")
