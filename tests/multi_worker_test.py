"""Two workers on loopback, through the command line: sums, losses, signals."""

from collections.abc import Iterator
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from pd_tf import train
from pd_tf.config import settings as settings_lib
from pd_tf.config import train as train_config
from pd_tf.config import where as where_config
from pd_tf.formats import release

pytestmark = pytest.mark.slow

# For what takes seconds on an idle machine.
PATIENCE_SECONDS = 240
# Of workers that are to miss one another; the sums that compile meanwhile take
# a few seconds on a machine that is not idle.
TIMEOUT_SECONDS = 20
TRY_AGAIN = 75
# Long enough to be killed in the middle.
LONG = ("--set=train_steps=300", "--set=checkpoint_steps=20")


# Set once by the fixture below.
_IN_OWN_NETWORK: list[str] = []


@pytest.fixture(autouse=True, scope="module")
def in_own_network(own_network):
  _IN_OWN_NETWORK[:] = own_network


class Worker:
  """A process of one worker.

  Attributes:
    process: Its process.
    log: What it says goes here.
  """

  def __init__(self, command: list[str], log: pathlib.Path, **changes: str):
    self.log = log
    path = os.pathsep.join(sys.path)
    with open(log, "w", encoding="utf-8") as file:
      self.process = subprocess.Popen(
          command, stdout=file, stderr=subprocess.STDOUT,
          env={**os.environ, "PYTHONPATH": path, **changes},
      )

  @property
  def said(self) -> str:
    return self.log.read_text(encoding="utf-8", errors="replace")

  @property
  def last_line(self) -> str:
    """What pd-tf itself says at the end."""
    lines = [
        line for line in self.said.splitlines() if line.startswith("pd-tf ")
    ]
    return lines[-1] if lines else ""

  def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
    """Returns the exit code."""
    try:
      return self.process.wait(seconds)
    except subprocess.TimeoutExpired:
      pytest.fail(f"{self.log} hangs:\n{self.said}")

  def require(self, code: int, words: str = "") -> None:
    """Fails unless it ends with this exit code and line."""
    assert self.wait() == code, self.said
    assert words in self.last_line, self.said


def _free_ports(count: int) -> list[int]:
  with contextlib.ExitStack() as stack:
    sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
    for each in sockets:
      each.bind(("127.0.0.1", 0))
    return [each.getsockname()[1] for each in sockets]


def _command(tiny, run_dir, *flags) -> list[str]:
  return [
      sys.executable, "-m", "pd_tf", "train", f"--config={tiny}/config.yaml",
      f"--run_dir={run_dir}", "--strategy=multi_worker_mirrored", *flags,
  ]


@contextlib.contextmanager
def _workers(tiny, run_dir, *flags, indices=(0, 1)) -> Iterator[list[Worker]]:
  """Yields workers of one run; ends those that are left."""
  addresses = ",".join(f"127.0.0.1:{port}" for port in _free_ports(2))
  run_dir.parent.mkdir(parents=True, exist_ok=True)
  started = [
      Worker(
          _IN_OWN_NETWORK
          + _command(
              tiny, run_dir, f"--workers={addresses}",
              f"--worker_index={index}", *flags,
          ),
          run_dir.parent / f"{run_dir.name}.{index}.log",
      )
      for index in indices
  ]
  with _ended(started):
    yield started


@contextlib.contextmanager
def _ended(workers: list[Worker]) -> Iterator[None]:
  try:
    yield
  finally:
    for worker in workers:
      if worker.process.poll() is None:
        worker.process.kill()
      worker.process.wait()


def _train(tiny, run_dir, *flags) -> None:
  with _workers(tiny, run_dir, *flags) as workers:
    for worker in workers:
      worker.require(0)


def _wait_for_step(run_dir, step: int, workers: list[Worker]) -> None:
  """Waits until a run has logged a step."""
  path = run_dir / "metrics.jsonl"
  end = time.monotonic() + PATIENCE_SECONDS
  while time.monotonic() < end:
    if path.exists() and any(
        line["step"] >= step for line in _lines(run_dir)
    ):
      return
    for worker in workers:
      assert worker.process.poll() is None, worker.said
    time.sleep(0.05)
  pytest.fail("\n".join(worker.said for worker in workers))


def _lines(run_dir) -> list[dict]:
  text = (run_dir / "metrics.jsonl").read_text(encoding="utf-8")
  # The last may be half written.
  return [
      json.loads(line)
      for line in text.splitlines(keepends=True) if line.endswith("\n")
  ]


