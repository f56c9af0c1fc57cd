"""The format of a model is told by looking."""

import json

import numpy as np
import pytest
import safetensors.numpy

from pd_tf.config import encoder
from pd_tf.config import errors
from pd_tf.config import pretrained
from pd_tf.formats import canonical
from pd_tf.formats import detect
from pd_tf.formats import hugging_face
from pd_tf.formats import keras_hub
from pd_tf.formats import release
from pd_tf.text import vocabulary

_CONFIG = encoder.EncoderConfig(
    num_layers=1, hidden_size=8, head_size=4, vocab_size=6, max_positions=4
)


def _model(value=1.0):
  return pretrained.Pretrained(
      encoder=_CONFIG,
      weights={
          name: np.full(shape, value, np.float32)
          for shapes in canonical.groups(_CONFIG).values()
          for name, shape in shapes.items()
      },
      vocabulary=(*vocabulary.SPECIAL_TOKENS, "a"),
  )


def _value(path):
  return detect.read(path).weights["bert/pooler/dense/bias"][0]


def _write_run(path, models, finished=True):
  path.mkdir()
  (path / "config.yaml").write_text("{}")
  for name, value in models.items():
    release.write(path / name, _model(value))
  if finished:
    (path / "result.json").write_text("{}")
  return path


@pytest.mark.parametrize("name", ["m", "m.zip", "m.v1"])
def test_release(tmp_path, name):
  release.write(tmp_path / name, _model())
  assert detect.detect(tmp_path / name) == "release"
  assert _value(str(tmp_path / name)) == 1


def test_zip_of_any_name(tmp_path):
  release.write(tmp_path / "m.zip", _model())
  (tmp_path / "m.zip").rename(tmp_path / "download")
  assert _value(tmp_path / "download") == 1


def test_hugging_face(tmp_path):
  (tmp_path / "config.json").write_text(json.dumps({
      "model_type": "bert", "hidden_act": "gelu_new", "hidden_size": 2,
      "num_attention_heads": 1, "num_hidden_layers": 1, "vocab_size": 6,
      "intermediate_size": 8, "max_position_embeddings": 4,
      "type_vocab_size": 2,
  }))  # fmt: skip
  safetensors.numpy.save_file(
      {"x": np.zeros(1, np.float32)}, tmp_path / "model.safetensors"
  )
  assert detect.detect(tmp_path) == "hugging_face"
  with pytest.raises(errors.InputError, match="bert.embeddings.word_embedd"):
    detect.read(tmp_path)


@pytest.mark.parametrize(
    "models,value",
    [
        ({"best": 2, "last": 3}, 2),
        ({"last": 3}, 3),
    ],
)
def test_run(tmp_path, models, value):
  path = _write_run(tmp_path / "run", models)
  assert detect.detect(path) == "run"
  assert _value(path) == value


def test_run_whose_best_was_being_replaced(tmp_path):
  path = _write_run(tmp_path / "run", {"best": 2, "last": 3})
  (path / "best").rename(path / ".best.old.tmp")
  assert _value(path) == 2


def test_unfinished_run(tmp_path):
  path = _write_run(tmp_path / "run", {"last": 3}, finished=False)
  with pytest.raises(
      errors.InputError, match=f"^{path}: the run must be finished"
  ):
    detect.read(path)


def test_run_of_another_verb(tmp_path):
  path = _write_run(tmp_path / "run", {})
  with pytest.raises(
      errors.InputError, match=f"^{path}: expected the run of a training"
  ):
    detect.read(path)


@pytest.mark.parametrize("kind", ["nothing", "empty", "file"])
def test_unknown_lists_what_was_looked_for(tmp_path, kind):
  path = tmp_path / "m"
  if kind == "file":
    path.write_text("text")
  elif kind != "nothing":
    path.mkdir()
  with pytest.raises(
      errors.InputError,
      match=f"^{path}: .* a run .*config.yaml.* release .*bert_config.json.*"
      r" Hugging Face directory or a Keras Hub preset \(config.json",
  ):
    detect.read(path)


def test_truncated_zip(tmp_path):
  release.write(tmp_path / "m.zip", _model())
  data = (tmp_path / "m.zip").read_bytes()
  (tmp_path / "m.zip").write_bytes(data[:-100])
  with pytest.raises(errors.InputError, match="not a readable zip"):
    detect.read(tmp_path / "m.zip")


def _unread(monkeypatch):
  """Makes reading of any weights an error."""
  for form in detect._FORMATS.values():
    monkeypatch.setattr(form, "read", lambda path: pytest.fail("was read"))


def test_a_shape_is_told_without_weights(tmp_path, monkeypatch):
  release.write(tmp_path / "release", _model())
  _write_run(tmp_path / "run", {"best": 2, "last": 3})
  hugging_face.write(tmp_path / "hugging_face", _model())
  keras_hub.write(tmp_path / "keras_hub", _model())
  _unread(monkeypatch)
  for name in ("release", "release/bert_model.ckpt", "run"):
    assert detect.encoder_of(tmp_path / name) == _CONFIG, name
  for name in ("hugging_face", "keras_hub"):
    assert detect.detect(tmp_path / name) == name
    assert detect.encoder_of(str(tmp_path / name)).hidden_size == 8, name


def test_no_shape_is_told_where_only_weights_or_a_zip_have_it(
    tmp_path, monkeypatch
):
  release.write(tmp_path / "m.zip", _model())
  (tmp_path / "hub" / "variables").mkdir(parents=True)
  (tmp_path / "hub" / "saved_model.pb").touch()
  _unread(monkeypatch)
  assert detect.encoder_of(tmp_path / "m.zip") is None
  assert detect.encoder_of(tmp_path / "hub") is None
  with pytest.raises(errors.InputError, match="no such model"):
    detect.encoder_of(tmp_path / "none")
