"""Answers of a model in training do not depend on threads."""

import threading

import numpy as np
import pytest

from pd_tf import predictor as predictor_lib
from pd_tf.config import encoder
from pd_tf.data import examples as examples_lib
from pd_tf.modeling import bert

CONFIG = encoder.EncoderConfig(
    num_layers=2, hidden_size=32, head_size=8, vocab_size=50, max_positions=64
)


@pytest.fixture(scope="module")
def model():
  return bert.build(CONFIG, pretraining_heads=False, num_outputs=3)


@pytest.fixture(scope="module")
def examples():
  draw = np.random.default_rng(0)
  lengths = draw.integers(3, 60, 200)
  return examples_lib.Examples(
      draw.integers(5, 50, lengths.sum()).astype(np.int32),
      np.concatenate([[0], np.cumsum(lengths)]),
      lengths.astype(np.int32), np.full(200, -1, np.int32),
  )


def test_batches_at_a_time_give_the_same_logits(model, examples):
  one = predictor_lib.Predictor(model, 512).logits(examples)
  assert len(np.unique(one, axis=0)) == len(examples)
  several = predictor_lib.Predictor(model, 512, threads=3)
  for _ in range(3):
    np.testing.assert_array_equal(several.logits(examples), one)


def test_a_model_that_has_moved_gives_others(model, examples):
  predictor = predictor_lib.Predictor(model, 512, threads=3)
  before = predictor.logits(examples)
  bias = model.trainable_variables[-1]
  bias.assign_add(np.ones_like(bias.numpy()))
  assert (predictor.logits(examples) != before).any()


@pytest.mark.parametrize("threads, batch_tokens, expected", [
    (1, 512, 1), (3, 512, 3), (64, 2048, 4), (3, 10**6, 1),
])
def test_there_are_no_more_threads_than_batches(
    model, examples, monkeypatch, threads, batch_tokens, expected
):
  seen, pools = set(), []
  pack = predictor_lib.packing.batch
  pool = predictor_lib.futures.ThreadPoolExecutor

  def batch(*arguments):
    seen.add(threading.current_thread())
    return pack(*arguments)

  def counted(number):
    pools.append(number)
    return pool(number)

  monkeypatch.setattr(predictor_lib.packing, "batch", batch)
  monkeypatch.setattr(predictor_lib.futures, "ThreadPoolExecutor", counted)
  predictor_lib.Predictor(model, batch_tokens, threads).logits(examples)
  assert pools == ([] if expected == 1 else [expected])
  if expected == 1:
    assert seen == {threading.current_thread()}
  else:
    assert threading.current_thread() not in seen


def test_no_examples_have_no_logits(model, examples):
  none = examples.take(np.zeros(0, int))
  predictor = predictor_lib.Predictor(model, threads=3)
  assert predictor.logits(none).shape == (0, 3)


@pytest.mark.parametrize("cores", [1, 2, 6, 64])
def test_more_cores_do_not_need_more_memory(model, monkeypatch, cores):
  made = []
  monkeypatch.setattr(
      predictor_lib.os, "sched_getaffinity", lambda _: set(range(cores))
  )
  monkeypatch.setattr(
      predictor_lib, "Predictor", lambda *arguments: made.append(arguments)
  )
  predictor_lib.over_cores(model)
  [(_, batch_tokens, threads)] = made
  assert threads == min(cores, 8)
  assert 4096 < batch_tokens * threads <= 8192
