"""The training path against the plain one, and against float64."""

import math

import numpy as np
import pytest
import tensorflow as tf

from pd_tf.config import encoder as encoder_config
from pd_tf.modeling import bert
from pd_tf.modeling import blocks
from pd_tf.modeling import dropout
from pd_tf.modeling import fusion
from pd_tf.modeling import initialization
from pd_tf.modeling import rows as rows_lib
from pd_tf.modeling import tied_softmax
from pd_tf.objectives import pretraining

GENERATOR = np.random.default_rng(0)
SEED = (3, 4)


@pytest.fixture(autouse=True)
def compile_all(monkeypatch):
  """Has XLA compile what is too small for it to pay."""
  monkeypatch.setattr(fusion, "LEAST_NUMBERS", 0)


def normal(*shape):
  return GENERATOR.normal(size=shape).astype(np.float32)


def numeric_gradient(function, x, upstream):
  """Central differences of sum(function(x) upstream), in float64."""
  x = x.astype(np.float64)
  gradient = np.zeros_like(x)
  for index in np.ndindex(x.shape):
    step = np.zeros_like(x)
    step[index] = 1e-5
    change = function(x + step) - function(x - step)
    gradient[index] = (change * upstream).sum() / 2e-5
  return gradient


def value_and_gradients(function, arrays, upstream):
  """Of a compiled graph, as in training."""

  @tf.function(autograph=False)
  def compute(*tensors):
    with tf.GradientTape() as tape:
      tape.watch(tensors)
      value = function(*tensors)
    return value, tape.gradient(value, tensors, tf.constant(upstream))

  return compute(*map(tf.constant, arrays))


def assert_matches_float64(function, oracle, arrays):
  """Value and the gradient of each argument, to float32's precision."""
  doubles = [array.astype(np.float64) for array in arrays]
  expected = oracle(*doubles)
  upstream = normal(*expected.shape)
  value, gradients = value_and_gradients(function, arrays, upstream)
  np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-5)
  for place, gradient in enumerate(gradients):

    def one(x, place=place):
      return oracle(*doubles[:place], x, *doubles[place + 1 :])

    wanted = numeric_gradient(one, arrays[place], upstream)
    np.testing.assert_allclose(
        gradient, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max()
    )


def layer_norm(x, gamma, beta):
  centred = x - x.mean(-1, keepdims=True)
  deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-3)
  return centred / deviation * gamma + beta


def test_residual_norm_and_its_gradients():
  mask = dropout.mask([5, 8], 0.25, tf.constant(SEED), 1)
  factors = mask.factors().numpy()
  assert_matches_float64(
      lambda x, added, bias, gamma, beta: blocks.residual_norm(
          x, added, bias, mask, gamma, beta, 1e-3
      )[0],
      lambda x, added, bias, gamma, beta: layer_norm(
          x + (added + bias) * factors, gamma, beta
      ),
      [normal(5, 8), normal(5, 8), normal(8), normal(8), normal(8)],
  )


def test_a_bias_and_its_gradient():
  assert_matches_float64(
      blocks.biased, lambda product, bias: product + bias,
      [normal(5, 8), normal(8)],
  )


def test_the_gradient_of_a_bias_of_many_rows_is_summed_in_float32():
  product, upstream = normal(4096, 8), normal(4096, 8)
  rounded = tf.cast(upstream, tf.bfloat16)
  _, gradients = value_and_gradients(
      lambda product, bias: tf.cast(
          blocks.biased(tf.cast(product, tf.bfloat16), bias), tf.float32
      ),
      [product, normal(8)], upstream,
  )
  wanted = tf.cast(rounded, tf.float64).numpy().sum(0)
  # As bfloat16 cuts off the sum, and no more.
  np.testing.assert_allclose(gradients[1], wanted, rtol=2**-7)


def test_embedding_norm_and_its_gradients():
  mask = dropout.mask([5, 8], 0.25, tf.constant(SEED), 1)
  factors = mask.factors().numpy()
  types = np.array([0, 2, 1, 1, 0], np.int32)
  assert_matches_float64(
      lambda words, places, table, gamma, beta: blocks.embedding_norm(
          [words, places], tf.constant(types), table, mask, gamma, beta, 1e-3,
          "float32",
      )[0],
      lambda words, places, table, gamma, beta:
          layer_norm(words + places + table[types], gamma, beta) * factors,
      [normal(5, 8), normal(5, 8), normal(3, 8), normal(8), normal(8)],
  )


def gelu(x):
  return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def gelu_erf(x):
  return x * np.vectorize(lambda z: 0.5 * (1 + math.erf(z / math.sqrt(2))))(x)


@pytest.mark.parametrize("name,oracle", [
    ("gelu", gelu), ("gelu_erf", gelu_erf),
])  # fmt: skip
def test_activations_and_their_gradients(name, oracle):
  assert_matches_float64(
      lambda x, bias: blocks.activation(x, bias, name),
      lambda x, bias: oracle(x + bias), [2 * normal(5, 7), normal(7)],
  )


