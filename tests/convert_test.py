"""`pd-tf convert`: any format in, any format out."""

import json

import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf

from pd_tf import convert
from pd_tf.config import convert as convert_config
from pd_tf.config import encoder
from pd_tf.config import errors
from pd_tf.config import pretrained
from pd_tf.formats import canonical
from pd_tf.formats import release
from pd_tf.text import vocabulary

_CONFIG = encoder.EncoderConfig(
    num_layers=2, hidden_size=16, head_size=8, vocab_size=40, max_positions=12
)
_ENTRIES = (*vocabulary.SPECIAL_TOKENS, *(f"w{i}" for i in range(35)))


def _model(num_outputs=0):
  generator = np.random.default_rng(0)
  labels = tuple("abc"[:num_outputs])
  return pretrained.Pretrained(
      encoder=_CONFIG,
      weights={
          name: generator.standard_normal(shape).astype(np.float32)
          for shapes in canonical.groups(_CONFIG, num_outputs).values()
          for name, shape in shapes.items()
      },
      vocabulary=_ENTRIES,
      task=pretrained.TaskHead("classification", labels) if labels else None,
  )


def _convert(source, to, **settings):
  return convert.run(
      convert_config.ConvertConfig(
          source=str(source), to=str(to), **settings
      ),
      None,
  )


def _assert_same_weights(one, two):
  assert one.weights.keys() == two.weights.keys()
  for name, array in one.weights.items():
    assert array.tobytes() == two.weights[name].tobytes(), name


def _write_hugging_face(path):
  """Writes an encoder with pooler, as bare as transformers' BertModel."""
  path.mkdir()
  (path / "config.json").write_text(json.dumps({
      "model_type": "bert", "hidden_act": "gelu", "hidden_size": 16,
      "num_attention_heads": 2, "num_hidden_layers": 1, "vocab_size": 40,
      "intermediate_size": 64, "max_position_embeddings": 12,
      "type_vocab_size": 2,
  }))  # fmt: skip
  vocabulary.write(path / "vocab.txt", _ENTRIES)
  layer = "encoder.layer.0."
  shapes = {
      "embeddings.word_embeddings.weight": (40, 16),
      "embeddings.position_embeddings.weight": (12, 16),
      "embeddings.token_type_embeddings.weight": (2, 16),
      "embeddings.LayerNorm.weight": (16,),
      "embeddings.LayerNorm.bias": (16,),
      "pooler.dense.weight": (16, 16),
      "pooler.dense.bias": (16,),
      layer + "intermediate.dense.weight": (64, 16),
      layer + "intermediate.dense.bias": (64,),
      layer + "output.dense.weight": (16, 64),
      layer + "output.dense.bias": (16,),
      layer + "attention.output.dense.weight": (16, 16),
      layer + "attention.output.dense.bias": (16,),
  }
  for name in ("attention.output.LayerNorm", "output.LayerNorm"):
    shapes |= {f"{layer}{name}.{kind}": (16,) for kind in ("weight", "bias")}
  for name in ("query", "key", "value"):
    shapes[f"{layer}attention.self.{name}.weight"] = (16, 16)
    shapes[f"{layer}attention.self.{name}.bias"] = (16,)
  safetensors.numpy.save_file(
      {name: np.full(shape, 0.5, np.float32) for name, shape in shapes.items()},
      path / "model.safetensors",
  )


def test_directory_to_zip_and_back_is_bit_exact(tmp_path):
  release.write(tmp_path / "1", _model(num_outputs=3))
  result = _convert(tmp_path / "1", tmp_path / "2.zip")
  assert result["from_format"] == "release"
  assert result["path"] == f"{tmp_path}/2.zip"
  assert result["dropped"] == []
  _convert(tmp_path / "2.zip", tmp_path / "3")
  read = release.read(tmp_path / "3")
  _assert_same_weights(read, _model(num_outputs=3))
  assert read.task == _model(num_outputs=3).task
  json.dumps(result)


def test_hugging_face_to_release(tmp_path):
  _write_hugging_face(tmp_path / "hf")
  result = _convert(tmp_path / "hf", tmp_path / "new" / "m")
  assert result["from_format"] == "hugging_face"
  read = release.read(tmp_path / "new" / "m")
  assert len(read.weights) == 7 + 16
  assert read.encoder.hidden_act == "gelu_erf"
  assert read.vocabulary == _ENTRIES


