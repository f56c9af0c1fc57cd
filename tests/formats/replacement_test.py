"""Targets are replaced whole, on request only, and nothing else is lost."""

import pytest

from pd_tf.config import errors
from pd_tf.formats import replacement

_OWN = ("config.json", "model.*")


def _write_directory(target, text, overwrite=False):
  with replacement.replacing(target, overwrite, _OWN) as path:
    path.mkdir()
    (path / "config.json").write_text(text)


def test_directory_appears_with_its_parents(tmp_path):
  _write_directory(tmp_path / "a" / "b" / "model", "new")
  target = tmp_path / "a" / "b" / "model"
  assert (target / "config.json").read_text() == "new"
  assert [path.name for path in target.parent.iterdir()] == ["model"]


def test_file_appears(tmp_path):
  with replacement.replacing(tmp_path / "m.zip", False, _OWN) as path:
    path.write_text("zip")
  assert (tmp_path / "m.zip").read_text() == "zip"


def test_target_is_refused_and_kept(tmp_path):
  _write_directory(tmp_path / "m", "old")
  with pytest.raises(errors.InputError, match=f"^{tmp_path}/m: is already"):
    _write_directory(tmp_path / "m", "new")
  assert (tmp_path / "m" / "config.json").read_text() == "old"


def test_overwrite_replaces(tmp_path):
  _write_directory(tmp_path / "m", "old")
  (tmp_path / "m" / "model.bin").write_text("old")
  _write_directory(tmp_path / "m", "new", overwrite=True)
  assert [path.name for path in (tmp_path / "m").iterdir()] == ["config.json"]
  assert (tmp_path / "m" / "config.json").read_text() == "new"
  assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_overwrite_follows_a_link(tmp_path):
  _write_directory(tmp_path / "m", "old")
  (tmp_path / "link").symlink_to(tmp_path / "m")
  _write_directory(tmp_path / "link", "new", overwrite=True)
  assert (tmp_path / "link").is_symlink()
  assert (tmp_path / "m" / "config.json").read_text() == "new"


def test_overwrite_spares_a_directory_of_other_things(tmp_path):
  (tmp_path / "home").mkdir()
  (tmp_path / "home" / "letters.txt").write_text("dear")
  with pytest.raises(errors.InputError, match="holds letters.txt"):
    _write_directory(tmp_path / "home", "new", overwrite=True)
  assert (tmp_path / "home" / "letters.txt").read_text() == "dear"


def test_failure_leaves_the_old_one(tmp_path):
  _write_directory(tmp_path / "m", "old")
  with pytest.raises(ZeroDivisionError):
    with replacement.replacing(tmp_path / "m", True, _OWN) as path:
      path.mkdir()
      raise ZeroDivisionError
  assert (tmp_path / "m" / "config.json").read_text() == "old"
  assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_leftovers_of_a_killed_write_do_not_matter(tmp_path):
  (tmp_path / ".m.tmp" / "m").mkdir(parents=True)
  (tmp_path / ".m.tmp" / "m" / "half").write_text("half")
  _write_directory(tmp_path / "m", "new")
  assert [path.name for path in (tmp_path / "m").iterdir()] == ["config.json"]
  assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_kill_between_the_two_renames_loses_nothing(tmp_path):
  _write_directory(tmp_path / "m", "old")
  (tmp_path / "m").rename(tmp_path / ".m.old.tmp")
  replacement.recover(tmp_path / "m")
  assert (tmp_path / "m" / "config.json").read_text() == "old"


def test_kill_after_the_two_renames_keeps_the_new_one(tmp_path):
  _write_directory(tmp_path / "m", "new")
  _write_directory(tmp_path / ".m.old.tmp", "old")
  replacement.recover(tmp_path / "m")
  assert (tmp_path / "m" / "config.json").read_text() == "new"
  assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_place_that_cannot_be_written_is_named(tmp_path):
  (tmp_path / "file").write_text("a file")
  with pytest.raises(
      errors.InputError, match=f"^{tmp_path}/file/m: cannot be written: "
  ):
    _write_directory(tmp_path / "file" / "m", "new")
