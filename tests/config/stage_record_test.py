import os

from pd_tf.config import stage_record


def test_record_moves_with_its_directory(tmp_path):
  for number in (1, 2):
    directory = tmp_path / "train"
    directory.mkdir()
    stage_record.write(directory, {"verb": "train", "number": number})
    old = stage_record.move_aside(directory)
    assert old == tmp_path / f"train.old-{number}"
    assert stage_record.read(directory) is None
    assert stage_record.read(old) == {"verb": "train", "number": number}


def test_seconds_of_killed_attempts(tmp_path):
  (tmp_path / "checkpoints").mkdir()
  file = tmp_path / "checkpoints" / "one"
  file.write_text("")
  for path in (tmp_path / "checkpoints", file):
    os.utime(path, (1_000_000_012, 1_000_000_012))
  record = {"started_at": 1_000_000_000.0, "earlier_seconds": 5.0}
  assert stage_record.seconds_so_far(tmp_path, record) == 17.0
  later = {"started_at": 2_000_000_000.0, "earlier_seconds": 5.0}
  assert stage_record.seconds_so_far(tmp_path, later) == 5.0
