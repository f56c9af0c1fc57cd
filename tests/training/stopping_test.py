"""Signals set a flag at once, also while Python has no turn."""

import os
import signal
import time

import pytest
import tensorflow as tf

from pd_tf.training import stopping


def _wait_until_set(flag):
  end = time.monotonic() + 60
  while not bool(flag) and time.monotonic() < end:
    time.sleep(0.01)
  assert bool(flag)


@pytest.mark.parametrize("number", stopping.SIGNALS)
def test_a_signal_sets_the_flag(number):
  flag = tf.Variable(False)
  before = signal.getsignal(number)
  with stopping.asked(flag) as stop:
    assert (stop.signal, bool(flag)) == (None, False)
    os.kill(os.getpid(), number)
    _wait_until_set(flag)
  assert stop.signal == number
  assert signal.getsignal(number) == before


def test_other_signals_are_not_meant():
  flag = tf.Variable(False)
  before = signal.signal(signal.SIGUSR1, lambda number, frame: None)
  try:
    with stopping.asked(flag) as stop:
      os.kill(os.getpid(), signal.SIGUSR1)
      os.kill(os.getpid(), signal.SIGTERM)
      _wait_until_set(flag)
    assert stop.signal == signal.SIGTERM
  finally:
    signal.signal(signal.SIGUSR1, before)


def test_nothing_is_left_behind():
  before = signal.set_wakeup_fd(-1)
  signal.set_wakeup_fd(before)
  with stopping.asked(tf.Variable(False)):
    pass
  after = signal.set_wakeup_fd(before)
  assert after == before
