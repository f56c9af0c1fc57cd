"""Batches that another host makes are those that this one would make."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import tensorflow as tf
from pd_tf.training import feed

service = tf.data.experimental.service
dispatcher = service.DispatchServer(service.DispatcherConfig(port=0))
address = dispatcher.target.split("://")[1]
worker = service.WorkerServer(service.WorkerConfig(dispatcher_address=address))

def dataset():
  return tf.data.Dataset.counter(3).map(
      lambda step: {"x": tf.random.stateless_uniform([6, 2], [1, step])}
  )

strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
here = feed.distributed(strategy, dataset, 4)
there = feed.distributed(strategy, dataset, 4, dispatcher.target)
for _ in range(40):
  one, other = next(here)["x"], next(there)["x"]
  assert one.shape == (8, 2)
  tf.debugging.assert_equal(one, other)
print("the same")
"""


@pytest.mark.slow
def test_the_batches_are_the_same_and_in_order(own_network):
  done = subprocess.run(
      [*own_network, sys.executable, "-c", PROGRAM],
      capture_output=True, text=True, check=False, timeout=300,
      env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
  )
  assert done.returncode == 0, done.stderr
  assert done.stdout == "the same\n"
