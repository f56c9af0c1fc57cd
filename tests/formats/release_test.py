"""Release directories and zips: exactly the released form, there and back."""

import dataclasses
import json
import logging
import pathlib
import tempfile
from typing import Any
import zipfile

import hypothesis
from hypothesis import strategies
import numpy as np
import pytest
import tensorflow as tf

from pd_tf.config import encoder
from pd_tf.config import errors
from pd_tf.config import pretrained
from pd_tf.formats import canonical
from pd_tf.formats import release
from pd_tf.text import vocabulary

_TINY = encoder.EncoderConfig(
    num_layers=2, hidden_size=16, head_size=8, vocab_size=40, max_positions=12
)
_DATA = "bert_model.ckpt.data-00000-of-00001"


def _model(config=_TINY, num_outputs=0, without=(), seed=0):
  generator = np.random.default_rng(seed)
  weights = {
      name: generator.standard_normal(shape).astype(np.float32)
      for part, shapes in canonical.groups(config, num_outputs).items()
      if part not in without
      for name, shape in shapes.items()
  }
  words = [f"w{index}" for index in range(config.vocab_size - 5)]
  labels = tuple(f"label {index}" for index in range(num_outputs))
  return pretrained.Pretrained(
      encoder=config,
      weights=weights,
      vocabulary=(*vocabulary.SPECIAL_TOKENS, *words),
      task=(
          pretrained.TaskHead("classification", labels, num_texts=2)
          if labels
          else None
      ),
  )


def _assert_same(read, written):
  assert dataclasses.replace(read, weights={}) == dataclasses.replace(
      written, weights={}
  )
  assert read.weights.keys() == written.weights.keys()
  for name, array in written.weights.items():
    assert read.weights[name].dtype == np.float32
    # Bytes, as NaN is no number's equal and -0 is 0's.
    assert read.weights[name].tobytes() == array.tobytes(), name


_configs = strategies.builds(
    lambda heads, head_size, inner, **sizes: encoder.EncoderConfig(
        hidden_size=heads * head_size,
        head_size=head_size,
        intermediate_size=inner,
        **sizes,
    ),
    heads=strategies.integers(1, 4),
    head_size=strategies.integers(1, 8),
    inner=strategies.integers(33, 50) | strategies.none(),
    num_layers=strategies.integers(1, 4),
    vocab_size=strategies.integers(5, 50),
    max_positions=strategies.integers(1, 20),
    type_vocab_size=strategies.integers(1, 3),
    hidden_act=strategies.sampled_from(["gelu", "gelu_erf"]),
    hidden_dropout=strategies.floats(0, 0.99),
    layer_norm_epsilon=strategies.sampled_from([1e-12, 1e-6]),
)


@hypothesis.settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
@hypothesis.given(
    config=_configs,
    num_outputs=strategies.integers(0, 3),
    without=strategies.sets(
        strategies.sampled_from([
            canonical.POOLER, canonical.MASKED_LM, canonical.NEXT_SENTENCE,
        ])
    ),
    lower_case=strategies.booleans(),
    name=strategies.sampled_from(["model", "model.zip"]),
)  # fmt: skip
def test_what_is_written_is_read(
    config, num_outputs, without, lower_case, name
):
  model = dataclasses.replace(
      _model(config, num_outputs, without), lower_case=lower_case
  )
  with tempfile.TemporaryDirectory() as directory:
    path = pathlib.Path(directory, name)
    release.write(path, model)
    assert path.is_file() == (name == "model.zip")
    _assert_same(release.read(path), model)


def test_special_floats_are_kept(tmp_path):
  model = _model()
  array = model.weights["bert/pooler/dense/bias"]
  array[:5] = np.nan, np.inf, -np.inf, -0.0, np.float32(1e-45)
  release.write(tmp_path / "m", model)
  _assert_same(release.read(tmp_path / "m"), model)


