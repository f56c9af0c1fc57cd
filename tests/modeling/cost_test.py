"""Costs by hand, and against TensorFlow's count and the model itself."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from pd_tf.config import encoder as encoder_config
from pd_tf.modeling import bert
from pd_tf.modeling import cost
from pd_tf.modeling import miniatures

SMALL = encoder_config.EncoderConfig(
    num_layers=2, hidden_size=16, head_size=8, intermediate_size=24,
    vocab_size=40, max_positions=12,
)
ROW = cost.Row(seq_length=8, predictions=3, segments=2)
PRODUCTS = ("MatMul", "BatchMatMul", "BatchMatMulV2")


def test_forward_flops_of_tiny_by_hand():
  tiny = encoder_config.EncoderConfig(num_layers=2, hidden_size=128)
  flops = cost.forward_flops(tiny, cost.Row())
  # 12 H^2 weights of a layer, twice for multiplication and sum: 393,216 a
  # token and layer; 4 S H = 65,536 of attention; 20 rows of the word table.
  assert flops.layers == 2 * 128 * 393_216
  assert flops.attention == 2 * 128 * 65_536
  assert flops.masked_lm == 20 * 2 * (128 * 128 + 128 * 30_522)
  assert flops.pooler == 2 * (128 * 128 + 2 * 128)
  assert flops.training == 3 * sum(
      (flops.layers, flops.attention, flops.masked_lm, flops.pooler)
  )


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("training", [False, True])
def test_flops_are_those_that_tensorflow_counts(rows, training):
  model = bert.build(SMALL, pretraining_heads=True)

  @tf.function
  def run(inputs, positions):
    with tf.GradientTape() as tape:
      encoded = model.encode(inputs)
      total = tf.reduce_sum(
          model.masked_lm_logits(encoded.sequence, positions)
      ) + tf.reduce_sum(model.next_sentence_logits(encoded.pooled))
    if not training:
      return total
    return tape.gradient(total, model.trainable_variables)

  shapes = {
      "input_ids": 8, "type_ids": 8, "position_ids": 8, "example_ids": 8,
      "cls_positions": 2,
  }
  graph = run.get_concrete_function(
      {
          name: tf.TensorSpec([rows, length], tf.int32)
          for name, length in shapes.items()
      },
      tf.TensorSpec([rows, 3], tf.int32),
  ).graph
  builder = tf.compat.v1.profiler.ProfileOptionBuilder
  options = builder(builder.float_operation()).with_empty_output().build()
  profile = tf.compat.v1.profiler.profile(graph, cmd="op", options=options)
  flops = cost.forward_flops(SMALL, ROW)
  expected = flops.training if training else flops.total
  assert _of_products(profile) == rows * expected


def _of_products(profile):
  """Returns the operations of products below a node of the profile."""
  own = profile.float_ops if profile.name in PRODUCTS else 0
  return own + sum(_of_products(child) for child in profile.children)


@pytest.mark.parametrize("config", [
    SMALL, dataclasses.replace(SMALL, num_layers=1, intermediate_size=None)
])
def test_parameters_are_the_models(config):
  model = bert.build(config, pretraining_heads=True)
  assert cost.num_parameters(config) == model.num_parameters
  assert cost.word_table_parameters(config) == np.prod(
      model.embeddings.word.shape
  )


def test_parameters_are_those_of_the_paper():
  # Turc et al. (2019), Table 1, in millions: heads are counted in.
  millions = [
      cost.num_parameters(
          encoder_config.EncoderConfig(num_layers=layers, hidden_size=width)
      ) / 1e6
      for layers, width in miniatures.NAMED.values()
  ]
  assert millions == pytest.approx([4.4, 11.3, 29.1, 41.7, 110.1], abs=0.06)


def test_bytes_by_hand():
  table = 40 * 16
  others = cost.num_parameters(SMALL) - table
  assert cost.state_bytes(SMALL) == 16 * (table + others)
  assert cost.embedding_update_bytes(SMALL) == 4 * (8 + 3) * table
  assert cost.update_bytes(SMALL) == 4 * (11 * table + 8 * others)
  # A token and layer: 8 H + 2 F and two numbers for each head and key.
  layer = 8 * 16 + 2 * 24 + 2 * 2 * 8
  tokens = 8 * (2 * layer + 2 * 16) + 3 * (3 * 16 + 40)
  assert cost.kept_bytes(SMALL, ROW) == 2 * tokens
  assert cost.activation_bytes(SMALL, ROW) == 5 * 2 * tokens


@pytest.mark.parametrize("replicas, share", [(1, 0), (2, 1), (8, 1.75)])
def test_all_reduce_sends_less_than_twice_the_gradient(replicas, share):
  gradient = 4 * cost.num_parameters(SMALL)
  assert cost.all_reduce_bytes(SMALL, replicas) == share * gradient


def test_seconds_follow_the_rates():
  device = cost.Device(flops=1e6, memory=1e5, link=1e4)
  seconds = cost.step_seconds(SMALL, ROW, device, rows=4, replicas=2)
  flops = cost.forward_flops(SMALL, ROW)
  assert seconds.products == pytest.approx(4 * flops.training / 1e6)
  assert seconds.activations == pytest.approx(
      4 * cost.activation_bytes(SMALL, ROW) / 1e5
  )
  assert seconds.update == pytest.approx(cost.update_bytes(SMALL) / 1e5)
  assert seconds.all_reduce == pytest.approx(
      4 * cost.num_parameters(SMALL) / 1e4
  )
  assert seconds.total == pytest.approx(
      seconds.products + seconds.activations + seconds.update
      + seconds.all_reduce
  )
  half = device.used(0.5, 0.5, 0.5)
  slower = cost.step_seconds(SMALL, ROW, half, rows=4, replicas=2)
  assert slower.total == pytest.approx(2 * seconds.total)


def test_at_the_balance_the_part_takes_half():
  device = cost.Device(flops=1e6, memory=1e5, link=1e4)
  seconds = cost.step_seconds(SMALL, ROW, device, rows=4, replicas=2)
  rows = cost.rows_to_balance(seconds, 4, seconds.all_reduce)
  assert rows / 4 * seconds.per_rows == pytest.approx(seconds.all_reduce)
