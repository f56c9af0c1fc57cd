"""What opening a model imports, each in a process of its own."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from pd_tf import export
from pd_tf import opening
from pd_tf.config import encoder as encoder_config
from pd_tf.config import export as export_config
from pd_tf.config import pretrained
from pd_tf.formats import release
from pd_tf.modeling import bert
from pd_tf.serving import classifier
from pd_tf.text import vocabulary

ENTRIES = (*vocabulary.SPECIAL_TOKENS, *"abcdefghij")
TEXTS = ["a b", "", "C d e f"]
TASK = pretrained.TaskHead("classification", ("bad", "good"))

PROGRAM = """
import json, sys
from pd_tf import opening
teacher = opening.open_teacher(sys.argv[1], 12)
logits = teacher.logits([json.loads(sys.argv[2])])
slow = {"tensorflow", "tensorflow_text", "keras", "tf_keras", "sklearn"}
print(json.dumps([logits.tolist(), sorted(slow & set(sys.modules))]))
"""


def _opened(path):
  """Returns the logits, and which slow modules were imported for them."""
  done = subprocess.run(
      [sys.executable, "-c", PROGRAM, str(path), json.dumps(TEXTS)],
      env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3",
           "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
      capture_output=True, text=True, check=False,
  )  # fmt: skip
  assert done.returncode == 0, done.stderr
  return json.loads(done.stdout.splitlines()[-1])


def _model():
  return bert.build(
      encoder_config.EncoderConfig(
          num_layers=1, hidden_size=16, head_size=8, vocab_size=len(ENTRIES),
          max_positions=12,
      ),
      num_outputs=2,
  )


@pytest.mark.slow
def test_a_saved_model_of_ours_needs_no_tensorflow_of_python(tmp_path):
  model = _model()
  vocabulary.write(tmp_path / "vocab.txt", ENTRIES)
  classifier.write(
      tmp_path / "model", model.config, model.canonical_weights(),
      tmp_path / "vocab.txt", True,
      TASK, 12,
  )
  logits, imported = _opened(tmp_path / "model")
  here = opening.open_teacher(str(tmp_path / "model"), 12)
  np.testing.assert_allclose(logits, here.logits([TEXTS]), atol=1e-5)
  assert imported == []


@pytest.mark.parametrize("form, tokenizer", [
    ("tflite", False), ("tflite", True),
    pytest.param("onnx", False, marks=pytest.mark.slow),
])  # fmt: skip
def test_a_file_needs_tensorflow_for_a_tokenizer_inside(
    tmp_path, form, tokenizer
):
  if form == "onnx":
    pytest.importorskip("onnxscript", reason="pip extra: onnx")
  model = _model()
  release.write(tmp_path / "source", pretrained.Pretrained(
      model.config, model.canonical_weights(), ENTRIES, True, TASK
  ))
  export.run(export_config.ExportConfig(
      model=str(tmp_path / "source"), to=str(tmp_path / "to"),
      format=form, quantization="none", seq_length=12, tokenizer=tokenizer,
  ))
  logits, imported = _opened(tmp_path / "to")
  here = opening.open_teacher(str(tmp_path / "source"), 12)
  np.testing.assert_allclose(logits, here.logits([TEXTS]), atol=1e-5)
  assert ("tensorflow" in imported) is tokenizer


@pytest.mark.slow
def test_a_saved_model_of_others_gets_the_ops_that_it_has(tmp_path):
  import tensorflow_text as tf_text

  module = tf.Module()

  @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
  def serve(text):
    length = tf.strings.length(tf_text.case_fold_utf8(text))
    return {"score": tf.cast(length, tf.float32)}

  module.serve = serve
  tf.saved_model.save(
      module, str(tmp_path / "model"), {"serving_default": serve}
  )
  logits, imported = _opened(tmp_path / "model")
  assert logits == [[3.0], [0.0], [7.0]]
  assert "tensorflow_text" in imported
