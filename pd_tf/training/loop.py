"""The outer loop: Orbit's controller with checkpoints, logs, evaluation."""

from collections.abc import Callable
import contextlib
import dataclasses
import io
import math
import pathlib

import orbit
import tensorflow as tf
import tf_keras

from pd_tf.config import errors
from pd_tf.config import train as train_config
from pd_tf.training import log
from pd_tf.training import step as step_lib

Evaluate = Callable[[int], dict[str, float]]


@dataclasses.dataclass(frozen=True)
class Plan:
  """How long a run is and how often it stops to look.

  Attributes:
    train_steps: Updates in all.
    steps_per_loop: Updates in one call of the compiled loop.
    checkpoint_steps: Updates between checkpoints.
    evaluate_steps: Updates between evaluations.
  """

  train_steps: int
  steps_per_loop: int
  checkpoint_steps: int
  evaluate_steps: int


def plan(
    settings: train_config.TrainConfig, steps_per_epoch: float
) -> Plan:
  """Returns the plan of a run.

  Args:
    settings: Give its length in updates or passes.
    steps_per_epoch: Updates of one pass over the data.

  Raises:
    InputError: They give no length, or none above zero.
  """
  train_steps = settings.train_steps
  if train_steps is None:
    if settings.epochs is None:
      raise errors.InputError(
          "train_steps: expected train_steps or epochs to be set, got neither."
      )
    train_steps = math.ceil(settings.epochs * steps_per_epoch)
  if train_steps < 1:
    raise errors.InputError(
        f"train_steps: expected at least 1, got {train_steps}."
    )
  evaluate_steps = settings.evaluate_steps or math.ceil(train_steps / 10)
  return Plan(
      train_steps,
      min(settings.steps_per_loop, evaluate_steps),
      settings.checkpoint_steps,
      evaluate_steps,
  )


class _Evaluator(orbit.AbstractEvaluator):
  """Lets Orbit's controller call a function of the step."""

  def __init__(
      self,
      evaluate: Evaluate,
      global_step: tf.Variable,
      progress: log.ProgressLog,
  ):
    self._evaluate = evaluate
    self._global_step = global_step
    self._progress = progress

  def evaluate(self, num_steps: tf.Tensor) -> dict[str, float]:
    del num_steps  # The whole dev set, each time.
    step = int(self._global_step.numpy())
    self._progress.pause()
    values = self._evaluate(step)
    self._progress.note(step, values)
    self._progress.resume()
    return values


def checkpoints(
    directory: pathlib.Path,
    model: tf_keras.Model,
    optimizer: tf_keras.optimizers.Optimizer,
    plan: Plan,
) -> tf.train.CheckpointManager:
  """Returns the manager of a run's checkpoints, the last two of them kept."""
  return tf.train.CheckpointManager(
      tf.train.Checkpoint(model=model, optimizer=optimizer),
      str(directory),
      max_to_keep=2,
      step_counter=optimizer.iterations,
      checkpoint_interval=plan.checkpoint_steps,
  )


def run(
    trainer: step_lib.Trainer,
    manager: tf.train.CheckpointManager,
    global_step: tf.Variable,
    plan: Plan,
    run_dir: pathlib.Path,
    evaluate: Evaluate | None,
) -> float:
  """Trains from the global step to the end of the plan.

  Args:
    trainer: Makes the updates.
    manager: Its latest checkpoint is already restored.
    global_step: Counts updates.
    plan: Length and intervals.
    run_dir: Gets `metrics.jsonl` and `events/`.
    evaluate: Called with the step at each evaluation, or None.

  Returns:
    Seconds spent in updates, over all processes of the run.

  Raises:
    RunError: A loss was not finite.
  """
  step = int(global_step.numpy())
  metrics = log.MetricsFile(run_dir / "metrics.jsonl", step)
  progress = log.ProgressLog(metrics, global_step, plan.train_steps)
  # Orbit prints a line per loop; the progress bar says the same.
  with (
      contextlib.closing(progress),
      contextlib.redirect_stdout(io.StringIO()),
  ):
    controller = orbit.Controller(
        global_step=global_step,
        trainer=trainer,
        evaluator=evaluate and _Evaluator(evaluate, global_step, progress),
        train_actions=[progress],
        steps_per_loop=plan.steps_per_loop,
        checkpoint_manager=manager,
        summary_interval=plan.steps_per_loop,
        summary_dir=str(run_dir / "events"),
        eval_summary_dir=str(run_dir / "events"),
    )
    if evaluate:
      _train_and_evaluate(controller, plan, step)
    controller.train(plan.train_steps)
  return progress.seconds


def _train_and_evaluate(
    controller: orbit.Controller, plan: Plan, step: int
) -> None:
  """Evaluates at multiples of evaluate_steps and at the end.

  Orbit's own counts from where it starts; then a resumed run would look at
  other steps and might keep another best model than one that was never killed.

  Args:
    controller: Its evaluator looks at the model as it is.
    plan: Length and interval.
    step: Where the run goes on. An evaluation due there is made again: the
      process may have died in it.
  """
  while True:
    if step and (step % plan.evaluate_steps == 0 or step == plan.train_steps):
      controller.evaluate(steps=-1)
    if step == plan.train_steps:
      return
    interval = plan.evaluate_steps
    step = min((step // interval + 1) * interval, plan.train_steps)
    controller.train(step, checkpoint_at_completion=False)
