import dataclasses
import itertools

import hypothesis
from hypothesis import strategies
import numpy as np
import pytest

from pd_tf.data import examples as examples_lib
from pd_tf.data import packing


def _examples(lengths, teacher=False):
  lengths = np.array(lengths)
  count = len(lengths)
  return examples_lib.Examples(
      np.arange(1, lengths.sum() + 1, dtype=np.int32),
      np.concatenate([[0], np.cumsum(lengths)]),
      np.maximum(1, lengths // 2).astype(np.int32),
      np.arange(count, dtype=np.int32) - 1,
      np.stack([np.arange(count)] * 2, 1).astype(np.float32)
      if teacher else None,
  )


@hypothesis.given(
    strategies.lists(strategies.integers(2, 16), min_size=1, max_size=200),
    strategies.integers(1, 6),
)
def test_every_example_is_packed_once_and_fits(lengths, slots):
  shape = packing.Shape(2, 16, slots)
  rows = packing.pack(np.array(lengths), np.arange(len(lengths)), shape)
  assert sorted(itertools.chain(*rows)) == list(range(len(lengths)))
  for row in rows:
    assert len(row) <= slots
    assert sum(lengths[i] for i in row) <= 16


def test_rows_are_full():
  lengths = np.random.default_rng(0).integers(5, 30, 2000)
  shape = packing.Shape(4, 128, 40)
  rows = packing.pack(lengths, np.arange(2000), shape)
  assert lengths.sum() / (len(rows) * 128) > 0.98


def test_a_batch_by_hand():
  shape = packing.Shape(2, 8, 3)
  examples = _examples([3, 4, 2], teacher=True)
  batch = packing.batch(examples, [[1, 0], [2]], shape)
  np.testing.assert_array_equal(
      batch["input_ids"], [[4, 5, 6, 7, 1, 2, 3, 0], [8, 9, 0, 0, 0, 0, 0, 0]]
  )
  np.testing.assert_array_equal(
      batch["example_ids"], [[1, 1, 1, 1, 2, 2, 2, 0], [1, 1] + [0] * 6]
  )
  np.testing.assert_array_equal(
      batch["position_ids"], [[0, 1, 2, 3, 0, 1, 2, 0], [0, 1] + [0] * 6]
  )
  np.testing.assert_array_equal(
      batch["type_ids"], [[0, 0, 1, 1, 0, 1, 1, 0], [0, 1] + [0] * 6]
  )
  np.testing.assert_array_equal(batch["cls_positions"], [[0, 4, 0], [0, 0, 0]])
  np.testing.assert_array_equal(
      batch["example_weights"], [[1, 1, 0], [1, 0, 0]]
  )
  # Example 0 has no label: it counts as an example, not as a labelled one.
  np.testing.assert_array_equal(batch["label_weights"], [[1, 0, 0], [1, 0, 0]])
  np.testing.assert_array_equal(batch["labels"], [[0, 0, 0], [1, 0, 0]])
  np.testing.assert_array_equal(
      batch["teacher_logits"][..., 0], [[1, 0, 0], [2, 0, 0]]
  )


def _same(one, other):
  for name in one:
    np.testing.assert_array_equal(one[name], other[name])


def test_batches_go_on_where_they_were():
  examples = _examples(np.random.default_rng(1).integers(2, 12, 57))
  shape = packing.shape_for(examples, 8, 16)
  whole = list(itertools.islice(packing.batches(examples, shape, 7, 0), 40))
  for start in (1, 5, 13, 39):
    _same(next(packing.batches(examples, shape, 7, start)), whole[start])


def test_each_pass_has_every_example_in_another_order():
  examples = _examples([4] * 24)
  shape = packing.Shape(3, 8, 2)
  batches = packing.batches(examples, shape, seed=0, start_step=0)

  def one_pass():
    ids = [next(batches)["input_ids"].reshape(-1, 4)[:, 0] for _ in range(4)]
    return np.concatenate(ids).tolist()

  first, second = one_pass(), one_pass()
  assert sorted(first) == sorted(second) == list(range(1, 97, 4))
  assert first != second


# Of sentences, of paragraphs, and of texts that are cut.
KINDS = {"short": (5, 21, 128), "longer": (40, 129, 128), "long": (9, 513, 512)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_size", [14, 16, 32, 57, 256])
def test_the_shape_holds_about_the_batch_size(kind, batch_size):
  low, high, seq_length = KINDS[kind]
  examples = _examples(np.random.default_rng(2).integers(low, high, 3000))
  shape = packing.shape_for(examples, batch_size, seq_length)
  assert examples.lengths.max() <= shape.seq_length <= seq_length
  rows = packing.rows_per_epoch(examples, shape, seed=0)
  count = len(examples) * shape.rows / rows
  assert 0.93 * batch_size < count < 1.07 * batch_size


def test_rows_hold_the_longest_example_however_small_the_batch():
  examples = _examples([3] * 500 + [41])
  shape = packing.shape_for(examples, 1, 128)
  assert (shape.rows, shape.seq_length) == (1, 48)
  batches = packing.batches(examples, shape, seed=0, start_step=0)
  assert max(next(batches)["position_ids"].max() for _ in range(50)) == 40


def test_a_few_long_texts_are_in_rows_of_their_own():
  examples = _examples(np.random.default_rng(0).integers(200, 513, 500))
  shape = packing.shape_for(examples, 3, 512)
  assert (shape.rows, shape.seq_length) == (3, 512)


def test_many_rows_keep_their_length():
  examples = _examples([13] * 500)
  assert packing.shape_for(examples, 250, 128).seq_length == 128


def test_how_full_rows_are_is_not_asked_of_a_handful_of_examples():
  examples = _examples([3, 5, 4])
  assert packing.shape_for(examples, 8, 16).rows == 2


def test_dataset_has_static_shapes_and_the_same_batches():
  examples = _examples([3, 5, 4, 6, 2], teacher=True)
  shape = packing.Shape(2, 8, 3)
  dataset = packing.dataset(examples, shape, 3, 2)
  assert all(spec.shape.is_fully_defined()
             for spec in dataset.element_spec.values())
  _same(
      next(dataset.as_numpy_iterator()),
      next(packing.batches(examples, shape, 3, 2)),
  )


@pytest.mark.parametrize("start_step", [0, 15, 16, 17, 50])
@pytest.mark.parametrize("positions", [10**6, 48, 1])
def test_groups_of_batches_leave_no_trace(monkeypatch, start_step, positions):
  monkeypatch.setattr(packing, "_MOST_POSITIONS", positions)
  examples = _examples(np.random.default_rng(1).integers(2, 8, 70), True)
  labels = np.random.default_rng(2).normal(size=(70, 3)).astype(np.float32)
  labels[::3, 1] = np.nan
  examples = dataclasses.replace(examples, labels=labels)
  shape = packing.Shape(2, 8, 3)
  # Epochs of some 20 batches.
  expected = _one_by_one(examples, shape, 3, start_step)
  made = packing.dataset(examples, shape, 3, start_step).as_numpy_iterator()
  for one, other in itertools.islice(zip(expected, made, strict=False), 45):
    assert set(one) == set(other)
    _same(one, other)


def _one_by_one(examples, shape, seed, start_step):
  """Batches by their definition: rows of one epoch after another."""
  left = []
  for epoch in itertools.count():
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(examples))
    left += packing.pack(examples.lengths, order, shape, generator)
    while len(left) >= shape.rows:
      rows, left = left[: shape.rows], left[shape.rows :]
      if start_step:
        start_step -= 1
      else:
        yield packing.batch(examples, rows, shape)


def test_a_batch_may_have_rows_without_examples():
  examples = _examples([3, 4], teacher=True)
  shape = packing.Shape(3, 8, 2)
  for rows in ([], [[]], [[], [1], []]):
    batch = packing.batch(examples, rows, shape)
    assert batch["input_ids"].sum() == (4 + 5 + 6 + 7 if len(rows) > 1 else 0)
    assert batch["example_weights"].sum() == (len(rows) > 1)
    assert batch["teacher_logits"].shape == (3, 2, 2)


def test_several_labels_are_packed_with_what_is_known_of_them():
  plain = _examples([3, 4])
  labels = np.array([[1, 0, np.nan], [np.nan] * 3], np.float32)
  examples = dataclasses.replace(plain, labels=labels)
  assert examples.is_labelled.tolist() == [True, False]
  batch = packing.batch(examples, [[0, 1]], packing.Shape(1, 8, 2))
  np.testing.assert_array_equal(batch["labels"], [[[1, 0, 0], [0, 0, 0]]])
  np.testing.assert_array_equal(
      batch["label_weights"], [[[1, 1, 0], [0, 0, 0]]]
  )
