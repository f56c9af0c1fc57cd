"""Whether operations run whole is decided by the size of an update."""

import pytest

from pd_tf.training import threads


@pytest.fixture
def told(monkeypatch):
  """What TensorFlow is told, as if it had not started in this process."""
  told = []
  threading = threads.tf.config.threading
  monkeypatch.setattr(
      threading, "get_intra_op_parallelism_threads",
      lambda: told[-1] if told else 0,
  )
  monkeypatch.setattr(
      threading, "set_intra_op_parallelism_threads", told.append
  )
  monkeypatch.delenv(threads.VARIABLE, raising=False)
  return told


def test_up_to_the_limit_operations_run_whole(told):
  assert threads.run_whole(threads.WHOLE_NUMBERS / 128, 128)
  assert told == [1]


def test_above_the_limit_they_are_split(told):
  assert not threads.run_whole(threads.WHOLE_NUMBERS / 128 + 1, 128)
  assert told == []


def test_the_limit_lies_between_what_gained_and_what_did_not():
  assert 448 * 128 < threads.WHOLE_NUMBERS < 896 * 128


def test_wide_layers_are_split_however_few_the_tokens(told):
  assert threads.run_whole(16, 256)
  assert not threads.run_whole(16, 512)
  assert told == [1]


@pytest.mark.parametrize("value", ["1", "2"])
def test_the_environment_goes_before_it(told, monkeypatch, value):
  monkeypatch.setenv(threads.VARIABLE, value)
  assert not threads.run_whole(1, 128)
  assert told == []


def test_what_tensorflow_was_told_before_stays(told):
  told.append(3)
  assert not threads.run_whole(1, 128)
  assert told == [3]


def test_a_tensorflow_that_has_started_is_left_alone(monkeypatch, told):
  def refuse(number):
    raise RuntimeError("cannot be modified after initialization")

  monkeypatch.setattr(
      threads.tf.config.threading, "set_intra_op_parallelism_threads", refuse
  )
  assert not threads.run_whole(1, 128)


def test_tensorflow_refuses_once_it_has_started():
  threads.tf.constant(1) + 1
  with pytest.raises(RuntimeError):
    threads.tf.config.threading.set_intra_op_parallelism_threads(3)
