"""TFRecord files: how many records, and which one is damaged.

A record is its length, a checksum of that, the data, and their checksum: 8, 4,
n and 4 bytes. TensorFlow checks both sums when it reads, and says at which byte
a record is bad but not of which file; where a file ends within the 12 bytes
before a record, or compressed data just end, it says nothing.
"""

from collections.abc import Callable
from collections.abc import Iterable
import glob
import gzip
import mmap
import os
from typing import BinaryIO
from typing import NamedTuple
import zlib

import tensorflow as tf

from pd_tf.config import errors
from pd_tf.data import record_frames

# The first bytes of gzip. A record that begins so is of half a megabyte.
_GZIP_MAGIC = b"\x1f\x8b\x08"


class Files(NamedTuple):
  """Files of records, in order.

  Attributes:
    paths: Their names.
    rows: Records of each.
    compressions: "GZIP" or "" of each, as TensorFlow calls it.
  """

  paths: list[str]
  rows: list[int]
  compressions: list[str]


class Damage(NamedTuple):
  """A record that cannot be used.

  Attributes:
    path: Of its file.
    offset: Byte that it begins at, after decompression.
    reason: What it should have been.
  """

  path: str
  offset: int
  reason: str

  def __str__(self) -> str:
    return (
        f"{self.path}: the record at byte {self.offset}"
        f"{' of what is uncompressed' if compression(self.path) else ''} "
        f"{self.reason}."
    )


def find(patterns: Iterable[str], setting_name: str) -> Files:
  """Returns the files that names or globs stand for, their records counted.

  Reads what is compressed, and of other files what is before each record.

  Raises:
    InputError: There is no such file, or one is not of whole records.
  """
  paths = []
  for pattern in patterns:
    if os.path.isdir(pattern):
      raise errors.InputError(
          f"{setting_name}: {pattern} is a directory; expected TFRecord files, "
          f"such as {os.path.join(pattern, '*.tfrecord')}."
      )
    found = [pattern] if os.path.exists(pattern) else sorted(
        glob.glob(pattern, recursive=True)
    )
    if not found:
      raise errors.InputError(f"{setting_name}: {pattern}: no such file.")
    paths += [path for path in found if path not in paths]
  counts = [count(path) for path in paths]
  return Files(paths, counts, [compression(path) for path in paths])


def compression(path: str) -> str:
  """Returns "GZIP" or "", by the first bytes of a file."""
  try:
    with open(path, "rb") as file:
      start = file.read(len(_GZIP_MAGIC))
  except OSError as error:
    raise errors.InputError(f"{path}: {error.strerror}.") from None
  return "GZIP" if start == _GZIP_MAGIC else ""


def count(path: str) -> int:
  """Returns the number of records of a file; checks no checksum.

  Raises:
    InputError: It has none, or ends within one.
  """
  try:
    if compression(path):
      with gzip.open(path, "rb") as file:
        number = _count_stream(file)
    else:
      number = _count_mapped(path)
  except (EOFError, OSError, zlib.error) as error:
    raise errors.InputError(
        f"{path}: expected whole gzip data: {error}."
    ) from None
  if number is None:
    damage = find_damage([path])
    raise errors.InputError(
        str(damage) if damage else f"{path}: ends within a record."
    )
  if number == 0:
    raise errors.InputError(f"{path}: expected records, got none.")
  return number


def find_damage(
    paths: Iterable[str],
    problem: Callable[[bytes], str | None] = lambda record: None,
) -> Damage | None:
  """Returns the first record that is damaged or has a problem, if any.

  Args:
    paths: Files to look through, all of each.
    problem: Says what is wrong with the data of a record, or None.
  """
  for path in paths:
    offset = 0
    try:
      for record in tf.data.TFRecordDataset(path, compression(path)):
        data = record.numpy()
        reason = problem(data)
        if reason is not None:
          return Damage(path, offset, reason)
        offset += len(data) + record_frames.FRAME_BYTES
    except tf.errors.DataLossError:
      return Damage(path, offset, "is damaged: its checksum is another")
    if not compression(path) and offset != os.path.getsize(path):
      return Damage(path, offset, "is cut off")
  return None


def _count_mapped(path: str) -> int | None:
  """Returns the number of records, or None if the last is not whole."""
  size = os.path.getsize(path)
  if not size:
    return 0
  number = offset = 0
  with open(path, "rb") as file, mmap.mmap(
      file.fileno(), 0, access=mmap.ACCESS_READ
  ) as mapped:
    while offset + record_frames.BEFORE <= size:
      (length,) = record_frames.LENGTH.unpack_from(mapped, offset)
      offset += length + record_frames.FRAME_BYTES
      number += 1
  return number if offset == size else None


def _count_stream(file: BinaryIO | gzip.GzipFile) -> int | None:
  number = 0
  while before := file.read(record_frames.BEFORE):
    if len(before) < record_frames.BEFORE:
      return None
    rest = record_frames.LENGTH.unpack_from(before)[0] + record_frames.BEHIND
    # A damaged length may be anything; read no more at once than there is.
    while rest:
      read = len(file.read(min(rest, 1 << 20)))
      if not read:
        return None
      rest -= read
    number += 1
  return number
