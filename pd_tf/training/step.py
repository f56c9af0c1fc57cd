"""Many updates inside one compiled loop."""

from collections.abc import Iterator
import ctypes
from typing import Any

import orbit
import tensorflow as tf

from pd_tf.config import errors
from pd_tf.training import optimizer as optimizer_lib
from pd_tf.training import update as update_lib


class Stopped(Exception):
  """The loop ended early because it was told to."""


class Trainer(orbit.AbstractTrainer):
  """Runs updates; Orbit's controller calls `train` with how many.

  Attributes:
    num_traces: How often the loop was traced; more than once is a defect.
    waiting_seconds: Seconds of the last call in which the input was waited for.
    stop: Bool; set by another thread, it ends the loop after its update.
  """

  def __init__(
      self,
      strategy: tf.distribute.Strategy,
      iterator: Iterator,
      update: update_lib.Update,
      variables: list[tf.Variable],
      optimizer: optimizer_lib.Optimizer,
      data: str = "the data",
      stop: tf.Variable | None = None,
  ):
    """Prepares the loop; nothing is compiled before the first call.

    Args:
      strategy: Where it runs.
      iterator: Over distributed batches of static shapes.
      update: Makes an update from a batch.
      variables: What is trained.
      optimizer: Its `iterations` is the global step.
      data: Names what batches are made of, for messages.
      stop: Bool, on the CPU: that of other trainers of the run; None for one
        of its own.
    """
    _require_static(iterator)
    self._strategy = strategy
    self._iterator = iterator
    # It has no Python loops or branches over tensors to be converted, and
    # conversion takes most of the time of tracing.
    self._update = tf.autograph.experimental.do_not_convert(update.__call__)
    self._settle = tf.autograph.experimental.do_not_convert(update.settle)
    self._optimizer = optimizer
    self._data = data
    self.num_traces = 0
    self.waiting_seconds = 0.0
    # A worker's own, on its CPU, so that its signals reach it.
    with tf.device("CPU:0"):
      self.stop = (
          tf.Variable(False, trainable=False, name="stop")
          if stop is None else stop
      )
    with strategy.scope():
      optimizer_lib.make_slots(optimizer, variables)
    # One function, called from the loop: written twice, once before the loop to
    # make its accumulators, it would be traced, optimized and kept twice.
    self._step = tf.function(self._timed_step)
    self._loop = tf.function(self._run_loop)
    _give_back()

  def train(self, num_steps: tf.Tensor) -> dict[str, tf.Tensor]:
    """Runs `num_steps` updates.

    Returns:
      Scalars, Float32: means over the updates, sums of counts, peaks.

    Raises:
      RunError: A loss or a gradient was not finite.
      Stopped: It was told to stop, and did after an update.
    """
    traces = self.num_traces
    sums, weights, peaks, finite, stopping, waiting = self._loop(
        self._iterator, num_steps
    )
    if self.num_traces > traces:
      _give_back()
    step = int(self._optimizer.iterations.numpy())
    self.waiting_seconds = float(waiting)
    means = {
        name: sums[name] / tf.maximum(weights[name], update_lib.LEAST_WEIGHT)
        for name in sums
        if float(weights[name])  # Else there was nothing to take a mean of.
    }
    if not bool(finite):
      raise errors.RunError(
          f"loss or gradient is not finite at step {step} "
          f"({_listed({**means, **peaks})}), in batch {step} of {self._data}; "
          "the last checkpoint is good. Try a smaller optimizer.learning_rate."
      )
    if bool(stopping):
      raise Stopped
    return {**means, **peaks}

  def _run_loop(self, iterator: Iterator, num_steps: tf.Tensor):
    self.num_traces += 1
    traced = self._step.get_concrete_function(iterator)
    nothing, waiting = tf.nest.map_structure(
        lambda made: tf.zeros(made.shape, made.dtype), traced.structured_outputs
    )
    sums, weights = nothing.sums, nothing.weights
    peaks = {name: value - float("inf") for name, value in _peaks(sums).items()}
    finite, stopping = tf.constant(True), nothing.stopping
    done = tf.constant(0)
    while (done < num_steps) & finite & tf.logical_not(stopping):
      now, waited = self._step(iterator)
      finite, stopping = now.finite, now.stopping
      sums = {name: sums[name] + now.sums[name] for name in sums}
      weights = {name: weights[name] + now.weights[name] for name in weights}
      latest = _peaks(now.sums)
      peaks = {name: tf.maximum(peaks[name], latest[name]) for name in peaks}
      waiting += waited
      done += 1
    self._settle()
    return sums, weights, peaks, finite, stopping, waiting

  def _timed_step(self, iterator: Iterator):
    """Makes an update; returns its sums, and the seconds of waiting for it."""
    started = tf.timestamp()
    with tf.control_dependencies([started]):
      batch = next(iterator)
    with tf.control_dependencies(_local_tensors(self._strategy, batch)):
      waited = tf.timestamp() - started
    # Every replica returns the same: what they have is summed inside.
    outputs = self._strategy.run(self._update, args=(batch, self.stop.value()))
    return tf.nest.map_structure(
        lambda value: self._strategy.experimental_local_results(value)[0],
        outputs,
    ), waited


def _give_back() -> None:
  """Returns to the system what building and compiling left free.

  glibc would keep it in its heaps, which updates do not use: their tensors are
  of TensorFlow's allocator.
  """
  trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
  if trim is not None:
    trim(0)


def _peaks(sums: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
  """Returns what a mean over many updates would hide."""
  return {
      "loss_max": sums["loss"], "gradient_norm_max": sums["gradient_norm"]
  }


def _local_tensors(strategy: tf.distribute.Strategy, batch: Any) -> list[Any]:
  return [
      tensor
      for value in tf.nest.flatten(batch)
      for tensor in strategy.experimental_local_results(value)
  ]


def _require_static(iterator: Any) -> None:
  """Raises InputError unless all batches have one shape."""
  for spec in tf.nest.flatten(
      iterator.element_spec, expand_composites=True
  ):
    if not spec.shape.is_fully_defined():
      raise errors.InputError(
          f"batch: expected tensors of static shape, got {spec.shape} for "
          f"{spec.name or 'one of them'}; each new shape would be compiled."
      )


def _listed(values: dict[str, tf.Tensor]) -> str:
  return ", ".join(
      f"{name} {float(value):.4g}"
      for name, value in values.items()
      if name != "learning_rate"
  )
