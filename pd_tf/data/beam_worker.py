"""A worker process of a pipeline on this machine: Beam's own, without noise."""

import os
import signal
import threading
import time

from pd_tf.config import importing

_POLL_SECONDS = 0.5


def end_with_parent() -> None:
  """Ends this process soon after its parent has ended, however that did."""
  parent = os.getppid()

  def watch() -> None:
    while os.getppid() == parent:
      time.sleep(_POLL_SECONDS)
    os._exit(1)

  threading.Thread(target=watch, daemon=True).start()


def main() -> None:
  """Runs a worker, as the environment variables say."""
  end_with_parent()
  # Ctrl-C is for the process that was started; that one ends this.
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
  importing.small()
  from apache_beam.runners.worker import sdk_worker_main

  sdk_worker_main.main([])


if __name__ == "__main__":
  main()
