"""Batches that another host makes are those that this one would make."""

import shutil
import subprocess
import sys

import pytest

# In a network of its own: tf.data's servers listen on every address.
PROGRAM = """
import fcntl
import socket
import struct
import tensorflow as tf
from pd_tf.training import feed

# SIOCGIFFLAGS and SIOCSIFFLAGS with IFF_UP: the loopback is down at first.
with socket.socket() as made:
  request = struct.pack("16sh14x", b"lo", 0)
  flags = struct.unpack("16sh14x", fcntl.ioctl(made, 0x8913, request))[1]
  fcntl.ioctl(made, 0x8914, struct.pack("16sh14x", b"lo", flags | 1))

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
def test_the_batches_are_the_same_and_in_order(tmp_path):
  unshare = shutil.which("unshare")
  assert unshare, "expected unshare of util-linux, found none"
  done = subprocess.run(
      [unshare, "--map-root-user", "--net", sys.executable, "-c", PROGRAM],
      capture_output=True, text=True, check=False, timeout=300,
  )
  assert done.returncode == 0, done.stderr
  assert done.stdout == "the same\n"