def test_files_and_config_of_a_miniature(tmp_path):
  config = encoder.EncoderConfig(num_layers=1, vocab_size=40, max_positions=8)
  release.write(tmp_path / "m", _model(config))
  assert sorted(path.name for path in (tmp_path / "m").iterdir()) == [
      "bert_config.json", _DATA, "bert_model.ckpt.index", "vocab.txt",
  ]  # fmt: skip
  assert json.loads((tmp_path / "m" / "bert_config.json").read_text()) == {
      "hidden_size": 128,
      "hidden_act": "gelu",
      "initializer_range": 0.02,
      "vocab_size": 40,
      "hidden_dropout_prob": 0.1,
      "num_attention_heads": 2,
      "type_vocab_size": 2,
      "max_position_embeddings": 8,
      "num_hidden_layers": 1,
      "intermediate_size": 512,
      "attention_probs_dropout_prob": 0.1,
  }


def test_checkpoint_is_as_a_tf1_saver_writes_it(tmp_path):
  model = _model()
  release.write(tmp_path / "m", model)
  prefix = str(tmp_path / "m" / "bert_model.ckpt")
  reader = tf.train.load_checkpoint(prefix)
  shapes = reader.get_variable_to_shape_map()
  assert len(shapes) == 14 + 16 * 2
  assert {k: tuple(v) for k, v in shapes.items()} == {
      name: array.shape for name, array in model.weights.items()
  }
  assert set(reader.get_variable_to_dtype_map().values()) == {tf.float32}
  # The data follow each other in the order of the index.
  names = [name for name, _ in tf.train.list_variables(prefix)]
  assert names == sorted(model.weights)
  assert (tmp_path / "m" / _DATA).read_bytes() == b"".join(
      model.weights[name].tobytes() for name in names
  )


def test_tf1_saver_restores_it(tmp_path):
  model = _model()
  release.write(tmp_path / "m", model)
  name = "bert/encoder/layer_1/output/dense/kernel"
  with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    variable = tf.compat.v1.get_variable(name, [64, 16])
    saver = tf.compat.v1.train.Saver([variable])
    saver.restore(session, str(tmp_path / "m" / "bert_model.ckpt"))
    np.testing.assert_array_equal(
        session.run(variable), model.weights[name]
    )


def _write_tf1(prefix, tensors):
  with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    variables = [
        tf.compat.v1.get_variable(name, initializer=array)
        for name, array in tensors.items()
    ]
    session.run(tf.compat.v1.global_variables_initializer())
    tf.compat.v1.train.Saver(variables).save(session, str(prefix))


def _rewritten(path, model, tensors, name="bert_model.ckpt"):
  """Writes the model, then a TF1 checkpoint over its own."""
  release.write(path, model)
  for file in path.glob("bert_model.ckpt*"):
    file.unlink()
  _write_tf1(path / name, tensors)


def test_head_of_another_kind(tmp_path, caplog):
  model = _model()
  extra = {
      # Over two layers' outputs, as some taggers have it.
      "output_weights": np.zeros([3, 32], np.float32),
      "output_bias": np.zeros([3], np.float32),
  }
  _rewritten(tmp_path / "m", model, {**model.weights, **extra}, "model.ckpt")
  with caplog.at_level(logging.INFO, logger="absl"):
    _assert_same(release.read(tmp_path / "m"), model)
  (line,) = [text for text in caplog.messages if "ignored" in text]
  assert line.endswith("ignored output_bias, output_weights.")


def test_training_checkpoint_of_tf1(tmp_path, caplog):
  model = _model(without=[canonical.NEXT_SENTENCE])
  extra: dict[str, Any] = {"global_step": np.int64(7)}
  for name, array in model.weights.items():
    extra[f"{name}/adam_m"] = extra[f"{name}/adam_v"] = 0 * array
  extra["cls/squad/output_weights"] = np.zeros([2, 16], np.float32)
  _rewritten(
      tmp_path / "m", model, {**model.weights, **extra}, "model.ckpt-7"
  )
  with caplog.at_level(logging.INFO, logger="absl"):
    _assert_same(release.read(tmp_path / "m"), model)
  (line,) = [text for text in caplog.messages if "ignored" in text]
  assert line.endswith(
      "ignored cls/squad/output_weights, global_step, */adam_m of 44 tensors, "
      "*/adam_v of 44 tensors."
  )


