"""What a run that goes on needs: written whole or not at all."""

import pathlib
import shutil
import tempfile

import tensorflow as tf

from pd_tf.config import errors

# With the one that is being written there are three for a moment.
_KEPT = 2


def latest_step(directory: pathlib.Path) -> int:
  """Returns the step of the latest checkpoint, 0 if there is none."""
  latest = tf.train.latest_checkpoint(str(directory))
  return int(latest.rpartition("-")[2]) if latest else 0


class Checkpoints(tf.train.CheckpointManager):
  """The last two checkpoints of a run."""

  def __init__(
      self,
      directory: pathlib.Path,
      checkpoint: tf.train.Checkpoint,
      global_step: tf.Variable,
      checkpoint_steps: int,
      is_chief: bool,
  ):
    """Finds the checkpoints that are there.

    Args:
      directory: Of the run's checkpoints, which all workers can read.
      checkpoint: What is saved.
      global_step: Counts updates.
      checkpoint_steps: Updates between checkpoints.
      is_chief: Whether this worker's are the ones that stay. All must write,
        as their variables are summed in the writing; the others' are dropped.
    """
    self._shared = directory
    self._own = directory
    if not is_chief:
      self._own = pathlib.Path(tempfile.mkdtemp(prefix="pd_tf_worker_"))
    _forget_half_deleted(self._own)
    super().__init__(
        checkpoint, str(self._own), max_to_keep=_KEPT,
        step_counter=global_step, checkpoint_interval=checkpoint_steps,
    )
    self._global_step = global_step
    # Of a process that was killed while it wrote.
    self._drop_leftovers()

  def restore_latest(self) -> None:
    """Restores the chief's latest checkpoint, if there is one.

    Raises:
      RunError: It does not fit the run, or is damaged.
    """
    latest = tf.train.latest_checkpoint(str(self._shared))
    if latest is None:
      return
    try:
      status = self.checkpoint.restore(latest)
      status.assert_existing_objects_matched()
    except (tf.errors.OpError, ValueError, AssertionError) as error:
      reason = str(error).splitlines()[0]
      raise errors.RunError(
          f"{latest}: cannot be restored: {reason}"
      ) from None

  def save(
      self,
      checkpoint_number: int | None = None,
      check_interval: bool = True,
      options: tf.train.CheckpointOptions | None = None,
  ) -> str | None:
    """Writes a checkpoint, if it is time; the base class says more.

    Raises:
      RunError: It cannot be written; the one before is whole.
    """
    try:
      return super().save(checkpoint_number, check_interval, options)
    except (tf.errors.UnavailableError, tf.errors.AbortedError):
      # Of another worker's, not of this file system.
      raise
    except (tf.errors.OpError, OSError) as error:
      self._drop_leftovers()
      raise errors.RunError(self._not_written(error)) from None

  def close(self) -> None:
    """Drops what a worker other than the chief has written."""
    if self._own != self._shared:
      shutil.rmtree(self._own, ignore_errors=True)

  def _drop_leftovers(self) -> None:
    whole = {pathlib.Path(path).name for path in self.checkpoints}
    # TensorFlow writes checkpoint.tmpHEX, ckpt-N_temp/, then ckpt-N.*.
    for path in self._own.glob("checkpoint.tmp*"):
      path.unlink(missing_ok=True)
    for path in self._own.glob("ckpt-*"):
      if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
      elif path.name.partition(".")[0] not in whole:
        path.unlink(missing_ok=True)

  def _not_written(self, error: Exception) -> str:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    latest = self.latest_checkpoint
    left = f"{latest} is whole" if latest else "there is none before it"
    return (
        f"checkpoint of step {int(self._global_step.numpy())} cannot be "
        f"written to {self._own}: {reason}; {left}."
    )


def _forget_half_deleted(directory: pathlib.Path) -> None:
  """Has the state no longer list what a killed process was deleting.

  TensorFlow lists a checkpoint until its files are gone, the index first.
  """
  # Absolute, as names would be taken to be of the current directory.
  folder = str(directory.absolute())
  state = tf.train.get_checkpoint_state(folder)
  if state is None:
    return
  listed = zip(
      state.all_model_checkpoint_paths, state.all_model_checkpoint_timestamps,
      strict=True,
  )  # fmt: skip
  kept = [
      (pathlib.Path(path).name, timestamp)
      for path, timestamp in listed
      if pathlib.Path(f"{path}.index").exists()
      or path == state.model_checkpoint_path
  ]
  if kept and len(kept) < len(state.all_model_checkpoint_paths):
    names, timestamps = zip(*kept, strict=True)
    tf.compat.v1.train.update_checkpoint_state(
        folder, names[-1], list(names), None, list(timestamps),
        state.last_preserved_timestamp,
    )
