"""The verb prepare in several processes: same bytes, kills, errors."""

import gzip
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

from pd_tf import prepare
from pd_tf.config import errors
from pd_tf.config import prepare as prepare_config
from pd_tf.config import processes as processes_config
from pd_tf.data import preparing
from pd_tf.text import vocabulary as vocabulary_lib

PATIENCE_SECONDS = 240
WORDS = [f"w{i}" for i in range(500)]
# Runs the command line with other processes for however little text.
RUN = """
import sys
from pd_tf import cli, prepare
from pd_tf.data import preparing
prepare._IN_PROCESS_BYTES = 0
preparing._LEAST_BYTES = 4096
sys.exit(cli.main(sys.argv[1:]))
"""

# Has whatever imports TensorFlow fail, but not what asks where it is.
WITHOUT_TENSORFLOW = """
from importlib import abc, machinery
import sys

class Forbidden(abc.MetaPathFinder, abc.Loader):
  def find_spec(self, name, path=None, target=None):
    if name != "tensorflow":
      return None
    spec = machinery.PathFinder.find_spec(name)
    spec.loader = self
    return spec

  def exec_module(self, module):
    raise RuntimeError("TensorFlow is imported.")

sys.meta_path.insert(0, Forbidden())
"""


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp("prepare")
  vocabulary_lib.write(
      folder / "vocab.txt", (*vocabulary_lib.SPECIAL_TOKENS, *WORDS)
  )
  draw = random.Random(0)
  for number in range(6):
    documents = [
        "\n".join(
            " ".join(draw.choices(WORDS, k=draw.randint(3, 20)))
            for _ in range(draw.randint(2, 20))
        )
        for _ in range(60)
    ]
    # Every file has a document of the one before.
    text = "\n\n".join([*documents, "w1 w2\nw3 w4"]) + "\n"
    if number % 2:
      (folder / f"{number}.txt").write_text(text)
    else:
      (folder / f"{number}.txt.gz").write_bytes(gzip.compress(text.encode()))
  return folder


def _settings(folder, **changes):
  return prepare_config.PrepareConfig(**{
      "inputs": (str(folder / "?.*"),),
      "vocab_file": str(folder / "vocab.txt"),
      "seq_length": 32, "duplicates": "exact", "validation_share": 0.2,
  } | changes)


def _bytes(run_dir):
  return {
      str(path.relative_to(run_dir)): path.read_bytes()
      for path in sorted(run_dir.rglob("*")) if path.is_file()
  }


@pytest.fixture(name="whole", scope="module")
def _whole(folder, tmp_path_factory):
  """What one process writes."""
  run_dir = tmp_path_factory.mktemp("whole") / "run"
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(preparing, "_LEAST_BYTES", 4096)
    result = prepare.run(
        _settings(folder), run_dir, processes_config.Processes(num_workers=1)
    )
  assert result["duplicate_documents_dropped"] == 5
  return _bytes(run_dir)


def _command(folder, run_dir, workers):
  return [
      sys.executable, "-c", RUN, "prepare", f"--inputs={folder}/?.*",
      f"--vocab_file={folder}/vocab.txt", "--seq_length=32",
      "--duplicates=exact", "--validation_share=0.2", f"--run_dir={run_dir}",
      f"--num_workers={workers}",
  ]


def _environment(*first):
  paths = [*map(str, first), *filter(None, sys.path)]
  return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 4])
def test_the_same_bytes_whatever_the_number_of_workers(
    folder, whole, tmp_path, workers
):
  site = tmp_path / "site"
  site.mkdir()
  (site / "sitecustomize.py").write_text(WITHOUT_TENSORFLOW)
  done = subprocess.run(
      _command(folder, tmp_path / "run", workers), env=_environment(site),
      capture_output=True, text=True, timeout=PATIENCE_SECONDS,
  )
  assert done.returncode == 0, done.stderr
  assert _bytes(tmp_path / "run") == whole
  # A bar of progress may be shown; nothing of Beam's or TensorFlow's is.
  assert done.stderr == ""


def _below(pid):
  """Returns the processes below one, parents first."""
  found = []
  for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
    for child in map(int, task.read_text().split()):
      found += [child, *_below(child)]
  return found


def _kill(process, who):
  """Kills the process, or one of its workers."""
  below = _below(process.pid)
  target = below[-1] if below and who == "worker" else process.pid
  os.kill(target, signal.SIGINT if who == "interrupt" else signal.SIGKILL)
  return below


@pytest.mark.slow
def test_killed_at_random_it_ends_as_if_it_had_not_been(
    folder, whole, tmp_path
):
  seed = random.SystemRandom().randrange(2**32)
  print(f"seed {seed}")
  draw = random.Random(seed)
  run_dir = tmp_path / "run"
  codes = {"main": -signal.SIGKILL, "worker": 75, "interrupt": 130}
  for who in ("main", "worker", "interrupt", "main"):
    process = subprocess.Popen(
        _command(folder, run_dir, 2), env=_environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )
    # There are workers once there is a log; later there are results.
    end = time.monotonic() + PATIENCE_SECONDS
    results = draw.randint(0, 40)
    while process.poll() is None and time.monotonic() < end:
      below = _below(process.pid)
      found = len(list(run_dir.glob("unfinished/*-result-*")))
      if len(below) > 1 and found >= min(results, 5):
        break
      time.sleep(0.02)
    if process.poll() is None:
      below = _kill(process, who)
      said = process.communicate(timeout=60)[1]
      assert process.returncode in (codes[who], 75, 0), said
      # It may have ended by itself before the signal came.
      silent = who == "main" or process.returncode == 0
      told = f"{who}, exit code {process.returncode}: {said!r}"
      assert len(said.splitlines()) == (not silent), told
      if process.returncode:
        assert not (run_dir / "result.json").exists()
      _require_ended(below)
  done = subprocess.run(
      _command(folder, run_dir, 2), env=_environment(), timeout=240,
      capture_output=True, text=True,
  )
  assert done.returncode == 0, done.stderr
  assert _bytes(run_dir) == whole


def _require_ended(pids):
  end = time.monotonic() + 30
  while any(
      pathlib.Path(f"/proc/{pid}/stat").exists()
      and pathlib.Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
      for pid in pids
  ):
    assert time.monotonic() < end
    time.sleep(0.1)


@pytest.mark.slow
def test_a_wrong_input_is_one_line(folder, tmp_path):
  bad = tmp_path / "bad.txt"
  bad.write_bytes(b"w1\n\nw2 \xff\n")
  command = _command(folder, tmp_path / "run", 2) + [f"--inputs={bad}"]
  done = subprocess.run(
      command, env=_environment(), capture_output=True, text=True,
      timeout=PATIENCE_SECONDS,
  )
  assert done.returncode == 1
  assert done.stderr == (
      f"pd-tf prepare: {bad}: expected UTF-8, but byte 4 of line 3 (0xff) is "
      "not.\n"
  )
  # The mended input may be read into the same directory.
  assert not (tmp_path / "run").exists()


def test_processes():
  assert processes_config.Processes(num_workers=3).num_processes == 3
  with pytest.raises(errors.InputError, match=r"^num_workers \(0\) must be"):
    processes_config.Processes(num_workers=0)
  with pytest.raises(errors.InputError, match="^num_workers .* goes with"):
    processes_config.Processes(runner="FlinkRunner", num_workers=2)
  with pytest.raises(errors.InputError, match="^beam_option: expected NAME="):
    processes_config.Processes(beam_option=("=3",))
