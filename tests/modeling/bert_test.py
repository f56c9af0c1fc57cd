"""Packed rows, parameter counts, dropout, weights by name."""

import numpy as np
import pytest
import tensorflow as tf

from pd_tf.config import encoder as encoder_config
from pd_tf.config import errors
from pd_tf.modeling import bert
from pd_tf.modeling import initialization
from pd_tf.modeling import miniatures
from pd_tf.modeling import rows as rows_lib

# Millions: encoder, pooler, masked LM head with its bias, without the
# next-sentence head (Turc et al., 2019; google-research/bert).
PARAMETERS = {
    2: (4.4, 9.7, 22.8, 39.2),
    4: (4.8, 11.3, 29.1, 53.4),
    6: (5.2, 12.8, 35.4, 67.5),
    8: (5.6, 14.4, 41.7, 81.7),
    10: (6.0, 16.0, 48.0, 95.9),
    12: (6.4, 17.6, 54.3, 110.1),
}


def _model(num_outputs=3, dropout=0.1, compute_dtype="float32"):
  config = encoder_config.EncoderConfig(
      num_layers=2, hidden_size=16, head_size=8, vocab_size=40,
      max_positions=12, hidden_dropout=dropout, attention_dropout=dropout,
  )
  model = bert.build(
      config, pretraining_heads=True, num_outputs=num_outputs,
      compute_dtype=compute_dtype,
  )
  model.load_canonical_weights(
      initialization.random_weights(model.canonical_weights(), 0.3, seed=1)
  )
  return model


def _padded(examples, length):
  """Each example in a row of its own."""
  ids, mask, types = (
      np.zeros((len(examples), length), np.int32) for _ in range(3)
  )
  for row, (tokens, first) in enumerate(examples):
    ids[row, : len(tokens)] = tokens
    mask[row, : len(tokens)] = 1
    types[row, first : len(tokens)] = 1
  return rows_lib.padded(*map(tf.constant, (ids, mask, types)))


def _packed(examples, length):
  """All examples in one row."""
  rows = {
      name: np.zeros((1, length), np.int32)
      for name in ("input_ids", "type_ids", "position_ids", "example_ids")
  }
  starts, start = [], 0
  for number, (tokens, first) in enumerate(examples, start=1):
    end = start + len(tokens)
    rows["input_ids"][0, start:end] = tokens
    rows["type_ids"][0, start + first : end] = 1
    rows["position_ids"][0, start:end] = range(len(tokens))
    rows["example_ids"][0, start:end] = number
    starts.append(start)
    start = end
  rows["cls_positions"] = np.array([starts], np.int32)
  return {name: tf.constant(array) for name, array in rows.items()}


EXAMPLES = [([2, 7, 9, 3], 4), ([2, 11, 3, 12, 13, 3], 3), ([2, 30, 3], 3)]


def test_packed_rows_give_the_logits_of_padded_ones():
  model = _model()
  padded = model.logits(_padded(EXAMPLES, 8))[:, 0]
  packed = model.logits(_packed(EXAMPLES, 16))[0]
  np.testing.assert_allclose(packed, padded, rtol=1e-5, atol=1e-6)


def test_packed_rows_give_the_gradients_of_padded_ones():
  model = _model()

  def gradients(rows):
    with tf.GradientTape() as tape:
      loss = tf.reduce_sum(tf.sin(model.logits(rows)))
    return tape.gradient(loss, model.trainable_variables)

  pairs = zip(
      gradients(_padded(EXAMPLES, 8)), gradients(_packed(EXAMPLES, 16)),
      strict=True,
  )
  compared = 0
  for padded, packed in pairs:
    if padded is not None:
      np.testing.assert_allclose(
          tf.convert_to_tensor(packed), tf.convert_to_tensor(padded),
          rtol=1e-4, atol=1e-5,
      )
      compared += 1
  assert compared > 20


