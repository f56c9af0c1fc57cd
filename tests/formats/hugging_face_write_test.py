"""Hugging Face directories as pd_tf writes them, without transformers."""

import dataclasses
import fnmatch
import json
import os
import stat

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
import safetensors
import safetensors.numpy

from pd_tf.config import encoder
from pd_tf.config import errors
from pd_tf.config import pretrained
from pd_tf.formats import canonical
from pd_tf.formats import hugging_face
from pd_tf.text import vocabulary

_ENCODER, _POOLER = canonical.ENCODER, canonical.POOLER
_MLM, _NEXT, _TASK = (
    canonical.MASKED_LM, canonical.NEXT_SENTENCE, canonical.TASK,
)
_PRETRAINED = (_ENCODER, _POOLER, _MLM, _NEXT)
_ALL = (*_PRETRAINED, _TASK)
_TASK_HEAD = pretrained.TaskHead("classification", ("no", "maybe", "yes"), 2)
_CONFIG = encoder.EncoderConfig(
    num_layers=2, hidden_size=8, head_size=2, vocab_size=12, max_positions=6
)


def _entries(size):
  rest = [chr(ord("a") + index) for index in range(size - 5)]
  return (*vocabulary.SPECIAL_TOKENS, *rest)


def _model(parts=_PRETRAINED, config=_CONFIG, task=_TASK_HEAD, **changes):
  generator = np.random.default_rng(0)
  groups = canonical.groups(config, len(task.label_names))
  return pretrained.Pretrained(
      encoder=config,
      weights={
          name: generator.standard_normal(shape).astype(np.float32)
          for part in parts
          for name, shape in groups[part].items()
      },
      vocabulary=_entries(config.vocab_size),
      task=task if _TASK in parts else None,
      **changes,
  )


def _json(path):
  return json.loads(path.read_text(encoding="utf-8"))


def _require_same(model, other):
  assert model.encoder == other.encoder
  assert model.task == other.task
  assert model.vocabulary == other.vocabulary
  assert model.lower_case == other.lower_case
  assert model.weights.keys() == other.weights.keys()
  for name, array in model.weights.items():
    assert other.weights[name].dtype == np.float32
    np.testing.assert_array_equal(
        array.view(np.uint32), other.weights[name].view(np.uint32), name
    )


@st.composite
def _models(draw):
  hidden = draw(st.integers(1, 3)) * 4
  inner = draw(st.sampled_from([None, 5, 16]))
  config = encoder.EncoderConfig(
      num_layers=draw(st.integers(1, 3)),
      hidden_size=hidden,
      head_size=draw(st.sampled_from([1, 2, 4])),
      intermediate_size=None if inner == 4 * hidden else inner,
      vocab_size=draw(st.integers(6, 20)),
      max_positions=draw(st.integers(1, 9)),
      type_vocab_size=draw(st.integers(1, 3)),
      hidden_act=draw(st.sampled_from(["gelu", "gelu_erf"])),
      hidden_dropout=draw(st.floats(0, 0.99)),
      attention_dropout=draw(st.floats(0, 0.99)),
      initializer_range=draw(st.floats(1e-6, 1)),
      layer_norm_epsilon=draw(st.sampled_from([1e-12, 1e-5, 1 / 3])),
  )
  heads = draw(st.sets(st.sampled_from(_ALL[1:])))
  kind = draw(st.sampled_from(["classification", "regression"]))
  # Surrogates and NUL too: config.json escapes what UTF-8 has not.
  text = st.text(st.characters())
  names = st.lists(text, min_size=1, max_size=4, unique=True)
  task = pretrained.TaskHead(
      kind,
      tuple(draw(names))[: 1 if kind == "regression" else None],
      draw(st.integers(1, 2)),
  )
  return _model(
      [part for part in _ALL if part == _ENCODER or part in heads],
      config, task, lower_case=draw(st.booleans()),
  )  # fmt: skip


@given(model=_models())
def test_what_is_read_is_what_was_written(tmp_path_factory, model):
  path = tmp_path_factory.mktemp("hf") / "m"
  hugging_face.write(path, model)
  _require_same(model, hugging_face.read(path))


