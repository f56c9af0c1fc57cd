"""Lines of text files, plain or compressed, from paths and globs."""

import bz2
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import glob
import gzip
import hashlib
import io
import lzma
import pathlib
from typing import cast
import zlib

from pd_tf.config import errors

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BUFFER_BYTES = 1 << 20
_OPENERS: dict[str, Callable[[pathlib.Path], io.BufferedIOBase]] = {
    ".gz": lambda path: gzip.open(path, "rb"),
    ".bz2": lambda path: bz2.open(path, "rb"),
    ".xz": lambda path: lzma.open(path, "rb"),
}
# Endings that say how a file is compressed, not what it holds.
COMPRESSED = tuple(_OPENERS)


def expand(patterns: Sequence[str], setting_name: str) -> list[pathlib.Path]:
  """Returns the files that paths and globs stand for.

  Args:
    patterns: Paths or globs (`**` goes into directories).
    setting_name: The setting they come from; errors start with it.

  Returns:
    Each file once; globs in the order given, the files of one sorted by name,
    so that the same settings read the same files in the same order.

  Raises:
    InputError: There are no patterns, a file is missing, empty or a directory,
      or a glob fits no file.
  """
  if not patterns:
    raise errors.InputError(
        f"{setting_name}: expected at least one file or glob, got none."
    )
  paths: dict[pathlib.Path, None] = {}
  for pattern in patterns:
    for path in _matches(pattern, setting_name):
      paths[path] = None
  return list(paths)


def lines(path: pathlib.Path) -> Iterator[str]:
  """Yields the lines of a UTF-8 file without their line ends.

  The ending of the name (.gz, .bz2, .xz) says how it is compressed. Only LF
  and CR LF end a line; a byte order mark is dropped.

  Args:
    path: The file.

  Raises:
    InputError: The file is missing, empty, truncated, not compressed as its
      name says, or not UTF-8 (the message names the line).
  """
  number = 0
  try:
    # The buffer finds the lines in C; gzip's and lzma's own readline do not.
    with io.BufferedReader(_opened(path), _BUFFER_BYTES) as file:
      for number, line in enumerate(file, start=1):
        if number == 1 and line.startswith(_BYTE_ORDER_MARK):
          line = line[len(_BYTE_ORDER_MARK):]
        yield _decoded(line, path, number)
  except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
    raise errors.InputError(
        f"{path}: expected a whole {path.suffix} file, but after line "
        f"{number}: {error}."
    ) from None
  except OSError as error:
    reason = error.strerror or str(error)
    raise errors.InputError(f"{path}: cannot be read: {reason}.") from None
  if not number:
    raise errors.InputError(f"{path}: expected lines of text, it is empty.")


def sha256(path: pathlib.Path) -> str:
  """Returns the SHA-256 digest of a file as it is on disk."""
  digest = hashlib.sha256()
  with open(path, "rb") as file:
    while block := file.read(_BUFFER_BYTES):
      digest.update(block)
  return digest.hexdigest()


def _opened(path: pathlib.Path) -> io.RawIOBase:
  if path.suffix not in _OPENERS:
    return open(path, "rb", buffering=0)
  # Typed as buffered, they have what a BufferedReader asks of a raw file.
  return cast(io.RawIOBase, _OPENERS[path.suffix](path))


def _decoded(line: bytes, path: pathlib.Path, number: int) -> str:
  if line.endswith(b"\n"):
    line = line[:-1]
    if line.endswith(b"\r"):
      line = line[:-1]
  try:
    return line.decode("utf-8")
  except UnicodeDecodeError as error:
    raise errors.InputError(
        f"{path}: expected UTF-8, but byte {error.start + 1} of line {number} "
        f"(0x{line[error.start]:02x}) is not."
    ) from None


def _matches(pattern: str, setting_name: str) -> list[pathlib.Path]:
  path = pathlib.Path(pattern)
  if path.is_dir():
    raise errors.InputError(
        f"{setting_name}: {pattern} is a directory; expected a file or glob."
    )
  if not path.exists() and glob.has_magic(pattern):
    found = [
        pathlib.Path(name)
        for name in sorted(glob.glob(pattern, recursive=True))
    ]
    found = [path for path in found if path.is_file()]
    if not found:
      raise errors.InputError(f"{setting_name}: no file fits {pattern}.")
  else:
    found = [path]
  for path in found:
    _require_content(path, setting_name)
  return found


def _require_content(path: pathlib.Path, setting_name: str) -> None:
  if not path.exists():
    raise errors.InputError(f"{setting_name}: {path} does not exist.")
  if not path.stat().st_size:
    raise errors.InputError(
        f"{setting_name}: {path} is empty; expected lines of text."
    )