def test_attention_weights_and_their_gradient():
  mask = dropout.mask([2, 2, 3, 3], 0.25, tf.constant(SEED), 1)
  factors = mask.factors().numpy()
  example_ids = tf.constant([[1, 1, 2], [1, 0, 0]])
  bias = rows_lib.attention_bias(example_ids)

  def oracle(scores):
    exponents = np.exp(scores * 0.5 + bias.numpy().astype(np.float64))
    return exponents / exponents.sum(-1, keepdims=True) * factors

  assert_matches_float64(
      lambda scores: blocks.attention_weights(scores, example_ids, mask, 0.5),
      oracle, [normal(2, 2, 3, 3)],
  )


LABELS = np.array([3, 0, 10, 3], np.int32)


def tied(hidden, table, bias, labels, dtype):
  labels = tf.constant(labels)
  whole = tf.concat([table, bias[:, None]], axis=1)
  return tied_softmax.cross_entropy(
      hidden, tf.cast(whole, dtype), tf.gather(whole, labels), labels
  )


def cross_entropy(hidden, table, bias):
  logits = hidden @ table.T + bias
  top = logits.max(-1, keepdims=True)
  total = np.log(np.exp(logits - top).sum(-1)) + top[:, 0]
  return total - logits[np.arange(4), LABELS]


# At 40 the labels' probabilities are below float32's smallest.
@pytest.mark.parametrize("scale", [1, 40])
def test_tied_softmax_and_its_gradients(scale):
  assert_matches_float64(
      lambda *arrays: tied(*arrays, LABELS, "float32")[0],
      cross_entropy, [scale * normal(4, 6), normal(11, 6), normal(11)],
  )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_tied_softmax_says_which_labels_are_the_likeliest(dtype):
  table = tf.eye(4) * 9.0
  _, right = tied(tf.eye(4)[:3], table, tf.zeros([4]), [0, 2, 2], dtype)
  np.testing.assert_array_equal(right, [True, False, True])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_tied_softmax_in_low_precision(dtype):
  arrays = [normal(4, 6), normal(11, 6), normal(11)]
  upstream = np.ones(4, np.float32)
  exact, rounded = (
      value_and_gradients(
          lambda *tensors, each=each: tied(*tensors, LABELS, each)[0],
          arrays, upstream,
      )
      for each in ("float32", dtype)
  )
  np.testing.assert_allclose(rounded[0], exact[0], atol=0.05)
  for mine, theirs in zip(rounded[1], exact[1], strict=True):
    np.testing.assert_allclose(
        mine, theirs, atol=0.02 * np.abs(theirs).max()
    )


def model_and_rows(rate, parts=1):
  config = encoder_config.EncoderConfig(
      num_layers=2, hidden_size=16, head_size=8, vocab_size=40,
      max_positions=12, hidden_dropout=rate, attention_dropout=rate,
  )  # fmt: skip
  model = bert.build(config, pretraining_heads=True, parts=parts)
  model.load_canonical_weights(
      initialization.random_weights(model.canonical_weights(), 0.3, 1)
  )
  draw = np.random.default_rng(2)
  ids = np.sort(draw.integers(0, 3, (3, 12)), axis=1)
  rows = {
      "input_ids": draw.integers(0, 40, (3, 12)),
      "type_ids": draw.integers(0, 2, (3, 12)),
      "position_ids": draw.integers(0, 12, (3, 12)), "example_ids": ids,
      "cls_positions": draw.integers(0, 12, (3, 2)),
      "masked_positions": draw.integers(0, 12, (3, 4)),
      "masked_ids": draw.integers(0, 40, (3, 4)),
      "next_sentence_labels": draw.integers(0, 2, (3, 2)),
  }
  rows = {name: tf.constant(x, tf.int32) for name, x in rows.items()}
  rows["masked_weights"] = tf.constant([[1.0, 1.0, 0.0, 0.5]] * 3)
  rows["next_sentence_weights"] = tf.ones([3, 2])
  return model, rows


def plain_losses(model, rows, seed):
  """The masked-LM and next-sentence losses from plain parts alone."""
  bias = rows_lib.attention_bias(rows["example_ids"])
  tokens = model.embeddings(rows, seed)
  for layer in model.layer_list:
    tokens = layer(tokens, bias, seed)
  sequence = tf.reshape(tokens, [3, 12, 16])
  logits = model.masked_lm_logits(sequence, rows["masked_positions"])
  pairs = model.next_sentence_logits(model._pool(sequence, rows))
  return [
      pretraining.masked_lm(logits, rows["masked_ids"], rows["masked_weights"]),
      pretraining.next_sentence(
          pairs, rows["next_sentence_labels"], rows["next_sentence_weights"]
      ),
  ]