def test_bits_survive(tmp_path):
  model = _model()
  bias = model.weights["cls/predictions/output_bias"]
  bias[:6] = [0.0, -0.0, np.inf, -np.inf, 1e-45, np.finfo(np.float32).max]
  # A quiet and a signalling NaN, each with a payload.
  bias.view(np.uint32)[6:8] = [0x7FC12345, 0x7FA00001]
  hugging_face.write(tmp_path / "m", model)
  _require_same(model, hugging_face.read(tmp_path / "m"))


def test_arrays_of_any_layout_are_written(tmp_path):
  model = _model()
  weights = {
      name: np.asfortranarray(array) for name, array in model.weights.items()
  }
  name = "bert/embeddings/word_embeddings"
  weights[name] = np.repeat(model.weights[name], 2, axis=0)[::2]
  hugging_face.write(
      tmp_path / "m", dataclasses.replace(model, weights=weights)
  )
  _require_same(model, hugging_face.read(tmp_path / "m"))


@pytest.mark.parametrize(
    "parts,architecture",
    [
        ((_ENCODER,), "BertModel"),
        ((_ENCODER, _POOLER), "BertModel"),
        ((_ENCODER, _MLM), "BertForMaskedLM"),
        ((_ENCODER, _POOLER, _NEXT), "BertForNextSentencePrediction"),
        (_PRETRAINED, "BertForPreTraining"),
        ((_ENCODER, _POOLER, _TASK), "BertForSequenceClassification"),
        (_ALL, "BertForSequenceClassification"),
    ],
)
def test_architecture(tmp_path, parts, architecture):
  hugging_face.write(tmp_path / "m", _model(parts))
  assert _json(tmp_path / "m" / "config.json")["architectures"] == [
      architecture
  ]


def test_every_key_of_a_configuration(tmp_path):
  hugging_face.write(tmp_path / "m", _model(_ALL))
  assert _json(tmp_path / "m" / "config.json") == {
      "architectures": ["BertForSequenceClassification"],
      "attention_probs_dropout_prob": 0.1,
      "classifier_dropout": None,
      "hidden_act": "gelu_new",
      "hidden_dropout_prob": 0.1,
      "hidden_size": 8,
      "id2label": {"0": "no", "1": "maybe", "2": "yes"},
      "initializer_range": 0.02,
      "intermediate_size": 32,
      "label2id": {"no": 0, "maybe": 1, "yes": 2},
      "layer_norm_eps": 1e-12,
      "max_position_embeddings": 6,
      "model_type": "bert",
      "num_attention_heads": 4,
      "num_hidden_layers": 2,
      "pad_token_id": 0,
      "pd_tf": {"num_texts": 2},
      "problem_type": "single_label_classification",
      "tie_word_embeddings": True,
      "torch_dtype": "float32",
      "type_vocab_size": 2,
      "vocab_size": 12,
  }


def test_exact_gelu_has_the_plain_name(tmp_path):
  config = dataclasses.replace(_CONFIG, hidden_act="gelu_erf")
  hugging_face.write(tmp_path / "m", _model(config=config))
  assert _json(tmp_path / "m" / "config.json")["hidden_act"] == "gelu"


def test_regression(tmp_path):
  model = _model(_ALL, task=pretrained.TaskHead("regression", ("LABEL_0",)))
  hugging_face.write(tmp_path / "m", model)
  values = _json(tmp_path / "m" / "config.json")
  assert values["problem_type"] == "regression"
  assert values["id2label"] == {"0": "LABEL_0"}
  assert hugging_face.read(tmp_path / "m").task == model.task


def test_a_single_label_is_no_problem_type(tmp_path):
  # transformers 5 refuses single_label_classification with one label.
  model = _model(_ALL, task=pretrained.TaskHead("classification", ("only",)))
  hugging_face.write(tmp_path / "m", model)
  assert _json(tmp_path / "m" / "config.json")["problem_type"] is None
  assert hugging_face.read(tmp_path / "m").task == model.task


def test_weights_have_their_names_and_layout(tmp_path):
  model = _model(_ALL)
  hugging_face.write(tmp_path / "m", model)
  path = tmp_path / "m" / "model.safetensors"
  with safetensors.safe_open(path, "numpy") as file:
    assert file.metadata() == {"format": "pt"}
  tensors = safetensors.numpy.load_file(path)
  # 5 + 16 a layer + pooler 2, masked LM 5, next sentence 2, task 2; the
  # decoder, tied to the word embeddings, is no tensor.
  assert len(tensors) == 16 + 16 * 2
  np.testing.assert_array_equal(
      tensors["bert.encoder.layer.1.intermediate.dense.weight"],
      model.weights["bert/encoder/layer_1/intermediate/dense/kernel"].T,
  )
  np.testing.assert_array_equal(
      tensors["classifier.weight"], model.weights["output_weights"]
  )
  np.testing.assert_array_equal(
      tensors["cls.predictions.bias"],
      model.weights["cls/predictions/output_bias"],
  )


