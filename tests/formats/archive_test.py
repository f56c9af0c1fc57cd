"""Zips are unpacked without trust and packed reproducibly."""

import shutil
import struct
import zipfile

import pytest

from pd_tf.config import errors
from pd_tf.formats import archive


def _zip(path, members):
  with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
    for name, text in members:
      file.writestr(name, text)
  return path


def _unpacked(path, **limits):
  with archive.unpacked(path, "config.json", **limits) as directory:
    return {file.name: file.read_text() for file in directory.iterdir()}


@pytest.mark.parametrize("folder", ["", "model/", "a/b/"])
def test_files_beside_the_marker(tmp_path, folder):
  path = _zip(tmp_path / "m.zip", [
      (folder + "config.json", "{}"),
      (folder + "vocab.txt", "[PAD]"),
      ("__MACOSX/._config.json", "junk"),
      ("elsewhere/readme", "junk"),
  ])  # fmt: skip
  assert _unpacked(path) == {"config.json": "{}", "vocab.txt": "[PAD]"}


def test_packed_comes_back_and_is_reproducible(tmp_path):
  files = tmp_path / "files"
  files.mkdir()
  (files / "config.json").write_text("{}")
  (files / "a.bin").write_text("a" * 100)
  archive.pack(shutil.copytree(files, tmp_path / "copy"), tmp_path / "1.zip")
  (files / "a.bin").touch()
  archive.pack(files, tmp_path / "2.zip")
  assert _unpacked(tmp_path / "1.zip") == {
      "config.json": "{}",
      "a.bin": "a" * 100,
  }
  one, two = (tmp_path / "1.zip"), (tmp_path / "2.zip")
  assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize(
    "name",
    ["../evil", "a/../../evil", "/etc/evil", "..\\evil", "C:\\evil", "."],
)
def test_path_outside_is_refused(tmp_path, name):
  path = _zip(tmp_path / "m.zip", [("config.json", "{}"), (name, "evil")])
  with pytest.raises(errors.InputError, match="member .* must stay inside"):
    _unpacked(path)


def test_size_limit(tmp_path):
  path = _zip(tmp_path / "m.zip", [("config.json", "0" * 1001)])
  with pytest.raises(
      errors.InputError, match="must be at most 1000 bytes, is 1001"
  ):
    _unpacked(path, max_bytes=1000)


def test_room_is_there_before_anything_is_unpacked(tmp_path, monkeypatch):
  path = _zip(tmp_path / "m.zip", [("config.json", "{}"), ("a", "a" * 98)])
  usage = shutil.disk_usage(tmp_path)._replace(free=99)
  monkeypatch.setattr(shutil, "disk_usage", lambda directory: usage)
  with pytest.raises(
      errors.InputError, match=r"m.zip: unpacks to 100 bytes, .* has 99 free"
  ):
    _unpacked(path)


def test_size_that_lies_is_not_believed(tmp_path):
  path = _zip(tmp_path / "m.zip", [("config.json", "0" * 5000)])
  data = path.read_bytes()
  path.write_bytes(data.replace(struct.pack("<L", 5000), struct.pack("<L", 9)))
  with pytest.raises(errors.InputError, match="not a readable zip archive"):
    _unpacked(path, max_bytes=1000)


def test_marker_must_be_there_once(tmp_path):
  path = _zip(tmp_path / "none.zip", [("vocab.txt", "")])
  with pytest.raises(errors.InputError, match="one config.json .* found 0"):
    _unpacked(path)
  path = _zip(
      tmp_path / "two.zip", [("a/config.json", ""), ("b/config.json", "")]
  )
  with pytest.raises(errors.InputError, match="one config.json .* found 2"):
    _unpacked(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_name_twice(tmp_path):
  path = _zip(tmp_path / "m.zip", [("config.json", "1"), ("config.json", "2")])
  with pytest.raises(errors.InputError, match="holds config.json twice"):
    _unpacked(path)


def test_damaged_lzma(tmp_path):
  path = tmp_path / "m.zip"
  with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
    archive.writestr("config.json", "{}" * 100)
  data = bytearray(path.read_bytes())
  # Of the compressed data, after the header of 30 bytes, the name, and four
  # bytes and five of LZMA's own.
  data[30 + len("config.json") + 9] ^= 0xFF
  path.write_bytes(data)
  with pytest.raises(
      errors.InputError, match=f"^{path}: not a readable zip archive: "
  ):
    _unpacked(path)


def test_truncated(tmp_path):
  path = _zip(tmp_path / "m.zip", [("config.json", "{}")])
  path.write_bytes(path.read_bytes()[:-10])
  with pytest.raises(
      errors.InputError, match=f"^{path}: not a readable zip archive: "
  ):
    _unpacked(path)


def test_corrupted_content(tmp_path):
  with zipfile.ZipFile(tmp_path / "m.zip", "w") as file:
    file.writestr("config.json", "contents")
  path = tmp_path / "m.zip"
  path.write_bytes(path.read_bytes().replace(b"contents", b"c0ntents"))
  with pytest.raises(errors.InputError, match="not a readable zip archive"):
    _unpacked(path)
