"""The encoder in plain operations computes what pd_tf trains."""

import numpy as np
import pytest
import tensorflow as tf

from pd_tf.config import encoder
from pd_tf.modeling import bert
from pd_tf.modeling import rows
from pd_tf.serving import plain

# What TensorFlow 1.15 has and hub.Module reads back without a function library.
OPERATIONS = {
    "Add", "AddV2", "BatchMatMulV2", "BiasAdd", "Cast", "Const", "Erf",
    "ExpandDims", "GatherV2", "GreaterEqual", "Identity", "MatMul", "Mean",
    "Mul", "NoOp", "NotEqual", "Pack", "Placeholder", "RandomUniform", "Range",
    "RealDiv", "Reshape", "Rsqrt", "Shape", "Softmax", "Square",
    "StridedSlice", "Sub", "Tanh", "Transpose",
}  # fmt: skip


def config(**changes):
  return encoder.EncoderConfig(**{
      "num_layers": 2, "hidden_size": 16, "head_size": 8, "vocab_size": 40,
      "max_positions": 12, **changes,
  })  # fmt: skip


def model(shape):
  built = bert.build(shape, pretraining_heads=True)
  generator = np.random.default_rng(7)
  built.load_canonical_weights({
      name: generator.normal(
          float(name.endswith("gamma")), 0.3, array.shape
      ).astype(np.float32)
      for name, array in built.canonical_weights().items()
  })
  return built


def inputs(batch=3, length=7):
  generator = np.random.default_rng(1)
  mask = np.arange(length) < generator.integers(1, length + 1, (batch, 1))
  return (
      tf.constant(generator.integers(0, 40, mask.shape), tf.int32),
      tf.constant(mask, tf.int32),
      tf.constant(generator.integers(0, 2, mask.shape), tf.int32),
  )


def tensors(built):
  return {
      name: tf.constant(array)
      for name, array in built.canonical_weights().items()
  }


def assert_close(got, expected):
  scale = np.abs(expected).max()
  np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"hidden_act": "gelu_erf", "layer_norm_epsilon": 1e-3},
        {"head_size": 16, "intermediate_size": 20, "type_vocab_size": 3},
    ],
    ids=str,
)
def test_values_are_those_of_the_model(changes):
  built = model(config(**changes))
  given = inputs()
  expected = built.encode(rows.padded(*given))
  got = plain.encode(tensors(built), built.config, *given)
  assert_close(got.pooled, expected.pooled[:, 0])
  for ours, theirs in zip(got.layers, expected.layers, strict=True):
    assert_close(ours, theirs)


def test_masked_lm_logits_are_those_of_the_model():
  built = model(config())
  sequence = built.encode(rows.padded(*inputs())).sequence
  positions = tf.constant([[0, 3], [6, 6], [1, 0]])
  assert_close(
      plain.masked_lm_logits(
          tensors(built), built.config, sequence, positions
      ),
      built.masked_lm_logits(sequence, positions),
  )


def test_gradients_are_those_of_the_model():
  built = model(config())
  given = inputs()
  weights = tensors(built)
  with tf.GradientTape() as tape:
    tape.watch(weights)
    loss = tf.reduce_sum(
        plain.encode(weights, built.config, *given).pooled ** 2
    )
  got = tape.gradient(loss, weights["bert/encoder/layer_0/output/dense/kernel"])
  kernel = built.layer_list[0].output_dense.kernel
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum(built.encode(rows.padded(*given)).pooled ** 2)
  assert_close(got, tape.gradient(loss, kernel))


def test_dropout_zeroes_at_the_rate_and_keeps_the_mean():
  drop = plain._dropout(0.25, training=True)
  dropped = drop(tf.ones([200, 200])).numpy()
  assert set(np.unique(dropped)) == {np.float32(0), np.float32(1 / 0.75)}
  # 40,000 draws: the share's standard deviation is 0.0022.
  assert abs((dropped == 0).mean() - 0.25) < 0.012
  assert not np.array_equal(dropped, drop(tf.ones([200, 200])))


@pytest.mark.parametrize("act", ["gelu", "gelu_erf"])
def test_only_operations_that_every_loader_knows(act):
  built_config = config(hidden_act=act)
  shapes = {
      name: array.shape
      for name, array in model(built_config).canonical_weights().items()
  }
  with tf.Graph().as_default() as graph:
    weights = {
        name: tf.compat.v1.placeholder(tf.float32, shape)
        for name, shape in shapes.items()
    }
    given = [tf.compat.v1.placeholder(tf.int32, [None, None])] * 3
    outputs = plain.encode(weights, built_config, *given, training=True)
    plain.masked_lm_logits(
        weights, built_config, outputs.layers[-1], given[0]
    )
  assert {op.type for op in graph.get_operations()} <= OPERATIONS