def test_model_without_heads_has_no_prefix(tmp_path):
  hugging_face.write(tmp_path / "m", _model((_ENCODER, _POOLER)))
  tensors = safetensors.numpy.load_file(tmp_path / "m" / "model.safetensors")
  assert {name.split(".")[0] for name in tensors} == {
      "embeddings", "encoder", "pooler",
  }  # fmt: skip


def test_same_model_same_bytes(tmp_path):
  for name in ("a", "b"):
    hugging_face.write(tmp_path / name, _model(_ALL))
  for file in (tmp_path / "a").iterdir():
    assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_files_are_own_and_for_all_to_read(tmp_path):
  old = os.umask(0o022)
  try:
    hugging_face.write(tmp_path / "m", _model(_ALL))
  finally:
    os.umask(old)
  files = list((tmp_path / "m").iterdir())
  assert sorted(file.name for file in files) == sorted(hugging_face.OWN_FILES)
  for file in files:
    assert any(fnmatch.fnmatch(file.name, p) for p in hugging_face.OWN_FILES)
    assert stat.S_IMODE(file.stat().st_mode) == 0o644, file


def test_every_part_is_carried():
  assert hugging_face.carried(_ALL) == list(_ALL)
  assert hugging_face.carried([_ENCODER]) == [_ENCODER]


def test_case_that_does_not_show_survives(tmp_path):
  for lower_case in (True, False):
    path = tmp_path / str(lower_case)
    hugging_face.write(path, _model(lower_case=lower_case))
    assert hugging_face.read(path).lower_case is lower_case
    assert (
        _json(path / "tokenizer.json")["normalizer"]["lowercase"] is lower_case
    )
    # One file is enough.
    (path / "tokenizer_config.json").unlink()
    assert hugging_face.read(path).lower_case is lower_case


def test_vocabulary_is_in_both_files(tmp_path):
  entries = (
      "[PAD]", "x", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "##é", "日", "\u2028",
      '"', "\\", "\x0b",
  )  # fmt: skip
  model = dataclasses.replace(_model(), vocabulary=entries)
  hugging_face.write(tmp_path / "m", model)
  values = _json(tmp_path / "m" / "tokenizer.json")
  assert values["model"]["vocab"] == {e: i for i, e in enumerate(entries)}
  assert [(t["content"], t["id"]) for t in values["added_tokens"]] == [
      ("[PAD]", 0), ("[UNK]", 2), ("[CLS]", 3), ("[SEP]", 4), ("[MASK]", 5),
  ]  # fmt: skip
  _require_same(model, hugging_face.read(tmp_path / "m"))
  (tmp_path / "m" / "vocab.txt").unlink()
  _require_same(model, hugging_face.read(tmp_path / "m"))


@pytest.mark.parametrize(
    "changes,message",
    [
        ({"vocabulary": ()}, r"vocabulary: expected vocab_size \(12\) entries"),
        ({"vocabulary": tuple("abcdefghijkl")}, "expected an entry .PAD."),
        ({"weights": {}}, "model: expected tensor bert/embeddings/word_emb"),
    ],
)
def test_model_that_is_not_whole(tmp_path, changes, message):
  model = dataclasses.replace(_model(), **changes)
  with pytest.raises(errors.InputError, match=message):
    hugging_face.write(tmp_path / "m", model)
  assert not (tmp_path / "m").exists()


def test_found_in(tmp_path):
  assert not hugging_face.found_in(tmp_path / "none")
  assert not hugging_face.found_in(tmp_path)
  hugging_face.write(tmp_path / "m", _model())
  assert hugging_face.found_in(tmp_path / "m")
  config = tmp_path / "m" / "config.json"
  assert not hugging_face.found_in(config)
  config.write_text('{"module": "keras_hub.x", "registered_name": "y"}')
  assert not hugging_face.found_in(tmp_path / "m")
  config.write_text("{")
  assert hugging_face.found_in(tmp_path / "m")