def test_names_with_an_output_number(tmp_path):
  model = _model()
  release.write(tmp_path / "m", model)
  for file in (tmp_path / "m").glob("bert_model.ckpt*"):
    file.unlink()
  tf.raw_ops.SaveV2(
      prefix=str(tmp_path / "m" / "bert_model.ckpt"),
      tensor_names=[name + ":0" for name in model.weights],
      shape_and_slices=[""] * len(model.weights),
      tensors=list(model.weights.values()),
  )
  _assert_same(release.read(tmp_path / "m"), model)


def test_half_precision_becomes_float32(tmp_path):
  model = _model()
  half = {k: v.astype(np.float16) for k, v in model.weights.items()}
  _rewritten(tmp_path / "m", model, half)
  _assert_same(
      release.read(tmp_path / "m"),
      dataclasses.replace(
          model, weights={k: v.astype(np.float32) for k, v in half.items()}
      ),
  )


def test_double_precision_is_refused(tmp_path):
  model = _model()
  double = {k: v.astype(np.float64) for k, v in model.weights.items()}
  _rewritten(tmp_path / "m", model, double)
  with pytest.raises(errors.InputError, match="must be float32, is float64"):
    release.read(tmp_path / "m")


def test_head_without_task_file_gets_numbers(tmp_path):
  release.write(tmp_path / "m", _model(num_outputs=3))
  (tmp_path / "m" / "task.json").unlink()
  task = release.read(tmp_path / "m").task
  assert task == pretrained.TaskHead("classification", ("0", "1", "2"))


def test_regression_head(tmp_path):
  model = dataclasses.replace(
      _model(num_outputs=1), task=pretrained.TaskHead("regression", ("score",))
  )
  release.write(tmp_path / "m.zip", model)
  _assert_same(release.read(tmp_path / "m.zip"), model)


def test_case_of_a_released_model_is_told_by_its_vocabulary(tmp_path):
  model = _model()
  entries = (*model.vocabulary[:-1], "Berlin")
  model = dataclasses.replace(model, vocabulary=entries, lower_case=False)
  release.write(tmp_path / "m", model)
  text = (tmp_path / "m" / "bert_config.json").read_text()
  assert "do_lower_case" not in text
  assert not release.read(tmp_path / "m").lower_case


def test_directory_without_vocabulary(tmp_path):
  release.write(tmp_path / "m", _model())
  (tmp_path / "m" / "vocab.txt").unlink()
  assert release.read(tmp_path / "m").vocabulary == ()


def test_zip_with_a_folder(tmp_path):
  model = _model()
  release.write(tmp_path / "m", model)
  with zipfile.ZipFile(tmp_path / "m.zip", "w", zipfile.ZIP_DEFLATED) as file:
    for path in (tmp_path / "m").iterdir():
      file.write(path, f"uncased_L-2_H-16_A-2/{path.name}")
  _assert_same(release.read(tmp_path / "m.zip"), model)


def test_same_weights_give_the_same_zip(tmp_path):
  release.write(tmp_path / "1.zip", _model())
  release.write(tmp_path / "2.zip", _model())
  assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()


@pytest.mark.parametrize("name", ["m", "m.zip"])
def test_target_is_replaced_on_request_only(tmp_path, name):
  release.write(tmp_path / name, _model(num_outputs=2))
  with pytest.raises(errors.InputError, match=f"^{tmp_path}/{name}: is alr"):
    release.write(tmp_path / name, _model(seed=1))
  release.write(tmp_path / name, _model(seed=1), overwrite=True)
  _assert_same(release.read(tmp_path / name), _model(seed=1))
  assert [path.name for path in tmp_path.iterdir()] == [name]


def _read_error(path):
  with pytest.raises(errors.InputError) as info:
    release.read(path)
  assert "\n" not in str(info.value)
  return str(info.value)


@pytest.mark.parametrize("name", [_DATA, "bert_model.ckpt.index"])
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_truncated_checkpoint(tmp_path, name, kept):
  release.write(tmp_path / "m", _model())
  data = (tmp_path / "m" / name).read_bytes()
  (tmp_path / "m" / name).write_bytes(data[: int(kept * len(data))])
  assert _read_error(tmp_path / "m").startswith(
      f"{tmp_path}/m/bert_model.ckpt: not a readable checkpoint: "
  )


