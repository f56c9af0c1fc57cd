import pathlib

import numpy as np
import pytest
from tensorflow.python.eager import context

from pd_tf.config import encoder as encoder_config
from pd_tf.config import errors
from pd_tf.modeling import bert
from pd_tf.modeling import inference
from pd_tf.modeling import rows as rows_lib


def _model(act):
  config = encoder_config.EncoderConfig(
      num_layers=2, hidden_size=32, head_size=8, vocab_size=50,
      max_positions=16, hidden_act=act,
  )
  model = bert.build(config, num_outputs=3)
  generator = np.random.default_rng(0)
  weights = {
      name: generator.normal(0, 0.3, array.shape).astype(np.float32)
      for name, array in model.canonical_weights().items()
  }
  model.load_canonical_weights(weights)
  return config, model, weights


def _batch():
  generator = np.random.default_rng(1)
  lengths = np.array([9, 8, 3, 9], np.int32)
  ids = generator.integers(5, 50, (4, 9)).astype(np.int32)
  ids[np.arange(9) >= lengths[:, None]] = 0
  types = (np.arange(9) >= 2).astype(np.int32) * np.ones((4, 1), np.int32)
  return ids, types, lengths


@pytest.mark.parametrize("act", ["gelu", "gelu_erf"])
@pytest.mark.parametrize("captured", [False, True])
def test_it_is_the_classifier_that_was_trained(act, captured, monkeypatch):
  if captured:
    monkeypatch.setattr(inference, "_GRAPH_BYTES", 0)
  config, model, weights = _model(act)
  ids, types, lengths = _batch()
  mask = (np.arange(9) < lengths[:, None]).astype(np.int32)
  expected = model.logits(rows_lib.padded(ids, mask, types))[:, 0]
  got = inference.Classifier(config, weights).logits(ids, types, lengths)
  np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_padding_and_the_rest_of_a_batch_do_not_matter():
  config, _, weights = _model("gelu")
  ids, types, lengths = _batch()
  one = inference.Classifier(config, weights)
  whole = one.logits(ids, types, lengths)
  alone = one.logits(ids[2:3, :3], types[2:3, :3], lengths[2:3])
  np.testing.assert_allclose(whole[2:3], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "dtype, within", [("bfloat16", 0.1), ("float16", 0.05)]
)
def test_other_precisions_are_near(dtype, within):
  config, _, weights = _model("gelu")
  batch = _batch()
  exact = inference.Classifier(config, weights).logits(*batch)
  near = inference.Classifier(config, weights, dtype).logits(*batch)
  assert np.isfinite(near).all()
  difference = np.abs(near - exact).max()
  assert 0 < difference < within * np.abs(exact).max()


def _has(dtype):
  """Whether oneDNN makes products of it on this processor."""
  cpus = pathlib.Path("/proc/cpuinfo")
  flags = cpus.read_text("utf-8") if cpus.exists() else ""
  wanted = {"float32": ("avx2",), "bfloat16": ("avx512_bf16", "amx_bf16")}
  return any(flag in flags for flag in wanted[dtype])


@pytest.mark.parametrize("act", ["gelu", "gelu_erf"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_product_bias_and_gelu_are_one_operation(act, dtype):
  if not _has(dtype):
    pytest.skip(f"the processor has no {dtype} of oneDNN's")
  config, _, weights = _model(act)
  classifier = inference.Classifier(config, weights, dtype)
  state = context.context()
  state.enable_graph_collection()
  try:
    classifier.logits(*_batch())
    told = state.export_run_metadata()
  finally:
    state.disable_graph_collection()
  fused = [
      node.attr["fused_ops"].list.s
      for functions in told.function_graphs
      for node in functions.post_optimization_graph.node
      if node.op == "_FusedMatMul"
  ]
  both = [ops for ops in fused if any(b"Gelu" in each for each in ops)]
  assert len(both) == config.num_layers


def test_a_missing_weight_is_named():
  config, _, weights = _model("gelu")
  del weights["bert/pooler/dense/bias"]
  with pytest.raises(errors.InputError, match="^model: .*bert/pooler/dense/b"):
    inference.Classifier(config, weights)
