"""A window of steps that TensorFlow's profiler looks at."""

from typing import Any

import tensorflow as tf


class Profile:
  """An action of Orbit's that profiles the steps after `first` up to `last`.

  TensorBoard shows what it writes, under Profile.
  """

  def __init__(
      self,
      steps: tuple[int, int] | None,
      directory: str,
      global_step: tf.Variable,
  ):
    """Prepares the window.

    Args:
      steps: The step after which it begins and the one that ends it, or None.
      directory: Of the run's events.
      global_step: Counts updates.
    """
    self._steps = steps
    self._directory = directory
    self._global_step = global_step
    self._running = False
    self({})

  def __call__(self, outputs: dict[str, Any]) -> None:
    """Begins or ends the window where it is time."""
    del outputs
    if self._steps is None:
      return
    first, last = self._steps
    step = int(self._global_step.numpy())
    if self._running and step >= last:
      self.close()
    elif not self._running and first <= step < last:
      tf.profiler.experimental.start(self._directory)
      self._running = True

  def until(self, step: int, steps_per_loop: int) -> int:
    """Returns the updates of the next loop: it ends where the window does."""
    edges = [edge for edge in self._steps or () if edge > step]
    return min([steps_per_loop, *(edge - step for edge in edges)])

  def close(self) -> None:
    """Ends the window if it is open."""
    if self._running:
      self._running = False
      tf.profiler.experimental.stop()
