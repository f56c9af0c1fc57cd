"""Kills, signals, a full disk, a second trainer, changed settings."""

from collections.abc import Iterator
import contextlib
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from pd_tf.config import lock
from pd_tf.formats import release

# For what takes seconds on an idle machine.
PATIENCE_SECONDS = 240
KILLS = 20
TRY_AGAIN = 75

# Imports TensorFlow once and forks, before it does anything, a process for
# each command line that it reads; says which, and later how it ended.
DRIVER = """
import json, os, resource, signal, sys
from pd_tf import cli, train
for line in sys.stdin:
  order = json.loads(line)
  if "arguments" not in order:
    pid, status = os.waitpid(order["pid"], os.WNOHANG)
    code = os.waitstatus_to_exitcode(status) if pid else None
    print(json.dumps(code), flush=True)
    continue
  pid = os.fork()
  if not pid:
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if order["file_bytes"]:
      # Without this a file that grows too large ends the process.
      signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
      resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_bytes"],) * 2)
    sys.exit(cli.main(order["arguments"]))
  print(pid, flush=True)
"""


class Driver:
  """Starts command lines of pd-tf without the seconds of an import."""

  def __init__(self, process: subprocess.Popen, tiny: pathlib.Path):
    self._process = process
    self.tiny = tiny
    # Not yet seen to have ended.
    self.left: set[int] = set()

  def ask(self, **order):
    """Returns what the driver says to an order."""
    assert self._process.stdin and self._process.stdout
    self._process.stdin.write(json.dumps(order) + "\n")
    self._process.stdin.flush()
    return json.loads(self._process.stdout.readline())

  def start(self, run_dir: pathlib.Path, *flags: str, file_bytes=None) -> "Run":
    """Starts `pd-tf train`."""
    log = run_dir.parent / f"{run_dir.name}.log"
    pid = self.ask(
        arguments=[
            "train", f"--config={self.tiny}/config.yaml",
            f"--run_dir={run_dir}", *flags,
        ],
        log=str(log), file_bytes=file_bytes,
    )
    self.left.add(pid)
    return Run(self, pid, log)

  def finish(self, run_dir: pathlib.Path, *flags: str) -> None:
    """Runs `pd-tf train` to its end."""
    self.start(run_dir, *flags).require(0)


