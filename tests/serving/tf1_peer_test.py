"""TF1 TF-Hub modules between pd_tf and the last releases that wrote them."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from pd_tf.config import encoder as encoder_config
from pd_tf.formats import canonical
from pd_tf.formats import tf1_hub
from pd_tf.modeling import bert
from pd_tf.modeling import rows
from pd_tf.serving import hub_module
from pd_tf.text import vocabulary

VARIABLE = "PD_TF_TF1_PYTHON"
PEER = pathlib.Path(__file__).with_name("tf1_peer.py")
# As the Makefile names it.
ENVIRONMENT = pathlib.Path(f"{sys.prefix}-tf1")
PYTHON = pathlib.Path(
    os.environ.get(VARIABLE) or ENVIRONMENT / "bin" / "python"
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not PYTHON.exists(),
        reason=f"{PYTHON} is not there; `make peers` makes it.",
    ),
]

ENTRIES = (*vocabulary.SPECIAL_TOKENS, *(f"w{i}" for i in range(35)))
CONFIG = encoder_config.EncoderConfig(
    num_layers=2, hidden_size=16, head_size=4, vocab_size=len(ENTRIES),
    max_positions=32,
)


def random_weights(config, parts):
  generator = np.random.default_rng(5)
  return {
      name: generator.normal(
          float(name.endswith("gamma")), 0.3, shape
      ).astype(np.float32)
      for part in parts
      for name, shape in canonical.groups(config)[part].items()
  }


def inputs():
  generator = np.random.default_rng(6)
  return {
      "input_ids": generator.integers(0, 40, (3, 7), np.int32),
      "input_mask": np.int32(np.arange(7) < np.array([[7], [4], [1]])),
      "segment_ids": generator.integers(0, 2, (3, 7), np.int32),
      "mlm_positions": generator.integers(0, 7, (3, 2), np.int32),
  }


def run(command, directory, **settings):
  """Returns the arrays that the peer's command gives."""
  np.savez(directory / "inputs.npz", **inputs())
  (directory / "settings.json").write_text(json.dumps(settings))
  done = subprocess.run(
      # Isolated: no pd_tf, nor anything else of this environment.
      [str(PYTHON), "-I", str(PEER), command, str(directory)],
      capture_output=True, text=True, check=False,
  )
  assert done.returncode == 0, done.stderr[-4000:]
  return dict(np.load(directory / "outputs.npz"))


def encoded(config, weights):
  """Returns what pd_tf's own encoder gives for the inputs."""
  model = bert.build(config)
  own = model.canonical_weights().keys()
  model.load_canonical_weights({
      name: array for name, array in weights.items() if name in own
  })
  arrays = inputs()
  return model.encode(
      rows.padded(
          arrays["input_ids"], arrays["input_mask"], arrays["segment_ids"]
      ),
      None,
  )


def close(actual, expected):
  np.testing.assert_allclose(
      actual, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max()
  )


@pytest.fixture(scope="module", name="weights")
def weights_fixture():
  return random_weights(CONFIG, canonical.groups(CONFIG))


@pytest.fixture(scope="module", name="path")
def path_fixture(weights, tmp_path_factory):
  directory = tmp_path_factory.mktemp("module")
  vocabulary.write(directory / "vocab.txt", ENTRIES)
  path = directory / "module"
  hub_module.write(path, CONFIG, weights, directory / "vocab.txt", False)
  return path


@pytest.fixture(scope="module", name="applied")
def applied_fixture(path, tmp_path_factory):
  return run("apply", tmp_path_factory.mktemp("applied"), module=str(path))


def test_hub_module_runs_what_is_written(path, applied, weights):
  loaded = tf.saved_model.load(str(path), tags=[])
  arrays = {name: tf.constant(array) for name, array in inputs().items()}
  mlm = loaded.signatures["mlm"](**arrays)
  own = encoded(CONFIG, weights)
  assert list(applied["signatures"]) == ["mlm", "tokenization_info", "tokens"]
  for signature in ("tokens", "mlm"):
    close(applied[f"{signature}/sequence_output"], own.sequence.numpy())
    close(applied[f"{signature}/pooled_output"], own.pooled[:, 0].numpy())
  close(applied["mlm/mlm_logits"], mlm["mlm_logits"].numpy())
  assert not applied["tokenization_info/do_lower_case"]
  vocab_file = applied["tokenization_info/vocab_file"].item().decode()
  assert pathlib.Path(vocab_file).read_bytes() == (
      path.with_name("vocab.txt").read_bytes()
  )


def test_hub_module_holds_every_weight_bit_for_bit(applied, weights):
  variables = {
      name.removeprefix("variables/"): array
      for name, array in applied.items()
      if name.startswith("variables/")
  }
  kept = [name for name in weights if "seq_relationship" not in name]
  assert sorted(variables) == sorted(kept)
  for name in kept:
    np.testing.assert_array_equal(variables[name], weights[name])


def test_hub_module_drops_out_in_the_graph_for_training_alone(applied):
  assert not np.allclose(applied["train/first"], applied["train/second"])
  pooled = applied["tokens/pooled_output"]
  assert not np.allclose(applied["train/first"], pooled)
  # Not trainable unless asked for.
  assert applied["num_trainable"] == applied["train/num_trainable"] == 0


@pytest.mark.parametrize("tags", [[], ["train"]])
def test_hub_module_fine_tunes_what_is_written(path, tags, tmp_path, weights):
  found = run("tune", tmp_path, module=str(path), tags=tags)
  unused = [name for name in found["unused"] if "cls/" not in name]
  assert not unused
  if not tags:
    assert all(np.diff(found["losses"]) < 0)
  read = tf1_hub.read(tmp_path / "tuned")
  assert read.encoder == CONFIG
  assert read.vocabulary == ENTRIES
  assert not read.lower_case
  changed = 0
  for name, array in read.weights.items():
    np.testing.assert_array_equal(array, found[f"variables/{name}"])
    changed += not np.array_equal(array, weights[name])
  # All but the bias of keys, which no softmax notices, and the head.
  assert changed >= 30


@pytest.mark.parametrize(
    ("activation", "heads", "nested"),
    [("gelu", 4, False), ("gelu_erf", 2, False), ("gelu", 1, True)],
)
def test_reads_what_the_old_release_writes(
    activation, heads, nested, tmp_path, caplog
):
  vocabulary.write(tmp_path / "vocab.txt", ENTRIES)
  found = run(
      "write", tmp_path, num_layers=2, hidden_size=16, num_heads=heads,
      vocab_size=len(ENTRIES), max_positions=32, activation=activation,
      nested=nested,
  )
  assert tf1_hub.found_in(tmp_path / "written")
  read = tf1_hub.read(tmp_path / "written")
  assert read.encoder == encoder_config.EncoderConfig(
      num_layers=2, hidden_size=16, head_size=16 // heads,
      intermediate_size=48, vocab_size=len(ENTRIES), max_positions=32,
      hidden_act=activation,
  )
  assert (read.vocabulary, read.lower_case) == (ENTRIES, False)
  scope = "module/" if nested else ""
  for name, array in read.weights.items():
    np.testing.assert_array_equal(array, found[f"variables/{scope}{name}"])
  assert [record.message for record in caplog.records] == [
      f"{tmp_path / 'written'}: ignored {scope}global_step."
  ]
  own = encoded(read.encoder, read.weights)
  close(own.sequence.numpy(), found["sequence_output"])
  close(own.pooled[:, 0].numpy(), found["pooled_output"])