def _losses(run_dir) -> list[tuple[int, float]]:
  return [(line["step"], line["loss"]) for line in _lines(run_dir)]


def _require_same_run(run_dir, expected, tolerance=1e-5) -> None:
  steps, losses = zip(*_losses(run_dir), strict=True)
  expected_steps, expected_losses = zip(*_losses(expected), strict=True)
  assert steps == expected_steps
  np.testing.assert_allclose(
      losses, expected_losses, rtol=tolerance, atol=tolerance
  )
  weights = _weights(expected)
  for name, array in _weights(run_dir).items():
    np.testing.assert_allclose(
        array, weights[name], rtol=tolerance, atol=tolerance, err_msg=name
    )


def _weights(run_dir) -> dict[str, np.ndarray]:
  return release.read(run_dir / "last").weights


def _settings(tiny, *assignments) -> train_config.TrainConfig:
  return settings_lib.load(
      train_config.TrainConfig, [f"{tiny}/config.yaml"], assignments
  )


@pytest.mark.parametrize("objective, accumulation", [
    ("pretrain", 1), ("pretrain", 2), ("finetune", 1), ("distill", 2),
])
def test_two_workers_do_what_one_device_and_two_do(
    tiny, two_replicas, tmp_path, monkeypatch, objective, accumulation
):
  one, two, several = (tmp_path / name for name in ("one", "two", "several"))
  objective = f"objective={objective}"
  train.run(_settings(tiny, objective), one, where_config.ONE_DEVICE)
  more = [objective, f"accumulation_steps={accumulation}"]
  with monkeypatch.context() as patch:
    patch.setattr(train.strategy_lib, "create", lambda where: two_replicas)
    train.run(_settings(tiny, *more), two, where_config.ONE_DEVICE)
  _train(tiny, several, *(f"--set={setting}" for setting in more))
  assert [step for step, _ in _losses(one)] == [5, 10, 15, 20]
  _require_same_run(two, one)
  _require_same_run(several, one)


def test_tf_config_names_the_workers(tiny, tmp_path):
  ports = _free_ports(2)
  workers = [
      Worker(
          _IN_OWN_NETWORK
          + _command(tiny, tmp_path / "run", "--set=objective=finetune"),
          tmp_path / f"{index}.log",
          TF_CONFIG=json.dumps({
              "cluster": {
                  "chief": [f"127.0.0.1:{ports[0]}"],
                  "worker": [f"127.0.0.1:{ports[1]}"],
              },
              "task": {"type": kind, "index": 0},
          }),
      )
      for index, kind in enumerate(("chief", "worker"))
  ]
  with _ended(workers):
    for worker in workers:
      worker.require(0)
  _train(tiny, tmp_path / "named", "--set=objective=finetune")
  _require_same_run(tmp_path / "run", tmp_path / "named")
  # The chief alone writes.
  assert len(list((tmp_path / "run" / "events").iterdir())) == 1
  assert {path.name for path in (tmp_path / "run").iterdir()} == {
      "checkpoints", "config.yaml", "events", "last", "metrics.jsonl",
      "result.json",
  }


@pytest.fixture(scope="module")
def uninterrupted(tiny, tmp_path_factory):
  """A long run of two workers that nothing happened to."""
  run_dir = tmp_path_factory.mktemp("runs") / "uninterrupted"
  _train(tiny, run_dir, *LONG)
  return run_dir


@pytest.mark.parametrize("lost", [0, 1])
def test_a_killed_worker_ends_the_other_and_both_go_on(
    tiny, uninterrupted, tmp_path, lost
):
  run_dir = tmp_path / "run"
  timeout = f"--worker_timeout={TIMEOUT_SECONDS}"
  with _workers(tiny, run_dir, *LONG, timeout) as workers:
    _wait_for_step(run_dir, 50, workers)
    workers[lost].process.kill()
    workers[1 - lost].require(TRY_AGAIN, "another worker does not answer")
    assert "Traceback" not in workers[1 - lost].said
  assert not (run_dir / "result.json").exists()
  _train(tiny, run_dir, *LONG)
  _require_same_run(run_dir, uninterrupted)


