"""Masking: how many, which, and what stands in their place."""

import numpy as np
import pytest
import tensorflow as tf

from pd_tf.data import masking

PAD, CLS, SEP, MASK, VOCAB_SIZE = 0, 2, 3, 4, 1000
ROWS, WIDTH = 500, 64


def _ids(rows=ROWS, width=WIDTH, padded=14):
  """Returns rows [CLS] … [SEP] … [SEP] [PAD]…; no other token is special."""
  ids = np.random.default_rng(0).integers(5, VOCAB_SIZE, (rows, width))
  ids[:, 0], ids[:, 20] = CLS, SEP
  ids[:, width - padded - 1] = SEP
  ids[:, width - padded:] = PAD
  return ids.astype(np.int32)


def _mask(ids, seed=(1, 2), rate=0.15, most=10):
  masked = masking.mask(
      tf.constant(ids),
      never=(PAD, CLS, SEP),
      pad_id=PAD,
      mask_id=MASK,
      vocab_size=VOCAB_SIZE,
      mask_rate=rate,
      max_predictions=most,
      seed=tf.constant(seed, tf.int64),
  )
  return {name: value.numpy() for name, value in masked.items()}


@pytest.mark.parametrize("tokens, expected", [
    (1, 1), (3, 1), (10, 2), (100, 15), (128, 19), (512, 20),
])
def test_num_predictions(tokens, expected):
  assert masking.num_predictions(tokens, 0.15, 20) == expected


@pytest.mark.parametrize("width, expected", [(128, 20), (512, 80), (64, 10)])
def test_default_max_predictions(width, expected):
  assert masking.default_max_predictions(width) == expected


def test_number_and_order_of_positions():
  masked = _mask(_ids())
  # 50 tokens of 64: round(7.5) is 8, ties to even, as google-research/bert.
  assert (masked["masked_weights"].sum(axis=1) == 8).all()
  np.testing.assert_array_equal(
      masked["masked_weights"], np.tile([1.0] * 8 + [0.0] * 2, (ROWS, 1))
  )
  used = masked["masked_positions"][:, :8]
  assert (np.diff(used, axis=1) > 0).all()
  assert not masked["masked_positions"][:, 8:].any()
  assert not masked["masked_ids"][:, 8:].any()
  assert masked["masked_positions"].dtype == np.int32
  assert masked["masked_weights"].dtype == np.float32


def test_special_tokens_never_and_others_evenly():
  ids = _ids()
  positions = _mask(ids)["masked_positions"][:, :8]
  chosen = np.take_along_axis(ids, positions, axis=1)
  assert not np.isin(chosen, (PAD, CLS, SEP)).any()
  times = np.bincount(positions.ravel(), minlength=WIDTH)
  eligible = np.flatnonzero(times)
  assert len(eligible) == 50 - 3
  # 500 x 8 / 47 = 85.1, standard deviation 8.4.
  assert abs(times[eligible] - 85.1).max() < 5 * 8.4


def test_what_is_hidden_can_be_put_back_and_nothing_else_changed():
  ids = _ids()
  masked = _mask(ids)
  restored = masked["input_ids"].copy()
  np.put_along_axis(
      restored, masked["masked_positions"][:, :8], masked["masked_ids"][:, :8],
      axis=1,
  )
  np.testing.assert_array_equal(restored, ids)


def test_shares_of_mask_random_and_kept():
  ids = _ids()
  masked = _mask(ids)
  positions = masked["masked_positions"][:, :8]
  shown = np.take_along_axis(masked["input_ids"], positions, axis=1)
  true = masked["masked_ids"][:, :8]
  # 4,000 draws: the standard deviation of a share is at most 0.0063.
  assert abs((shown == MASK).mean() - 0.8) < 0.03
  assert abs((shown == true).mean() - 0.1) < 0.02
  replaced = shown[(shown != MASK) & (shown != true)]
  assert abs(len(replaced) / shown.size - 0.1) < 0.02
  # Uniform over the vocabulary: mean 499.5, standard deviation 289 / sqrt(n).
  assert abs(replaced.mean() - 499.5) < 5 * 289 / np.sqrt(len(replaced))
  assert replaced.min() < 20 and replaced.max() > 980


def test_seed_alone_decides():
  ids = _ids(rows=8)
  once = _mask(ids)
  tf.random.set_seed(7)
  again = _mask(ids)
  for name in once:
    np.testing.assert_array_equal(once[name], again[name])
  for other in ((1, 3), (2, 2)):
    assert (_mask(ids, other)["input_ids"] != once["input_ids"]).any()


def test_rows_with_few_or_no_eligible_tokens():
  ids = np.array([
      [CLS, SEP, PAD, PAD, PAD, PAD, PAD, PAD],
      [CLS, 77, SEP, PAD, PAD, PAD, PAD, PAD],
      [PAD] * 8,
  ], np.int32)
  masked = _mask(ids, rate=0.9, most=6)
  assert masked["masked_weights"].sum(axis=1).tolist() == [0, 1, 0]
  assert masked["masked_positions"][1].tolist() == [1, 0, 0, 0, 0, 0]
  assert masked["masked_ids"][1].tolist() == [77, 0, 0, 0, 0, 0]
  np.testing.assert_array_equal(masked["input_ids"][[0, 2]], ids[[0, 2]])


def test_static_shapes_in_a_graph():
  @tf.function(input_signature=[tf.TensorSpec([4, WIDTH], tf.int32)])
  def graph(ids):
    masked = masking.mask(
        ids, (PAD,), PAD, MASK, VOCAB_SIZE, 0.15, 10,
        tf.constant([0, 0], tf.int64),
    )
    assert masked["input_ids"].shape == [4, WIDTH]
    assert masked["masked_positions"].shape == [4, 10]
    return masked

  graph.get_concrete_function()
