"""Several sides of a measurement, each in a process of its own, asked in turn.

Thread pools, environments and libraries differ from side to side, and so does
the memory at its peak. A side waits idly until it is its turn.
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any

from absl import flags

_MARK = "side: "


class Side:
  """A process that was started and is asked over pipes."""

  def __init__(self, name: str, arguments: Sequence[str]):
    """Starts this script again as `--side=name`; it prepares at once."""
    script = os.path.abspath(sys.argv[0])
    self.name = name
    self._process = subprocess.Popen(
        [sys.executable, script, *arguments, f"--side={name}"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        stderr=None if os.environ.get("SIDES_STDERR") else subprocess.DEVNULL,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip

  def ask(self, count: int) -> Any:
    """Has it run `count` times; returns what `serve` answers."""
    assert self._process.stdin and self._process.stdout
    # A side that has ended may break the pipe or just say nothing.
    with contextlib.suppress(BrokenPipeError):
      self._process.stdin.write(f"{count}\n")
      self._process.stdin.flush()
    for line in self._process.stdout:
      if line.startswith(_MARK):
        return json.loads(line[len(_MARK) :])
    raise RuntimeError(
        f"side {self.name} ended with {self._process.wait()} (-9: most likely "
        "all sides together need more memory than there is); SIDES_STDERR=1 "
        "shows what it says."
    )

  def close(self) -> None:
    """Ends it."""
    assert self._process.stdin
    self._process.stdin.close()
    self._process.wait()


def serve(prepare: Callable[[], Callable[[], Any]]) -> None:
  """Answers what `Side.ask` wants until its input ends.

  Args:
    prepare: Returns what is run; what that returns, JSON, is sent along.
  """
  run, cores = prepare(), len(os.sched_getaffinity(0))
  for line in sys.stdin:
    seconds, own, told = 0.0, 0.0, None
    for _ in range(int(line)):
      start, used = time.perf_counter(), time.process_time()
      told = run()
      seconds = time.perf_counter() - start
      own = (time.process_time() - used) / cores
    answer = {
        "seconds": seconds, "own": own, "told": told,
        "peak_megabytes": peak_megabytes(),
    }
    print(_MARK + json.dumps(answer), flush=True)


def interleaved(
    sides: Sequence[Side], rounds: int, warm: int = 3
) -> dict[str, dict[str, Any]]:
  """Asks all in turn; closes them.

  Returns:
    By name the last answer, `all_told`, what each said, and the medians of
    `seconds`, by the clock, and of `own`, its CPU time divided by the cores:
    what it would take on cores that are always busy with it alone.
  """
  times: dict[str, list[tuple[float, float]]] = {
      side.name: [] for side in sides
  }
  told: dict[str, list[Any]] = {side.name: [] for side in sides}
  last = {side.name: side.ask(warm) for side in sides}
  for _ in range(rounds):
    for side in sides:
      last[side.name] = side.ask(2)
      # The first brings its data back into the caches.
      answer = last[side.name]
      times[side.name].append((answer["seconds"], answer["own"]))
      told[side.name].append(answer["told"])
  for side in sides:
    side.close()
    seconds, own = zip(*times[side.name], strict=True)
    last[side.name]["seconds"] = statistics.median(seconds)
    last[side.name]["own"] = statistics.median(own)
    last[side.name]["all_told"] = told[side.name]
  return last


def compare(
    sides: Sequence[str],
    passed: Sequence[flags.FlagHolder],
    rounds: int,
    columns: Mapping[str, Callable[[dict[str, Any]], str]],
    parts: int = 1,
    work: Callable[[dict[str, Any]], float] = lambda answer: 1.0,
    warm: int = 3,
) -> None:
  """Prints a line for each side, then how much faster pd_tf's are.

  Args:
    sides: Names; those of pd_tf begin with it.
    passed: Flags of this process that the sides get.
    rounds: How often each is asked.
    columns: Further ones of the table, made from what `interleaved` tells.
    parts: Of a run, whose time is printed.
    work: What a side did in a run, if it is not the same for all.
    warm: Runs of each before the first that counts.
  """
  serialized = [flags.FLAGS[flag.name].serialize() for flag in passed]
  told = interleaved(
      [Side(name, serialized) for name in sides], rounds, warm
  )
  head = ["side", "ms", "CPU time / cores, ms", *columns, "peak, MB"]
  print(f"| {' | '.join(head)} |")
  print("|---|" + "---:|" * (len(head) - 1))
  for name, answer in told.items():
    cells = [
        name, f"{1e3 * answer['seconds'] / parts:.1f}",
        f"{1e3 * answer['own'] / parts:.1f}",
        *(column(answer) for column in columns.values()),
        f"{answer['peak_megabytes']:.0f}",
    ]  # fmt: skip
    print(f"| {' | '.join(cells)} |")
  for mine in (name for name in sides if name.startswith("pd_tf")):
    for name in (name for name in sides if not name.startswith("pd_tf")):
      clock, own = (
          work(told[mine]) / told[mine][which]
          * told[name][which] / work(told[name])
          for which in ("seconds", "own")
      )
      print(f"{mine} / {name}: {clock:.2f}, of CPU time {own:.2f}")


def set_precision(name: str) -> None:
  """Sets that of a Keras model of others.

  Args:
    name: Of a policy of Keras; or auto_bfloat16, with which TensorFlow itself
      has oneDNN compute in bfloat16 what it holds to be safe.
  """
  import tensorflow as tf
  import tf_keras

  if name == "auto_bfloat16":
    tf.config.optimizer.set_experimental_options(
        {"auto_mixed_precision_onednn_bfloat16": True}
    )
  else:
    tf_keras.mixed_precision.set_global_policy(name)


def peak_megabytes() -> float:
  """Returns the largest resident set that this process had (Linux)."""
  with open("/proc/self/status", encoding="ascii") as status:
    for line in status:
      if line.startswith("VmHWM:"):
        return int(line.split()[1]) / 1024
  raise RuntimeError("/proc/self/status has no VmHWM.")
