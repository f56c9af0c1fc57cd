"""A SavedModel in a program of C++, as in TensorFlow Serving's model server."""

import io
import pathlib
import shutil
import subprocess

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from pd_tf.config import encoder as encoder_config
from pd_tf.config import pretrained
from pd_tf.modeling import bert
from pd_tf.serving import classifier
from pd_tf.serving import embedder
from pd_tf.text import c_api
from pd_tf.text import vocabulary

ENTRIES = (*vocabulary.SPECIAL_TOKENS, *"abcdefghij")
CONFIG = encoder_config.EncoderConfig(
    num_layers=2, hidden_size=16, head_size=8, vocab_size=len(ENTRIES),
    max_positions=12,
)
LABELS = ("bad", "so so", "good\nor süß")
TEXTS = ["a b c", "", " j\n\x00 \tü", "x " * 30, b"\xff\xfe a"]
OTHERS = ["c", "d d d d d d d d d d d", "", "e", "f"]
IDS = [[2, 5, 6, 3], [2, 3, 0, 0]]
TYPES = [[0, 0, 1, 1], [0, 1, 0, 0]]

# Ops of tensorflow_text 2.20 that stock model servers link: the parts of
# `ops_lib` in tensorflow_text/BUILD, which SUPPORTED_TENSORFLOW_OPS in
# tensorflow_serving/model_servers/BUILD names, and which op each registers.
TEXT_OPS = {
    "fast_bert_normalizer_cc": ("FastBertNormalize",),
    "fast_wordpiece_tokenizer_cc": ("FastWordpieceTokenizeWithOffsets",),
}

def saved(directory, kind):
  """Writes a model and returns its path."""
  num_texts = 2 if kind == "pairs" else 1
  outputs = {"score": 1, "encoder": 0}.get(kind, len(LABELS))
  model = bert.build(CONFIG, num_outputs=outputs)
  generator = np.random.default_rng(3)
  weights = {
      name: generator.normal(0, 0.5, array.shape).astype(np.float32)
      for name, array in model.canonical_weights().items()
  }
  vocab_file = directory / f"{kind}.txt"
  vocabulary.write(vocab_file, ENTRIES)
  path = directory / kind
  if kind == "encoder":
    embedder.write(path, CONFIG, weights, vocab_file, True, 12)
  else:
    task = pretrained.TaskHead("classification", LABELS, num_texts)
    if kind == "score":
      task = pretrained.TaskHead("regression", ("stars",))
    classifier.write(path, CONFIG, weights, vocab_file, True, task, 12)
  return path


@pytest.fixture(scope="module", name="program")
def program_fixture(tmp_path_factory):
  """Compiles the program against TensorFlow's wheel."""
  compiler = shutil.which("g++")
  if compiler is None:
    pytest.skip("g++ is not installed.")
  program = tmp_path_factory.mktemp("program") / "model_server"
  libraries = pathlib.Path(tf.sysconfig.get_lib())
  subprocess.run(
      [
          compiler, "-O0", "-w", *tf.sysconfig.get_compile_flags(),
          str(pathlib.Path(__file__).with_name("model_server.cc")),
          "-o", str(program), f"-Wl,-rpath,{libraries}",
          str(libraries / "libtensorflow_cc.so.2"),
          str(libraries / "libtensorflow_framework.so.2"),
      ],
      check=True,
  )  # fmt: skip
  return program


@pytest.fixture(scope="module", name="directory")
def directory_fixture(tmp_path_factory):
  return tmp_path_factory.mktemp("models")


def told(requests):
  """Returns what the program reads of dicts of lists."""
  said = []
  for request in requests:
    said.append(b"%d" % len(request))
    for name, value in request.items():
      array = np.array(value, object)
      of_ids = name.endswith("_ids")
      said.append(b"%s %s %d" % (
          name.encode(), b"int32" if of_ids else b"string", array.ndim
      ))
      said += [b"%d" % size for size in array.shape]
      for item in array.flat:
        data = item.encode() if isinstance(item, str) else item
        said.append(
            b"%d" % item if of_ids else b"%d %s" % (len(data), data)
        )
  return b"\n".join(said) + b"\n"


