"""Fingerprints of files, so that a change in what was read is noticed."""

import glob
import hashlib
import json
import os
import pathlib
from typing import Any

from pd_tf.config import run_dir

# Of SHA-256; 64 bits tell apart what is not made to be mistaken.
SHOWN_DIGITS = 16
BLOCK_BYTES = 1 << 20


class Fingerprints:
  """SHA-256 of files and directories.

  A file is read again only when its size or its time of change is another.

  Args:
    cache_file: JSON file that remembers what was read; need not exist.
  """

  def __init__(self, cache_file: pathlib.Path):
    self._cache_file = cache_file
    self._known: dict[str, list[Any]] = {}
    if cache_file.exists():
      self._known = json.loads(cache_file.read_text(encoding="utf-8"))

  def of_path(self, path: str) -> str:
    """Returns the digest of a file, or of all files below a directory."""
    if not os.path.isdir(path):
      return self._of_file(os.path.abspath(path))[:SHOWN_DIGITS]
    files = sorted(
        os.path.join(folder, name)
        for folder, _, names in os.walk(path)
        for name in names
    )
    return of_value([
        [os.path.relpath(file, path), self._of_file(os.path.abspath(file))]
        for file in files
    ])

  def of_pattern(self, pattern: str) -> str | None:
    """Returns `name@digest` of each match; None if nothing has that name."""
    if os.path.exists(pattern):
      matches = [pattern]
    else:
      matches = sorted(glob.glob(pattern, recursive=True))
    if not matches:
      return None
    return ", ".join(
        f"{os.path.basename(os.path.normpath(path))}@{self.of_path(path)}"
        for path in matches
    )

  def save(self) -> None:
    """Writes the cache file."""
    run_dir.write_atomically(self._cache_file, json.dumps(self._known))

  def _of_file(self, path: str) -> str:
    status = os.stat(path)
    state = [status.st_size, status.st_mtime_ns]
    known = self._known.get(path)
    if known is None or known[:2] != state:
      known = [*state, sha256_of_file(path)]
      self._known[path] = known
    return known[2]


def of_value(value: Any) -> str:
  """Returns the digest of anything that JSON can hold."""
  text = json.dumps(value, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:SHOWN_DIGITS]


def sha256_of_file(path: str | pathlib.Path) -> str:
  """Returns the digest of a file's content, in full."""
  digest = hashlib.sha256()
  with open(path, "rb") as file:
    while block := file.read(BLOCK_BYTES):
      digest.update(block)
  return digest.hexdigest()
