"""metrics.jsonl and the progress line."""

from collections.abc import Callable
import json
import math
import pathlib
import sys
import time
from typing import Any

import tensorflow as tf
import tqdm

# Between two lines of a log that is no terminal.
LOG_SECONDS = 10.0


class MetricsFile:
  """One JSON line per logged step; a resumed run goes on where it was.

  Attributes:
    seconds_before: Seconds of training that the kept lines stand for.
  """

  def __init__(self, path: pathlib.Path, step: int):
    """Opens the file and drops what was logged after `step`.

    An evaluation at `step` itself is dropped too: it is made again.
    """
    kept = []
    if path.exists():
      # The last line may be cut: the process may have died while writing.
      for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n") and _is_before(json.loads(line), step):
          kept.append(line)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text("".join(kept), encoding="utf-8")
    temporary.replace(path)
    self._file = open(path, "a", encoding="utf-8")
    seconds = [json.loads(line).get("seconds", 0.0) for line in kept]
    self.seconds_before = max(seconds, default=0.0)

  def write(self, step: int, values: dict[str, Any]) -> None:
    """Appends a line; values are rounded to six digits."""
    line: dict[str, float] = {"step": step}
    for name, value in values.items():
      line[name] = float(f"{float(value):.6g}")
    self._file.write(json.dumps(line) + "\n")
    self._file.flush()

  def close(self) -> None:
    """Closes the file."""
    self._file.close()


def _is_before(line: dict[str, Any], step: int) -> bool:
  if line["step"] == step:
    return not any(name.startswith("dev_") for name in line)
  return line["step"] < step


class ProgressLog:
  """An action of Orbit's: a progress line and a line of metrics.jsonl.

  On a terminal it is one line that moves; in a log, a line now and then.

  Attributes:
    seconds: Seconds in updates, over all processes of the run.
  """

  def __init__(
      self,
      metrics: MetricsFile,
      global_step: tf.Variable,
      train_steps: int,
      waiting_seconds: Callable[[], float],
  ):
    """Begins at the step where the run is.

    Args:
      metrics: Where the lines go.
      global_step: Counts updates.
      train_steps: Updates of the run.
      waiting_seconds: Of the last loop, in which the input was waited for.
    """
    self._metrics = metrics
    self._global_step = global_step
    self._train_steps = train_steps
    self._waiting_seconds = waiting_seconds
    self._first_step = self._step = int(global_step.numpy())
    self._time = time.perf_counter()
    self._first_seconds = self.seconds = metrics.seconds_before
    self._said = 0.0
    self._bar = tqdm.tqdm(
        total=train_steps, initial=self._step, unit="step", desc="train",
        dynamic_ncols=True, smoothing=0.1, disable=not sys.stderr.isatty(),
    )

  def __call__(self, outputs: dict[str, tf.Tensor]) -> None:
    """Logs the means over the updates since the last call."""
    step, now = int(self._global_step.numpy()), time.perf_counter()
    updates, seconds = step - self._step, now - self._time
    self._step, self._time = step, now
    self.seconds += seconds
    values = {name: float(value) for name, value in outputs.items()}
    values["seconds"] = self.seconds
    for count in ("examples", "tokens"):
      values[f"{count}_per_second"] = values[count] * updates / seconds
    values["waiting_share"] = min(1.0, self._waiting_seconds() / seconds)
    self._metrics.write(step, values)
    self._show(step, updates, values)

  def pause(self) -> None:
    """Leaves out what follows from the speed; `resume` ends it."""
    self._paused = time.perf_counter()

  def resume(self) -> None:
    """Ends a pause."""
    self._time += time.perf_counter() - self._paused

  def note(self, step: int, values: dict[str, float]) -> None:
    """Logs an evaluation."""
    numbers = {
        f"dev_{name}": value
        for name, value in values.items()
        if math.isfinite(value)
    }
    self._metrics.write(step, numbers)
    text = ", ".join(f"{name} {value:.4f}" for name, value in numbers.items())
    self._bar.write(f"step {step}: {text}", file=sys.stderr)

  def close(self) -> None:
    """Ends the bar and the file."""
    self._bar.close()
    self._metrics.close()

  def _show(self, step: int, updates: int, values: dict[str, float]) -> None:
    text = _summary(values)
    if not self._bar.disable:
      self._bar.set_postfix_str(text, refresh=False)
      self._bar.update(updates)
    elif self._time - self._said >= LOG_SECONDS or step == self._train_steps:
      self._said = self._time
      done = step - self._first_step
      left = (self.seconds - self._first_seconds) / done * (
          self._train_steps - step
      )
      print(
          f"step {step}/{self._train_steps}: {text}, "
          f"{tqdm.tqdm.format_interval(left)} left",
          file=sys.stderr, flush=True,
      )  # fmt: skip


def _summary(values: dict[str, float]) -> str:
  """Returns loss, metrics, speed and waiting in a few words."""
  metrics = [
      f"{name} {value:.4f}"
      for name, value in values.items()
      if name.endswith(("accuracy", "agreement"))
  ]
  return ", ".join([
      f"loss {values['loss']:.4f}",
      *metrics,
      f"{values['examples_per_second']:.0f} examples/s",
      f"{values['tokens_per_second']:.0f} tokens/s",
      f"input {values['waiting_share']:.0%}",
  ])
