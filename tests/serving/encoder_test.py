import os
import pathlib
import subprocess
import sys
import textwrap

import numpy as np
from official.nlp.configs import encoders
from official.nlp.tools import export_tfhub_lib
import pytest
import tensorflow as tf
import tensorflow_hub as hub

from pd_tf.config import encoder as encoder_config
from pd_tf.modeling import bert
from pd_tf.modeling import rows
from pd_tf.serving import encoder
from pd_tf.text import vocabulary

ENTRIES = (*vocabulary.SPECIAL_TOKENS, *(f"w{i}" for i in range(35)))
CONFIG = encoder_config.EncoderConfig(
    num_layers=2, hidden_size=16, head_size=8, vocab_size=len(ENTRIES),
    max_positions=32,
)


def tiny(config=CONFIG):
  """Returns a model whose every weight is random, biases and norms too."""
  model = bert.build(config)
  generator = np.random.default_rng(7)
  model.load_canonical_weights({
      name: generator.normal(
          float(name.endswith("gamma")), 0.3, array.shape
      ).astype(np.float32)
      for name, array in model.canonical_weights().items()
  })
  return model


def write(model, path, lower_case=True):
  vocab_file = path.with_name("vocab.txt")
  vocabulary.write(vocab_file, ENTRIES)
  encoder.write(
      path,
      lambda ids, mask, types, seed: model.encode(
          rows.padded(ids, mask, types), seed
      ),
      model.trainable_variables, vocab_file, lower_case,
  )
  return path


def write_model_garden(weights, path):
  """Writes Model Garden's own export of the same weights."""
  config = encoders.EncoderConfig(
      type="bert",
      bert=encoders.BertEncoderConfig(
          vocab_size=CONFIG.vocab_size, hidden_size=16, num_layers=2,
          num_attention_heads=2, intermediate_size=64,
          max_position_embeddings=32, type_vocab_size=2,
          hidden_activation="gelu",
      ),
  )
  model = encoders.build_encoder(config)
  model(model.inputs)
  for variable in model.variables:
    value = np.asarray(weights[released_name(variable.name)])
    variable.assign(value.reshape(variable.shape))
  prefix = tf.train.Checkpoint(model=model, encoder=model).save(
      str(path.with_name("checkpoint"))
  )
  export_tfhub_lib.export_model(
      str(path), encoder_config=config, model_checkpoint_path=prefix,
      with_mlm=False, vocab_file=str(path.with_name("vocab.txt")),
      do_lower_case=True,
  )
  return path


def released_name(name):
  """Returns the released checkpoints' name of a Model Garden variable."""
  for old, new in (
      ("word_embeddings/embeddings", "embeddings/word_embeddings"),
      ("position_embedding/embeddings", "embeddings/position_embeddings"),
      ("type_embeddings/embeddings", "embeddings/token_type_embeddings"),
      ("embeddings/layer_norm", "embeddings/LayerNorm"),
      ("pooler_transform", "pooler/dense"),
      ("transformer/", "encoder/"),
      ("self_attention/attention_output", "attention/output/dense"),
      ("self_attention_layer_norm", "attention/output/LayerNorm"),
      ("self_attention/", "attention/self/"),
      ("output_layer_norm", "output/LayerNorm"),
      ("intermediate/", "intermediate/dense/"),
  ):
    name = name.replace(old, new)
  name = name.removesuffix(":0")
  if name.split("/")[-3:-1] != ["output", "dense"] and "/output/" in name:
    if "LayerNorm" not in name:
      name = name.replace("/output/", "/output/dense/")
  return f"bert/{name}"


@pytest.fixture(scope="module", name="model")
def model_fixture():
  return tiny()


@pytest.fixture(scope="module", name="path")
def path_fixture(model, tmp_path_factory):
  return write(model, tmp_path_factory.mktemp("encoder") / "encoder")


@pytest.fixture(scope="module", name="loaded")
def loaded_fixture(path):
  return hub.load(str(path))


@pytest.fixture(scope="module", name="garden")
def garden_fixture(model, path):
  weights = model.canonical_weights()
  return hub.load(str(write_model_garden(weights, path.with_name("garden"))))


