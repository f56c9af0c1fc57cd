"""Text files: which are read, and what a line is."""

import bz2
import gzip
import hashlib
import lzma

import pytest

from pd_tf.config import errors
from pd_tf.data import text_files

TEXT = "one\ntwo\n\nthree"
OPENERS = {"": open, ".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


@pytest.mark.parametrize("suffix", OPENERS)
def test_lines_of_plain_and_compressed_files(tmp_path, suffix):
  path = tmp_path / f"text.txt{suffix}"
  with OPENERS[suffix](path, "wb") as file:
    file.write(TEXT.encode())
  assert list(text_files.lines(path)) == ["one", "two", "", "three"]


def test_line_ends_and_byte_order_mark(tmp_path):
  path = tmp_path / "text.txt"
  # U+0085 and U+2028 end a line for str.splitlines, not here.
  path.write_bytes("\ufeffa\r\nb\x85c\u2028d\re\r\n\ufefff\n".encode())
  assert list(text_files.lines(path)) == ["a", "b\x85c\u2028d\re", "\ufefff"]


def test_not_utf8_names_file_and_line(tmp_path):
  path = tmp_path / "latin.txt"
  path.write_bytes(b"good\nna\xefve\n")
  with pytest.raises(errors.InputError) as error:
    list(text_files.lines(path))
  assert str(error.value) == (
      f"{path}: expected UTF-8, but byte 3 of line 2 (0xef) is not."
  )


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
def test_truncated_compressed_file(tmp_path, suffix):
  path = tmp_path / f"text.txt{suffix}"
  with OPENERS[suffix](path, "wb") as file:
    file.write("".join(f"line {i}\n" for i in range(999)).encode())
  path.write_bytes(path.read_bytes()[:-20])
  with pytest.raises(errors.InputError, match=f"^{path}: expected a whole"):
    list(text_files.lines(path))


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
def test_plain_text_named_as_compressed(tmp_path, suffix):
  path = tmp_path / f"text.txt{suffix}"
  path.write_text(TEXT)
  with pytest.raises(errors.InputError, match=f"^{path}: ") as error:
    list(text_files.lines(path))
  assert "\n" not in str(error.value)


def test_empty_content(tmp_path):
  path = tmp_path / "empty.txt.gz"
  path.write_bytes(gzip.compress(b""))
  with pytest.raises(errors.InputError, match=f"^{path}: .*empty"):
    list(text_files.lines(path))


def test_missing_file(tmp_path):
  with pytest.raises(errors.InputError, match="No such file"):
    list(text_files.lines(tmp_path / "none.txt"))


def test_expand_sorts_globs_and_drops_repeats(tmp_path):
  for name in ("b.txt", "a.txt", "c.md", "x[1].txt"):
    (tmp_path / name).write_text("x")
  (tmp_path / "directory.txt").mkdir()
  found = text_files.expand(
      [f"{tmp_path}/c.md", f"{tmp_path}/?.txt", f"{tmp_path}/a.txt"], "inputs"
  )
  assert [path.name for path in found] == ["c.md", "a.txt", "b.txt"]
  # What exists is meant as it stands, brackets and all.
  (found,) = text_files.expand([f"{tmp_path}/x[1].txt"], "inputs")
  assert found.name == "x[1].txt"


def test_expand_errors_start_with_the_setting(tmp_path):
  (tmp_path / "empty.txt").touch()
  cases = {
      (): "inputs: expected at least one file or glob, got none.",
      (f"{tmp_path}/no.txt",): f"inputs: {tmp_path}/no.txt does not exist.",
      (f"{tmp_path}/*.md",): f"inputs: no file fits {tmp_path}/*.md.",
      (f"{tmp_path}/empty.txt",): (
          f"inputs: {tmp_path}/empty.txt is empty; expected lines of text."
      ),
      (f"{tmp_path}",): (
          f"inputs: {tmp_path} is a directory; expected a file or glob."
      ),
  }
  for patterns, message in cases.items():
    with pytest.raises(errors.InputError) as error:
      text_files.expand(patterns, "inputs")
    assert str(error.value) == message


def test_sha256(tmp_path):
  path = tmp_path / "text.txt"
  path.write_text(TEXT)
  assert text_files.sha256(path) == hashlib.sha256(TEXT.encode()).hexdigest()