def test_corrupted_data(tmp_path):
  release.write(tmp_path / "m", _model())
  data = bytearray((tmp_path / "m" / _DATA).read_bytes())
  data[1000] ^= 1
  (tmp_path / "m" / _DATA).write_bytes(data)
  assert "not a readable checkpoint" in _read_error(tmp_path / "m")


def test_missing_data(tmp_path):
  release.write(tmp_path / "m", _model())
  (tmp_path / "m" / _DATA).unlink()
  assert "not a readable checkpoint" in _read_error(tmp_path / "m")


def test_missing_checkpoint(tmp_path):
  release.write(tmp_path / "m", _model())
  (tmp_path / "m" / "bert_model.ckpt.index").unlink()
  assert "expected bert_model.ckpt.index" in _read_error(tmp_path / "m")


def test_missing_encoder_tensor(tmp_path):
  model = _model()
  name = "bert/encoder/layer_1/attention/self/value/kernel"
  tensors = {k: v for k, v in model.weights.items() if k != name}
  _rewritten(tmp_path / "m", model, tensors)
  assert f"expected tensor {name} [16, 16]" in _read_error(tmp_path / "m")


def test_config_of_another_size(tmp_path):
  release.write(tmp_path / "m", _model())
  path = tmp_path / "m" / "bert_config.json"
  values = {**json.loads(path.read_text()), "max_position_embeddings": 16}
  path.write_text(json.dumps(values))
  message = _read_error(tmp_path / "m")
  assert "bert/embeddings/position_embeddings must have shape [16, 16]" in (
      message
  )


def test_vocabulary_of_another_size(tmp_path):
  release.write(tmp_path / "m", _model())
  with open(tmp_path / "m" / "vocab.txt", "a", encoding="utf-8") as file:
    file.write("more\n")
  assert _read_error(tmp_path / "m") == (
      f"{tmp_path}/m/vocab.txt: expected vocab_size (40) entries, got 41."
  )


@pytest.mark.parametrize(
    "name,content,message",
    [
        ("bert_config.json", b"{", "not valid JSON"),
        ("bert_config.json", b"[1]", "expected a JSON object, got list"),
        ("bert_config.json", b"\xff\xfe", "must be UTF-8"),
        ("vocab.txt", b"\xff", "must be UTF-8"),
        ("vocab.txt", b"", "expected an entry [PAD]"),
        ("task.json", b"{}", "expected a key kind"),
        ("task.json", b'{"kind": "x", "label_names": []}', "expected one of"),
        (
            "task.json",
            b'{"kind": "classification", "label_names": ["a"]}',
            "expected 2 label names",
        ),
    ],
)
@pytest.mark.parametrize("form", ["directory", "zip"])
def test_bad_file_is_named(tmp_path, form, name, content, message):
  release.write(tmp_path / "m", _model(num_outputs=2))
  (tmp_path / "m" / name).write_bytes(content)
  path = tmp_path / "m"
  if form == "zip":
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w") as file:
      for member in (tmp_path / "m").iterdir():
        file.write(member, member.name)
  text = _read_error(path)
  assert text.startswith(f"{path}/{name}: ")
  assert message in text


@pytest.mark.parametrize(
    "change,message",
    [
        ({"vocabulary": ()}, "^vocabulary: expected vocab_size .* got 0"),
        ({"task": None}, "task and output_weights must come together"),
        (
            {"task": pretrained.TaskHead("classification", ("a",))},
            "expected 2 label names",
        ),
    ],
)
def test_unfit_model_is_not_written(tmp_path, change, message):
  model = dataclasses.replace(_model(num_outputs=2), **change)
  with pytest.raises(errors.InputError, match=message):
    release.write(tmp_path / "m", model)
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name,array,message",
    [
        ("x", np.zeros(3, np.float32), "x is no tensor of a released"),
        ("bert/pooler/dense/bias", np.zeros(3, np.float32), "must have shape"),
        ("bert/pooler/dense/bias", np.zeros(16), "must be float32"),
    ],
)
def test_unfit_weights_are_not_written(tmp_path, name, array, message):
  model = _model()
  model.weights[name] = array
  with pytest.raises(errors.InputError, match=message):
    release.write(tmp_path / "m", model)
