"""Ends a run well when the machine is taken away."""

from collections.abc import Iterator
import contextlib
import os
import signal
import socket
import threading

import tensorflow as tf

# What spot machines, Slurm and Kubernetes send before they kill, and Ctrl-C.
SIGNALS = (signal.SIGTERM, signal.SIGINT)

_END = b"\0"


class Stop:
  """Whether the run was asked to end.

  Attributes:
    signal: The first signal that came, or None.
  """

  def __init__(self) -> None:
    self.signal: signal.Signals | None = None


@contextlib.contextmanager
def asked(flag: tf.Variable) -> Iterator[Stop]:
  """Sets a variable when a signal asks to stop, instead of ending the process.

  Handlers of Python's run between two calls of the compiled loop, which may be
  minutes apart. Its C code writes the signal's number to a socket at once,
  where a thread waits for it. A second signal ends the process there and then.

  Args:
    flag: Bool; the compiled loop looks at it after each update.

  Yields:
    Says whether and which signal came. Outside of the main thread, where
    signals are not ours to take, none does.
  """
  stop = Stop()
  if threading.current_thread() is not threading.main_thread():
    yield stop
    return
  reader, writer = socket.socketpair()
  writer.setblocking(False)
  waiter = threading.Thread(
      target=_wait, args=(reader, flag, stop), daemon=True
  )
  waiter.start()
  fd_before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
  before = {
      number: signal.signal(number, _leave_to_the_thread) for number in SIGNALS
  }
  try:
    yield stop
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)
    signal.set_wakeup_fd(fd_before)
    writer.sendall(_END)
    waiter.join()
    reader.close()
    writer.close()


def _leave_to_the_thread(number: int, frame: object) -> None:
  del number, frame


def _wait(reader: socket.socket, flag: tf.Variable, stop: Stop) -> None:
  while (received := reader.recv(1)) != _END:
    number = signal.Signals(received[0])
    # Others, a child's end for one, write their numbers too.
    if number not in SIGNALS:
      continue
    if stop.signal is not None:
      os._exit(128 + number)
    stop.signal = number
    flag.assign(True)
