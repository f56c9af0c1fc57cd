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


@pytest.fixture
def cores(monkeypatch):
  """Says how many cores the process may use."""

  def have(number):
    monkeypatch.setattr(
        threads.os, "sched_getaffinity", lambda _: set(range(number))
    )

  return have


LIMITS = [
    (1, threads.WHOLE_NUMBERS_OF_TWO_CORES),
    (2, threads.WHOLE_NUMBERS_OF_TWO_CORES),
    (3, threads.WHOLE_NUMBERS),
    (64, threads.WHOLE_NUMBERS),
]


@pytest.mark.parametrize("number,limit", LIMITS)
def test_up_to_the_limit_operations_run_whole(told, cores, number, limit):
  cores(number)
  assert threads.run_whole(limit / 128, 128)
  assert told == [1]


@pytest.mark.parametrize("number,limit", LIMITS)
def test_above_the_limit_they_are_split(told, cores, number, limit):
  cores(number)
  assert not threads.run_whole(limit / 128 + 1, 128)
  assert told == []


def test_the_limits_lie_where_it_was_measured():
  # Operations on the whole batch: an update of 32 sentences gains, of 64 not.
  assert 448 * 128 < threads.WHOLE_NUMBERS < 896 * 128
  # On halves, 128 sentences of the wider model and 256 of the narrower gain.
  assert threads.WHOLE_NUMBERS_OF_TWO_CORES > 256 * 1.1 * 13.1 * 128


@pytest.mark.parametrize("number,parts", [(1, 1), (2, 2), (8, 2)])
def test_where_operations_run_whole_a_batch_is_in_halves(
    told, cores, number, parts
):
  cores(number)
  assert threads.parts() == 1
  assert threads.run_whole(1, 128)
  assert threads.parts() == parts


@pytest.mark.parametrize("value,parts", [("1", 2), ("2", 1)])
def test_so_it_is_if_the_environment_says_whole(
    told, cores, monkeypatch, value, parts
):
  cores(2)
  monkeypatch.setenv(threads.VARIABLE, value)
  assert threads.parts() == parts


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
