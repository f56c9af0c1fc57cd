"""Checkpoints: whole or not there, the last two, the chief's."""

import pathlib

import pytest
import tensorflow as tf
from tensorflow.python.checkpoint import checkpoint_management

from pd_tf.config import errors
from pd_tf.training import checkpoints


def _made(directory, is_chief=True):
  step = tf.Variable(0, dtype=tf.int64)
  value = tf.Variable([0.0] * 100)
  saved = tf.train.Checkpoint(step=step, value=value)
  return checkpoints.Checkpoints(directory, saved, step, 5, is_chief), step


def _names(directory):
  return sorted(path.name for path in directory.iterdir())


def test_the_last_two_stay(tmp_path):
  manager, step = _made(tmp_path)
  assert checkpoints.latest_step(tmp_path) == 0
  for number in (5, 7, 10, 15):
    step.assign(number)
    manager.save(int(step))
  assert checkpoints.latest_step(tmp_path) == 15
  assert [name for name in _names(tmp_path) if name.endswith("index")] == [
      "ckpt-10.index", "ckpt-15.index"
  ]
  again, step = _made(tmp_path)
  again.restore_latest()
  assert int(step) == 15


def test_what_a_killed_process_left_goes(tmp_path):
  manager, step = _made(tmp_path)
  step.assign(5)
  manager.save(int(step))
  whole = _names(tmp_path)
  (tmp_path / "ckpt-10_temp").mkdir()
  for name in (
      "ckpt-10_temp/part-00000-of-00001.index", "ckpt-10.data-00000-of-00001",
      "checkpoint.tmp0a1b",
  ):
    (tmp_path / name).write_text("half")
  _made(tmp_path)
  assert _names(tmp_path) == whole


def test_what_a_killed_process_was_deleting_goes(tmp_path, monkeypatch):
  """It is listed until its files are gone, of which the index is first."""
  manager, step = _made(tmp_path)
  for number in (5, 10):
    step.assign(number)
    manager.save(int(step))
  delete = checkpoint_management._delete_file_if_exists

  def killed(pattern):
    if not pattern.endswith(".index"):
      raise KeyboardInterrupt
    delete(pattern)

  monkeypatch.setattr(checkpoint_management, "_delete_file_if_exists", killed)
  step.assign(15)
  with pytest.raises(KeyboardInterrupt):
    manager.save(int(step))
  assert "ckpt-5.index" not in _names(tmp_path)
  assert "ckpt-5.data-00000-of-00001" in _names(tmp_path)
  monkeypatch.undo()
  monkeypatch.chdir(tmp_path.parent)
  again, step = _made(pathlib.Path(tmp_path.name))
  kept = ["ckpt-10", "ckpt-15"]
  assert _names(tmp_path) == ["checkpoint"] + [
      f"{name}.{end}" for name in kept
      for end in ("data-00000-of-00001", "index")
  ]
  moved = tmp_path.rename(tmp_path.with_name("moved"))
  state = tf.train.get_checkpoint_state(str(moved))
  assert list(state.all_model_checkpoint_paths) == [
      str(moved / name) for name in kept
  ]
  again, step = _made(moved)
  again.restore_latest()
  assert int(step) == 15
  step.assign(20)
  again.save(int(step))
  assert [name for name in _names(moved) if name.endswith("index")] == [
      "ckpt-15.index", "ckpt-20.index"
  ]


def test_other_workers_write_nothing_that_stays(tmp_path):
  manager, step = _made(tmp_path, is_chief=False)
  step.assign(5)
  own = manager.save(int(step))
  assert own is not None and not list(tmp_path.iterdir())
  manager.close()
  assert not tf.io.gfile.glob(own + "*")


def test_a_damaged_checkpoint_is_named(tmp_path):
  manager, step = _made(tmp_path)
  step.assign(5)
  path = manager.save(int(step))
  (tmp_path / "ckpt-5.index").write_bytes(b"no index")
  again, _ = _made(tmp_path)
  with pytest.raises(errors.RunError, match=f"^{path}: cannot be restored: "):
    again.restore_latest()


def test_a_failed_write_says_what_is_left(tmp_path, monkeypatch):
  manager, step = _made(tmp_path)
  step.assign(5)
  manager.save(int(step))
  whole = _names(tmp_path)

  def full(*arguments, **more):
    (tmp_path / "ckpt-10.index").write_text("half")
    raise tf.errors.ResourceExhaustedError(None, None, "no space\nmore")

  step.assign(10)
  with monkeypatch.context() as patch:
    patch.setattr(tf.train.CheckpointManager, "save", full)
    with pytest.raises(errors.RunError) as raised:
      manager.save(int(step))
  assert str(raised.value) == (
      f"checkpoint of step 10 cannot be written to {tmp_path}: no space; "
      f"{tmp_path}/ckpt-5 is whole."
  )
  assert _names(tmp_path) == whole