def test_release_to_tfhub_names_what_is_dropped(tmp_path, caplog):
  release.write(tmp_path / "m", _model(num_outputs=2))
  result = _convert(tmp_path / "m", tmp_path / "hub", format="tfhub")
  assert result["dropped"] == sorted(
      name
      for name in _model(num_outputs=2).weights
      if name.startswith(("output_", "cls/seq_relationship"))
  )
  assert "tfhub: has no place for next sentence head, task head." in caplog.text
  ids = tf.constant([[2, 7, 3, 0]])
  outputs = tf.saved_model.load(str(tmp_path / "hub"))({
      "input_word_ids": ids,
      "input_mask": tf.constant([[1, 1, 1, 0]]),
      "input_type_ids": 0 * ids,
  })
  assert outputs["pooled_output"].shape == (1, 16)


def test_vocabulary_is_added_where_there_is_none(tmp_path):
  _write_hugging_face(tmp_path / "hf")
  (tmp_path / "hf" / "vocab.txt").rename(tmp_path / "v.txt")
  with pytest.raises(errors.InputError, match="^vocab_file: expected a vocab"):
    _convert(tmp_path / "hf", tmp_path / "m")
  assert not (tmp_path / "m").exists()
  _convert(
      tmp_path / "hf", tmp_path / "m", vocab_file=str(tmp_path / "v.txt")
  )
  assert release.read(tmp_path / "m").vocabulary == _ENTRIES
  assert release.read(tmp_path / "m").lower_case


def test_cased_vocabulary_makes_a_cased_model(tmp_path):
  _write_hugging_face(tmp_path / "hf")
  (tmp_path / "hf" / "vocab.txt").unlink()
  vocabulary.write(tmp_path / "v.txt", (*_ENTRIES[:-1], "Berlin"))
  _convert(
      tmp_path / "hf", tmp_path / "m", vocab_file=str(tmp_path / "v.txt")
  )
  assert not release.read(tmp_path / "m").lower_case


@pytest.mark.parametrize(
    "entries,message",
    [
        (_ENTRIES[:-1], "v.txt: expected vocab_size .40. entries, got 39"),
        ((*_ENTRIES[:-1], "x"), "^vocab_file: .* must be as the model's own"),
    ],
)
def test_vocabulary_that_does_not_fit(tmp_path, entries, message):
  release.write(tmp_path / "m", _model())
  vocabulary.write(tmp_path / "v.txt", entries)
  with pytest.raises(errors.InputError, match=message):
    _convert(
        tmp_path / "m", tmp_path / "new", vocab_file=str(tmp_path / "v.txt")
    )


def test_target_is_replaced_on_request_only(tmp_path):
  release.write(tmp_path / "1", _model(num_outputs=2))
  release.write(tmp_path / "2", _model())
  with pytest.raises(errors.InputError, match=f"^{tmp_path}/2: is already"):
    _convert(tmp_path / "1", tmp_path / "2")
  _assert_same_weights(release.read(tmp_path / "2"), _model())
  _convert(tmp_path / "1", tmp_path / "2", overwrite=True)
  _assert_same_weights(release.read(tmp_path / "2"), _model(num_outputs=2))


def test_model_can_replace_itself(tmp_path):
  release.write(tmp_path / "m", _model())
  _convert(tmp_path / "m", tmp_path / "m", overwrite=True)
  _assert_same_weights(release.read(tmp_path / "m"), _model())


@pytest.mark.parametrize(
    "settings,message",
    [
        ({"to": "m"}, "^from: expected the model to read"),
        ({"source": "m"}, "^to: expected where to write"),
        ({"source": "no/such", "to": "m"}, "^no/such: no such model; expected"),
        (
            {"source": "m", "to": "new", "vocab_file": "no/such"},
            "^vocab_file: no/such does not exist",
        ),
    ],
)
def test_bad_setting_is_named(tmp_path, monkeypatch, settings, message):
  monkeypatch.chdir(tmp_path)
  release.write("m", _model())
  with pytest.raises(errors.InputError, match=message):
    convert.run(convert_config.ConvertConfig(**settings), None)