def read(stream):
  """Yields for each request its outputs by name, or its error."""

  def word():
    found = b""
    while (byte := stream.read(1)) not in (b" ", b"\n", b""):
      found += byte
    return found

  outputs = {}
  while name := word():
    if name == b"end":
      yield outputs
      outputs = {}
    elif name == b"error":
      yield stream.readline().decode()
    else:
      kind, rank = word(), int(word())
      shape = [int(word()) for _ in range(rank)]
      array = np.empty(shape, object)
      for i in range(array.size):
        if kind == b"string":
          array.flat[i] = stream.read(int(word()))
          stream.read(1)
        else:
          array.flat[i] = float(word())
      outputs[name.decode()] = array


def served(program, path, signature, requests):
  done = subprocess.run(
      [str(program), "run", str(path), signature,
       *map(str, c_api.text_libraries())],
      input=told(requests), capture_output=True, check=True,
  )  # fmt: skip
  answers = list(read(io.BytesIO(done.stdout)))
  assert len(answers) == len(requests)
  return answers


@pytest.mark.slow
@pytest.mark.parametrize("kind,signature,requests", [
    ("texts", "serving_default",
     [{"text": TEXTS}, {"text": TEXTS[:1]}, {"text": []}]),
    ("texts", "tokens", [{"input_ids": IDS}, {"input_ids": [[2] * 12]}]),
    ("pairs", "serving_default", [{"text_a": TEXTS, "text_b": OTHERS}]),
    ("pairs", "tokens", [{"input_ids": IDS, "type_ids": TYPES}]),
    ("score", "serving_default", [{"text": TEXTS}]),
    ("encoder", "embeddings", [{"text": TEXTS}]),
    ("encoder", "tokens", [{"input_ids": IDS}]),
])  # fmt: skip
def test_answers_are_pythons(program, directory, kind, signature, requests):
  path = directory / kind
  if not path.exists():
    saved(directory, kind)
  infer = tf.saved_model.load(str(path)).signatures[signature]
  answers = served(program, path, signature, requests)
  for request, answer in zip(requests, answers, strict=True):
    dtype = tf.int32 if signature == "tokens" else tf.string
    expected = infer(**{
        name: tf.constant(value, dtype) for name, value in request.items()
    })
    assert answer.keys() == expected.keys()
    for name, value in expected.items():
      if value.dtype == tf.string:
        assert answer[name].tolist() == value.numpy().tolist()
      else:
        np.testing.assert_allclose(
            answer[name].astype(float), value, rtol=1e-5, atol=1e-6
        )


@pytest.mark.slow
def test_bad_ids_are_an_error(program, directory):
  path = directory / "texts"
  if not path.exists():
    saved(directory, "texts")
  requests = [{"input_ids": [[2, 99]]}, {"input_ids": IDS},
              {"input_ids": [[2, 0, 3]]}]  # fmt: skip
  bad, good, hole = served(program, path, "tokens", requests)
  # 3 is INVALID_ARGUMENT, HTTP's 400.
  assert bad.startswith("3 ") and "input_ids: expected 0 to 14" in bad
  assert good["logits"].shape == (2, 3)
  assert hole.startswith("3 ") and "0 behind the tokens of a row" in hole


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["texts", "pairs", "score", "encoder"])
def test_graphs_have_no_ops_that_a_model_server_lacks(
    program, directory, kind
):
  path = directory / kind
  if not path.exists():
    saved(directory, kind)
  listed = subprocess.run(
      [str(program), "ops"], capture_output=True, check=True, text=True
  )
  core = set(listed.stdout.split())
  text = {op for ops in TEXT_OPS.values() for op in ops}
  assert len(core) > 1000 and not core & text
  assert ops_of(path) - core == text


def ops_of(path):
  """Returns the names of all operations in a SavedModel, its functions too."""
  model = saved_model_pb2.SavedModel()
  model.ParseFromString((path / "saved_model.pb").read_bytes())
  (graph,) = (meta.graph_def for meta in model.meta_graphs)
  functions = graph.library.function
  nodes = [*graph.node, *(n for f in functions for n in f.node_def)]
  # Model servers refuse what XLA has to compile, unless they are told to.
  assert not any("_XlaMustCompile" in node.attr for node in nodes)
  assert not any("_XlaMustCompile" in f.attr for f in functions)
  return {node.op for node in nodes} - {f.signature.name for f in functions}
