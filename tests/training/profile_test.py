"""The window of steps that is profiled."""

import pytest
import tensorflow as tf

from pd_tf.training import profile


@pytest.fixture(name="calls")
def calls_fixture(monkeypatch):
  calls = []
  profiler = tf.profiler.experimental
  monkeypatch.setattr(profiler, "start", lambda to: calls.append(("start", to)))
  monkeypatch.setattr(profiler, "stop", lambda: calls.append("stop"))
  return calls


def run(steps, steps_per_loop, end):
  """Returns the steps at which loops end."""
  step = tf.Variable(0, dtype=tf.int64)
  action = profile.Profile(steps, "events", step)
  ends = []
  while int(step) < end:
    step.assign_add(action.until(int(step), steps_per_loop))
    ends.append(int(step))
    action({})
  action.close()
  return ends


def test_loops_end_where_the_window_does(calls):
  assert run((10, 13), 4, 18) == [4, 8, 10, 13, 17, 21]
  assert calls == [("start", "events"), "stop"]


def test_from_the_first_step_and_past_the_end(calls):
  assert run((0, 100), 4, 8) == [4, 8]
  assert calls == [("start", "events"), "stop"]


def test_without_a_window_nothing_is_profiled(calls):
  assert run(None, 4, 8) == [4, 8]
  assert calls == []
