import os
import subprocess
import sys

import pytest

from pd_tf.config import errors
from pd_tf.config import lock

HOLD = """
import pathlib, sys
from pd_tf.config import lock
with lock.held(pathlib.Path(sys.argv[1])):
  print("held", flush=True)
  sys.stdin.read()
"""


def test_second_process_is_refused_until_the_first_is_killed(tmp_path):
  path = tmp_path / "run"
  environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
  with subprocess.Popen(
      [sys.executable, "-c", HOLD, str(path)], env=environment, text=True,
      stdin=subprocess.PIPE, stdout=subprocess.PIPE,
  ) as process:
    assert process.stdout.readline() == "held\n"
    with pytest.raises(errors.InputError, match="^run_dir: .* is in use by"):
      with lock.held(path):
        pass
    process.kill()
    process.wait()
  with lock.held(path):
    assert list(path.iterdir()) == []


def test_leaves_no_empty_directory_behind(tmp_path):
  with lock.held(tmp_path / "new"):
    assert (tmp_path / "new").is_dir()
  assert not (tmp_path / "new").exists()
  with lock.held(tmp_path / "kept"):
    (tmp_path / "kept" / "file").write_text("")
  assert (tmp_path / "kept").exists()


def test_file_in_the_way(tmp_path):
  (tmp_path / "file").write_text("")
  for path in (tmp_path / "file", tmp_path / "file" / "below"):
    with pytest.raises(errors.InputError, match="is a file or below one"):
      with lock.held(path):
        pass