def test_an_example_is_blind_to_its_neighbours():
  model = _model()
  changed = [EXAMPLES[0], ([2, 20, 3, 21, 22, 3], 3), EXAMPLES[2]]
  before = model.logits(_packed(EXAMPLES, 16))[0].numpy()
  after = model.logits(_packed(changed, 16))[0].numpy()
  np.testing.assert_allclose(after[[0, 2]], before[[0, 2]], rtol=1e-6)
  assert np.abs(after[1] - before[1]).max() > 1e-3


@pytest.mark.parametrize("config", miniatures.configs(), ids=repr)
def test_parameters_of_the_24_are_the_papers(config):
  # Counted from the shapes alone: building all 24 would take gigabytes.
  width, inner = config.hidden_size, config.feed_forward_size
  layer = 4 * (width**2 + width) + 2 * width * inner + inner + width
  layer += 4 * width
  total = (
      (config.vocab_size + 512 + 2) * width + 2 * width
      + config.num_layers * layer
      + 2 * (width**2 + width) + 2 * width + config.vocab_size
  )
  column = miniatures.HIDDEN_SIZES.index(width)
  # The published table cuts two of its numbers (67.58 and 81.75) instead of
  # rounding them.
  millions = PARAMETERS[config.num_layers][column]
  assert abs(total / 1e6 - millions) < 0.08
  assert config.num_heads * 64 == width


@pytest.mark.parametrize("size", [(2, 128, 4.4), (4, 256, 11.3)])
def test_built_models_have_the_papers_parameters(size):
  layers, width, millions = size
  config = encoder_config.EncoderConfig(num_layers=layers, hidden_size=width)
  model = bert.build(config, pretraining_heads=True)
  next_sentence = 2 * width + 2
  assert round((model.num_parameters - next_sentence) / 1e6, 1) == millions
  assert len(model.canonical_weights()) == 14 + 16 * layers


def test_weights_by_name_round_trip():
  model, other = _model(), _model()
  weights = model.canonical_weights()
  other.load_canonical_weights(
      {name: array + 1 for name, array in weights.items()}
  )
  assert other.load_canonical_weights(weights) == []
  for name, array in other.canonical_weights().items():
    np.testing.assert_array_equal(array, weights[name])
  assert weights["bert/encoder/layer_0/attention/self/key/kernel"].shape == (
      16, 16
  )
  assert weights["output_weights"].shape == (3, 16)
  assert weights["cls/seq_relationship/output_weights"].shape == (2, 16)


def test_a_missing_weight_is_named_and_left():
  model = _model()
  weights = model.canonical_weights()
  del weights["bert/pooler/dense/bias"]
  assert model.load_canonical_weights(weights) == ["bert/pooler/dense/bias"]


def test_a_weight_of_another_shape_is_an_error():
  model = _model()
  weights = model.canonical_weights()
  weights["output_bias"] = np.zeros(4, np.float32)
  with pytest.raises(errors.InputError, match=r"^output_bias: .*\[3\].*\[4\]"):
    model.load_canonical_weights(weights)


def test_dropout_follows_from_the_seed_alone():
  model = _model(dropout=0.5)
  rows = _packed(EXAMPLES, 16)
  first = model.logits(rows, tf.constant([1, 2]))
  again = model.logits(rows, tf.constant([1, 2]))
  other = model.logits(rows, tf.constant([1, 3]))
  np.testing.assert_array_equal(first, again)
  assert np.abs(first - other).max() > 1e-3


def test_bfloat16_products_are_close_to_float32():
  rows = _packed(EXAMPLES, 16)
  exact = _model().logits(rows).numpy()
  rounded = _model(compute_dtype="bfloat16").logits(rows).numpy()
  assert rounded.dtype == np.float32
  # bfloat16 has 8 bits: a few per cent after two layers.
  np.testing.assert_allclose(rounded, exact, atol=0.1 * np.abs(exact).max())
  assert np.abs(rounded - exact).max() > 0


def test_an_unknown_precision_is_an_error():
  with pytest.raises(errors.InputError, match="^compute_dtype: "):
    bert.build(encoder_config.EncoderConfig(), compute_dtype="float8")