class Run:
  """A process of `pd-tf train`."""

  def __init__(self, driver: Driver, pid: int, log: pathlib.Path):
    self.pid = pid
    self._driver = driver
    self._log = log
    self._code: int | None = None

  @property
  def said(self) -> str:
    return self._log.read_text(encoding="utf-8", errors="replace")

  @property
  def code(self) -> int | None:
    """The exit code, below 0 for a signal; None while it runs."""
    if self._code is None:
      self._code = self._driver.ask(pid=self.pid)
      if self._code is not None:
        self._driver.left.discard(self.pid)
    return self._code

  def send(self, number: signal.Signals) -> None:
    # Not after it was waited for: its number may be another's by then.
    if self.code is None:
      os.kill(self.pid, number)

  def wait(self, seconds: float = PATIENCE_SECONDS) -> int | None:
    """Returns the exit code, None if it has not ended in time."""
    end = time.monotonic() + seconds
    while self.code is None and time.monotonic() < end:
      time.sleep(0.02)
    return self.code

  def require(self, code: int, words: str = "") -> None:
    """Fails unless it ends with this exit code, and a line with these words."""
    ended = self.wait()
    assert ended == code, self.said
    lines = [
        line for line in self.said.splitlines() if line.startswith("pd-tf ")
    ]
    assert len(lines) == (code != 0), self.said
    assert code == 0 or words in lines[0], self.said

  def wait_for(self, path: pathlib.Path) -> None:
    """Waits until a file is there."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not path.exists():
      assert self.code is None and time.monotonic() < end, self.said
      time.sleep(0.02)


@pytest.fixture(scope="module")
def driver(tiny) -> Iterator[Driver]:
  with subprocess.Popen(
      [sys.executable, "-c", DRIVER], stdin=subprocess.PIPE,
      stdout=subprocess.PIPE, text=True,
      env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
  ) as process:
    made = Driver(process, tiny)
    yield made
    for pid in made.left:
      with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    process.kill()


def _weights(run_dir) -> dict[str, np.ndarray]:
  return release.read(run_dir / "last").weights


def _losses(run_dir) -> list[tuple[int, float | None]]:
  """Returns what was logged; no loss where the model was evaluated."""
  text = (run_dir / "metrics.jsonl").read_text(encoding="utf-8")
  lines = map(json.loads, text.splitlines())
  return [(line["step"], line.get("loss")) for line in lines]


def _require_same_weights(run_dir, expected) -> None:
  weights = _weights(expected)
  for name, array in _weights(run_dir).items():
    np.testing.assert_array_equal(array, weights[name], err_msg=name)


def _latest(run_dir) -> int:
  latest = tf.train.latest_checkpoint(str(run_dir / "checkpoints"))
  return int(latest.rpartition("-")[2])


def _require_no_leftovers(run_dir) -> None:
  names = {path.name for path in (run_dir / "checkpoints").iterdir()}
  state = tf.train.get_checkpoint_state(str(run_dir / "checkpoints"))
  whole = {os.path.basename(path) for path in state.all_model_checkpoint_paths}
  assert names == {"checkpoint"} | {
      f"{name}.{end}" for name in whole
      for end in ("index", "data-00000-of-00001")
  }


def _last_step(run_dir) -> int:
  """Returns the last step that was logged whole."""
  path = run_dir / "metrics.jsonl"
  text = path.read_text(encoding="utf-8") if path.exists() else ""
  lines = text[: text.rfind("\n") + 1].splitlines()
  return json.loads(lines[-1])["step"] if lines else 0


def _wait_for_random(draw, run, run_dir, steps) -> None:
  """Waits for a moment of the start, or of an update, log or checkpoint."""
  if draw.random() < 0.2:
    run.wait(draw.uniform(0, 3))
    return
  # By steps, as the machine may be busy. A line may be from before.
  step = draw.randint(min(_last_step(run_dir), steps - 10), steps)
  while run.code is None and _last_step(run_dir) < step:
    time.sleep(0.005)
  run.wait(draw.uniform(0, 0.1))


@pytest.mark.slow
def test_killed_at_random_a_run_ends_as_if_it_had_not_been(driver, tmp_path):
  seed = random.SystemRandom().randrange(2**32)
  print(f"seed {seed}")
  draw = random.Random(seed)
  kills = 0
  for number, objective in enumerate(("pretrain", "finetune", "distill"), 1):
    flags = (
        f"--set=objective={objective}", "--set=train_steps=150",
        "--set=encoder.hidden_dropout=0.1",
        "--set=encoder.attention_dropout=0.1",
        f"--set=task.dev_file={driver.tiny}/task.tsv",
        "--set=evaluate_steps=50",
    )
    whole = tmp_path / objective
    driver.finish(whole, *flags)
    attempt = 0
    while kills < KILLS * number // 3:
      attempt += 1
      killed = tmp_path / f"{objective}_{attempt}"
      while True:
        run = driver.start(killed, *flags)
        if kills < KILLS * number // 3:
          _wait_for_random(draw, run, killed, 150)
          run.send(signal.SIGKILL)
        # It may have ended meanwhile.
        if run.wait() == 0:
          break
        assert run.code == -signal.SIGKILL, run.said
        kills += 1
        print(f"{objective}: kill {kills} after step {_last_step(killed)}")
      _require_same_weights(killed, whole)
      assert _losses(killed) == _losses(whole)
      _require_no_leftovers(killed)
  assert kills == KILLS


@pytest.mark.slow
@pytest.mark.parametrize("number, code", [
    (signal.SIGTERM, TRY_AGAIN), (signal.SIGINT, 130)
])
def test_a_signal_is_heeded_inside_a_loop_of_many_steps(
    driver, tmp_path, number, code
):
  steps = 2000
  flags = (
      f"--set=train_steps={steps}", "--set=steps_per_loop=100000",
      "--set=evaluate_steps=100000", "--set=checkpoint_steps=100000",
  )
  run_dir, whole = tmp_path / "run", tmp_path / "whole"
  driver.finish(whole, *flags)
  run = driver.start(run_dir, *flags)
  run.wait_for(run_dir / "events")
  # Whether it is compiling or training by then, it ends between two updates.
  time.sleep(1)
  run.send(number)
  run.require(code, f"stopped by {number.name} after step ")
  assert 0 < _latest(run_dir) < steps
  assert f"after step {_latest(run_dir)};" in run.said
  driver.finish(run_dir, *flags)
  _require_same_weights(run_dir, whole)


@pytest.mark.slow
def test_a_second_signal_ends_at_once(driver, tmp_path):
  run_dir = tmp_path / "run"
  flags = (
      "--set=train_steps=1000000", "--set=steps_per_loop=1000000",
      "--set=evaluate_steps=1000000",
  )
  run = driver.start(run_dir, *flags)
  run.wait_for(run_dir / "events")
  for _ in range(50):
    # The process may be ending by the first.
    with contextlib.suppress(ProcessLookupError):
      run.send(signal.SIGTERM)
  assert run.wait() in (TRY_AGAIN, 128 + signal.SIGTERM), run.said


@pytest.mark.slow
def test_a_full_disk_leaves_the_checkpoint_before(driver, tmp_path):
  flags = ("--set=train_steps=60", "--set=checkpoint_steps=20")
  run_dir, whole = tmp_path / "run", tmp_path / "whole"
  driver.finish(whole, *flags)
  driver.finish(run_dir, "--set=train_steps=20", "--set=checkpoint_steps=20")
  size = max(
      path.stat().st_size for path in (run_dir / "checkpoints").iterdir()
  )
  run = driver.start(run_dir, *flags, file_bytes=size // 2)
  run.require(1, f"cannot be written to {run_dir}/checkpoints: ")
  assert "ckpt-20 is whole" in run.said
  assert _latest(run_dir) == 20
  _require_no_leftovers(run_dir)
  driver.finish(run_dir, *flags)
  assert (run_dir / "result.json").exists()


def test_a_second_trainer_is_refused(driver, tmp_path):
  run_dir = tmp_path / "run"
  with lock.held(run_dir):
    driver.start(run_dir).require(1, f"run_dir: {run_dir} is in use by another")
    assert not list(run_dir.iterdir())


@pytest.mark.slow
def test_two_trainers_at_once_are_one(driver, tmp_path):
  run_dir = tmp_path / "run"
  first = driver.start(run_dir)
  first.wait_for(run_dir / "config.yaml")
  second = driver.start(run_dir.with_name("run"), "--set=seed=1")
  assert second.wait() == 1
  assert first.wait() == 0
  assert "is in use by another process" in second.said


@pytest.mark.slow
def test_only_the_length_of_a_run_may_change(driver, tmp_path):
  run_dir, whole = tmp_path / "run", tmp_path / "whole"
  driver.finish(run_dir, "--set=train_steps=20")
  files = [run_dir / name for name in ("config.yaml", "result.json")]
  before = [path.read_bytes() for path in files]

  other = driver.start(
      run_dir, "--set=seed=7", "--set=optimizer.learning_rate=0.5"
  )
  other.require(1, f"run_dir: {run_dir} belongs to a run with other settings: ")
  assert "seed was 0, is now 7" in other.said
  assert "optimizer.learning_rate was 0.001, is now 0.5" in other.said
  shorter = driver.start(run_dir, "--set=train_steps=19")
  shorter.require(1, "train_steps (19) must be at least 20, the updates that ")
  assert [path.read_bytes() for path in files] == before

  driver.finish(run_dir, "--set=train_steps=30")
  assert json.loads(files[1].read_text())["train_steps"] == 30
  assert "train_steps: 30" in files[0].read_text()
  assert [step for step, _ in _losses(run_dir)] == [5, 10, 15, 20, 25, 30]
  driver.finish(whole, "--set=train_steps=20")
  assert _losses(whole) == _losses(run_dir)[:4]