@pytest.mark.parametrize("told", [0, 1])
def test_a_signal_to_one_worker_stops_both(
    tiny, uninterrupted, tmp_path, told
):
  run_dir = tmp_path / "run"
  with _workers(tiny, run_dir, *LONG) as workers:
    _wait_for_step(run_dir, 50, workers)
    workers[told].process.send_signal(signal.SIGTERM)
    workers[told].require(TRY_AGAIN, "stopped by SIGTERM after step ")
    workers[1 - told].require(TRY_AGAIN, "stopped by another worker's signal")
    steps = [
        worker.last_line.partition("after step ")[2].partition(";")[0]
        for worker in workers
    ]
  latest = tf.train.latest_checkpoint(str(run_dir / "checkpoints"))
  assert steps == [latest.rpartition("-")[2]] * 2
  _train(tiny, run_dir, *LONG)
  expected = _weights(uninterrupted)
  for name, array in _weights(run_dir).items():
    np.testing.assert_allclose(
        array, expected[name], rtol=1e-5, atol=1e-5, err_msg=name
    )


@pytest.mark.parametrize("index", [0, 1])
def test_a_worker_that_never_comes_up_is_not_waited_for(tiny, tmp_path, index):
  run_dir = tmp_path / "run"
  with _workers(
      tiny, run_dir, "--worker_timeout=5", indices=[index]
  ) as workers:
    workers[0].require(TRY_AGAIN, "workers: not all of 127.0.0.1:")
    assert "were up within 5 s" in workers[0].last_line
  assert not run_dir.exists()


def test_workers_must_start_from_the_same(tiny, tmp_path):
  run_dir = tmp_path / "run"
  _train(tiny, run_dir, "--set=train_steps=10")
  # Another directory has no checkpoint, as one that is not shared has none.
  ports = _free_ports(2)
  addresses = ",".join(f"127.0.0.1:{port}" for port in ports)
  workers = [
      Worker(
          _command(
              tiny, path, f"--workers={addresses}", f"--worker_index={index}",
              f"--worker_timeout={TIMEOUT_SECONDS}",
          ),
          tmp_path / f"{index}.log",
      )
      for index, path in enumerate((run_dir, tmp_path / "other"))
  ]
  with _ended(workers):
    workers[1].require(1, "checkpoint: this worker's (0) must be the first")
    workers[0].require(TRY_AGAIN, "another worker does not answer")


@contextlib.contextmanager
def _two_networks() -> Iterator[list[str]]:
  """Yields the names of two network namespaces with a link between them."""
  names = [f"pdtf{os.getpid()}{end}" for end in "ab"]

  def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)

  try:
    for name in names:
      ip("netns", "add", name)
      ip("-n", name, "link", "set", "lo", "up")
    ip("link", "add", "end0", "netns", names[0], "type", "veth", "peer",
       "name", "end1", "netns", names[1])  # fmt: skip
    for index, name in enumerate(names):
      device = f"end{index}"
      ip("-n", name, "addr", "add", f"10.77.0.{index}/31", "dev", device)
      ip("-n", name, "link", "set", device, "up")
    yield names
  finally:
    for name in names:
      subprocess.run(
          ["ip", "netns", "del", name], check=False, capture_output=True
      )


@pytest.fixture
def networks() -> Iterator[list[str]]:
  if os.geteuid() != 0 or shutil.which("ip") is None:
    pytest.skip("network namespaces need root, and ip of iproute2")
  with contextlib.ExitStack() as stack:
    try:
      names = stack.enter_context(_two_networks())
    except subprocess.CalledProcessError as error:
      pytest.skip(f"no network namespaces here: {error.stderr.decode()}")
    yield names


def test_a_cut_link_ends_both_within_the_timeout(
    tiny, uninterrupted, networks, tmp_path
):
  run_dir = tmp_path / "run"
  workers = [
      Worker(
          ["ip", "netns", "exec", name, *_command(
              tiny, run_dir, "--workers=10.77.0.0:5000,10.77.0.1:5000",
              f"--worker_index={index}",
              f"--worker_timeout={TIMEOUT_SECONDS}", *LONG,
          )],
          tmp_path / f"{index}.log",
      )
      for index, name in enumerate(networks)
  ]
  with _ended(workers):
    _wait_for_step(run_dir, 50, workers)
    subprocess.run(
        ["ip", "-n", networks[1], "link", "set", "end1", "down"], check=True
    )
    for worker in workers:
      worker.require(TRY_AGAIN, "another worker does not answer")
  _train(tiny, run_dir, *LONG)
  _require_same_run(run_dir, uninterrupted)