# Of three rows: all together, one and two, one by one.
@pytest.mark.parametrize("parts", [1, 2, 5])
@pytest.mark.parametrize("compiled", [False, True])
def test_the_training_path_is_the_plain_one_with_dropout_on(compiled, parts):
  model, rows = model_and_rows(0.25, parts)
  seed = tf.constant(SEED)

  def total(terms):
    return tf.add_n([tf.reduce_sum(v * w) for v, w in terms])

  def fast():
    with tf.GradientTape() as tape:
      loss = total(
          pretraining.outputs(model, rows, seed, True).losses.values()
      )
    gradients = tape.gradient(loss, model.trainable_variables)
    return loss, [tf.convert_to_tensor(each) for each in gradients]

  with tf.GradientTape() as tape:
    expected = total(plain_losses(model, rows, seed))
  wanted = tape.gradient(expected, model.trainable_variables)
  loss, gradients = (tf.function(fast) if compiled else fast)()
  assert float(loss) == pytest.approx(float(expected), rel=1e-6)
  for variable, mine, theirs in zip(
      model.trainable_variables, gradients, wanted, strict=True
  ):
    theirs = tf.convert_to_tensor(theirs)
    np.testing.assert_allclose(
        mine, theirs, rtol=1e-4, atol=2e-6 * np.abs(theirs).max() + 1e-6,
        err_msg=variable.name,
    )


@pytest.mark.parametrize("rate,kept", [
    (0.1, 1 - 26 / 256), (0.5, 0.5), (0.01, 1 - 655 / 65536), (1e-5, 1 - 2**-16)
])  # fmt: skip
def test_the_rate_is_rounded_and_the_mean_stays(rate, kept):
  mask = dropout.mask([400, 1000], rate, tf.constant(SEED), 2)
  factors = mask.factors().numpy().astype(np.float64)
  assert set(np.unique(factors)) <= {0.0, np.float64(np.float32(1 / kept))}
  # Four standard deviations of 400,000 draws.
  assert (factors > 0).mean() == pytest.approx(
      kept, abs=4 * math.sqrt(kept * (1 - kept) / 4e5)
  )


def test_places_share_no_number_with_each_other_or_another_step():
  def blocks_of(seed, site):
    bits = dropout.mask([2**18], 0.5, tf.constant(seed), site).bits.numpy()
    # As Philox makes them: four numbers of 32 bits at a time.
    return {bits.tobytes()[at : at + 16] for at in range(0, 2**18, 16)}

  drawn = [
      blocks_of(seed, site)
      for seed in (SEED, (SEED[0], SEED[1] + 1), (SEED[1], SEED[0]))
      for site in range(4)
  ]
  assert len(set.union(*drawn)) == len(drawn) * 2**18 // 16


def test_it_draws_the_same_by_operations_in_a_graph_and_by_xla():
  def drawn(seed):
    return dropout.mask([77, 13], 0.1, seed, 5).factors()

  expected = drawn(tf.constant(SEED))
  for compiled in (False, True):
    function = tf.function(drawn, jit_compile=compiled)
    np.testing.assert_array_equal(function(tf.constant(SEED)), expected)


def test_masks_are_independent_of_each_other():
  def dropped(seed, site):
    return dropout.mask([999, 101], 0.1, tf.constant(seed), site).factors() == 0

  first = dropped((1, 2), 0).numpy()
  np.testing.assert_array_equal(dropped((1, 2), 0), first)
  others = [dropped((1, 2), 1), dropped((1, 3), 0), dropped((2, 2), 0)]
  # Neighbours in a row, and in a column, are draws of their own too.
  pairs = [(first, other.numpy()) for other in others]
  pairs += [(first[:, 1:], first[:, :-1]), (first[1:], first[:-1])]
  for one, other in pairs:
    # Of 100,000 draws: six deviations of a correlation of none.
    correlation = np.corrcoef(one.ravel(), other.ravel())[0, 1]
    assert abs(correlation) < 6 / math.sqrt(one.size)


@pytest.mark.parametrize("parts", [1, 2])
def test_the_training_path_takes_batches_of_any_size(parts):
  model, rows = model_and_rows(0.25, parts)
  seed = tf.constant(SEED)
  encode = tf.function(
      lambda rows: model.encode(rows, seed).pooled, autograph=False,
      input_signature=[{
          name: tf.TensorSpec([None, *array.shape[1:]], array.dtype)
          for name, array in rows.items()
      }],
  )
  np.testing.assert_allclose(
      encode(rows), model.encode(rows, seed).pooled, rtol=1e-4, atol=1e-5
  )


@pytest.mark.parametrize("batch_size,parts,spans", [
    (4, 2, [(0, 2), (2, 4)]),
    (3, 2, [(0, 1), (1, 3)]),
    (3, 5, [(0, 1), (1, 2), (2, 3)]),
    (4, 1, []),
    (1, 2, []),
    (None, 2, []),
])
def test_every_row_is_in_one_part_and_a_single_part_is_none(
    batch_size, parts, spans
):
  assert rows_lib.spans(batch_size, parts) == spans


def test_a_batch_in_parts_has_products_of_its_parts():
  model, rows = model_and_rows(0.25, parts=2)
  graph = tf.function(
      lambda rows: model.encode(rows, tf.constant(SEED)).pooled
  ).get_concrete_function(rows).graph
  sizes = {
      op.outputs[0].shape[0] for op in graph.get_operations()
      if op.type == "MatMul"
      # Of the feed-forward layer.
      and op.outputs[0].shape[1] == model.config.feed_forward_size
  }
  assert sizes == {12, 24}