def inputs(batch, length, seed=0):
  """Returns inputs with padding, a gap, and a row of padding alone."""
  generator = np.random.default_rng(seed)
  mask = np.arange(length) < generator.integers(1, length + 1, (batch, 1))
  mask[0] = True
  if batch > 2 and length > 4:
    mask[1, 2] = False
    mask[2] = False
  return {
      "input_word_ids": tf.constant(
          generator.integers(0, len(ENTRIES), mask.shape), tf.int32
      ),
      "input_mask": tf.constant(mask, tf.int32),
      "input_type_ids": tf.constant(
          generator.integers(0, 2, mask.shape), tf.int32
      ),
  }


def specs(function):
  """Returns (inputs, outputs) of a trace, tensors as shape and type."""
  return tf.nest.map_structure(
      str, (function.structured_input_signature, function.structured_outputs)
  )


def assert_close(got, expected):
  tf.nest.assert_same_structure(got, expected)
  for a, b in zip(tf.nest.flatten(got), tf.nest.flatten(expected), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_traces_are_those_of_model_gardens_export(loaded, garden):
  ours, theirs = (
      list(map(specs, module.__call__.concrete_functions))
      for module in (loaded, garden)
  )
  assert len(ours) == len(theirs) == 2
  for trace in ours:
    assert trace in theirs


@pytest.mark.parametrize("batch,length", [(1, 1), (4, 7), (3, 32)])
def test_values_are_those_of_model_gardens_export(
    loaded, garden, batch, length
):
  given = inputs(batch, length)
  assert_close(loaded(given), garden(given))
  assert_close(loaded(given, training=False), garden(given, False, None))


def test_attributes_are_those_of_model_gardens_export(loaded, garden):
  for module in (loaded, garden):
    text = tf.io.read_file(module.vocab_file.asset_path).numpy().decode()
    assert text.splitlines() == list(ENTRIES)
    assert module.do_lower_case.numpy()
    assert not module.do_lower_case.trainable
    assert list(module.regularization_losses) == []
    assert len(module.variables) == len(module.trainable_variables) + 1
  ours, theirs = (
      sum(np.prod(v.shape) for v in module.trainable_variables)
      for module in (loaded, garden)
  )
  assert ours == theirs


def test_names_of_variables_tell_where_they_are(loaded):
  names = [variable.name for variable in loaded.trainable_variables]
  assert len(set(names)) == len(names)
  # What Model Garden's optimizers leave out of weight decay by name.
  not_decayed = ("layer_norm", "bias")
  for name, variable in zip(names, loaded.trainable_variables, strict=True):
    assert any(p in name for p in not_decayed) == (len(variable.shape) == 1)


def test_signature_has_the_same_outputs_in_a_flat_dict(loaded):
  given = inputs(3, 5)
  signature = loaded.signatures["serving_default"]
  assert signature.structured_input_signature == ((), {
      name: tf.TensorSpec([None, None], tf.int32, name)
      for name in encoder.INPUTS
  })
  expected = loaded(given)
  layers = expected.pop("encoder_outputs")
  expected |= {f"encoder_outputs_{i}": x for i, x in enumerate(layers)}
  got = signature(**given)
  assert got.keys() == expected.keys()
  for name, value in expected.items():
    # Not equal: a signature's graph is optimized as a whole, unlike a call's.
    np.testing.assert_allclose(got[name], value, rtol=1e-5, atol=1e-5)


def test_gradients_are_those_of_the_model(model, loaded):
  given = inputs(3, 6)

  def gradients(pooled, variables):
    with tf.GradientTape() as tape:
      loss = tf.reduce_sum(pooled()[:, :3] ** 2)
    return [
        tf.convert_to_tensor(g) for g in tape.gradient(loss, variables)
    ]

  expected = gradients(
      lambda: model.encode(rows.padded(*given.values())).pooled[:, 0],
      model.trainable_variables,
  )
  got = gradients(
      lambda: loaded(given)["pooled_output"], loaded.trainable_variables
  )
  assert_close(got, expected)


def test_training_drops_out_anew_in_each_call(model, tmp_path):
  # A global seed must not find its way into what is written.
  tf.random.set_seed(1)
  path = write(model, tmp_path / "encoder")
  given = inputs(2, 5)
  calls = [
      hub.load(str(path))(given, training=True)["default"].numpy()
      for _ in range(2)
  ]
  loaded = hub.load(str(path))
  calls += [loaded(given, training=True)["default"].numpy() for _ in range(2)]
  calls.append(loaded(given)["default"].numpy())
  for i, one in enumerate(calls):
    for other in calls[:i]:
      assert np.abs(one - other).max() > 1e-3
  np.testing.assert_array_equal(loaded(given)["default"], calls[-1])


def test_do_lower_case_says_what_was_given(model, tmp_path):
  path = write(model, tmp_path / "encoder", lower_case=False)
  assert not hub.load(str(path)).do_lower_case.numpy()


def test_the_keras_model_itself_is_not_saved(path):
  # 39 variables of Model Garden's are 31 here: query, key and value are one.
  stored = tf.train.list_variables(str(path / "variables" / "variables"))
  # With them do_lower_case, the counter of saves and the graph of objects.
  assert len(stored) == 31 + 3
  assert not (path / "keras_metadata.pb").exists()


FINE_TUNING = """
import sys
sys.modules["pd_tf"] = None  # Importing it fails.
import numpy as np
import tensorflow as tf
import tensorflow_hub as hub
import tf_keras

def network(path):
  names = ("input_word_ids", "input_mask", "input_type_ids")
  given = {n: tf_keras.Input([None], dtype=tf.int32, name=n) for n in names}
  layer = hub.KerasLayer(path, trainable=True, name="encoder")
  pooled = layer(given)["pooled_output"]
  return layer, tf_keras.Model(given, tf_keras.layers.Dense(1)(pooled))

layer, model = network(sys.argv[1])
generator = np.random.default_rng(0)
ids = generator.integers(5, 40, (64, 8)).astype(np.int32)
given = {
    "input_word_ids": ids,
    "input_mask": np.ones_like(ids),
    "input_type_ids": np.zeros_like(ids),
}
labels = (ids[:, :1] > 20).astype(np.float32)
model.compile(
    tf_keras.optimizers.Adam(3e-3),
    tf_keras.losses.BinaryCrossentropy(from_logits=True),
)
before = [v.numpy() for v in layer.trainable_weights]
losses = model.fit(given, labels, epochs=20, verbose=0).history["loss"]
assert losses[-1] < 0.7 * losses[0], losses
for variable, old in zip(layer.trainable_weights, before):
  assert np.abs(variable.numpy() - old).max() > 0, variable.name
assert len(layer.trainable_weights) == 31
again = network(sys.argv[1])[1]
again.set_weights(model.get_weights())
np.testing.assert_allclose(again(given), model(given), rtol=1e-6)
model.save(sys.argv[2], save_format="tf", include_optimizer=False)
saved = tf.saved_model.load(sys.argv[2])
tensors = {name: tf.constant(array) for name, array in given.items()}
# Logits are sums of terms near 1: those near 0 are as exact as those near 2.
np.testing.assert_allclose(saved(tensors), model(given), rtol=1e-5, atol=1e-5)
print("trained")
"""


def run_python(arguments, folder):
  """Runs Python as a user without a checkout would."""
  environment = {
      **os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": "",
      "CUDA_VISIBLE_DEVICES": "",
  }
  done = subprocess.run(
      [sys.executable, *arguments], cwd=folder, env=environment,
      capture_output=True, text=True, check=False,
  )
  assert done.returncode == 0, done.stderr
  return done.stdout


@pytest.mark.slow
def test_trains_under_hub_keras_layer_without_pd_tf(path, tmp_path):
  script = tmp_path / "fine_tuning.py"
  script.write_text(textwrap.dedent(FINE_TUNING))
  out = run_python([str(script), str(path), str(tmp_path / "out")], tmp_path)
  assert out.endswith("trained\n")


@pytest.mark.slow
def test_saved_model_cli_shows_the_signature(path, tmp_path):
  program = pathlib.Path(sys.executable).with_name("saved_model_cli")
  out = run_python(
      [
          str(program), "show", "--dir", str(path), "--tag_set", "serve",
          "--signature_def", "serving_default",
      ],
      tmp_path,
  )
  for name in (*encoder.INPUTS, "pooled_output", "encoder_outputs_1"):
    assert f"['{name}']" in out
