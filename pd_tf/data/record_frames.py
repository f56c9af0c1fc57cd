"""Records of TFRecord files, without TensorFlow, which takes seconds to import.

A record is its length, a masked CRC32C of that, the data, and their masked
CRC32C (tensorflow/core/lib/io/record_writer.h): 8, 4, n and 4 bytes.
"""

import functools
import itertools
import struct

import google_crc32c
import numpy as np

# Bytes of a record before its data, behind them, and both.
BEFORE, BEHIND = 12, 4
FRAME_BYTES = BEFORE + BEHIND
LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")
_MASK_DELTA, _BITS_32 = 0xA282EAD8, 0xFFFFFFFF


def framed(data: bytes, splits: np.ndarray) -> bytes:
  """Returns records, one after another.

  Args:
    data: Of all records.
    splits: Int [N + 1], where in the data each begins and the last one ends.
  """
  parts: list[bytes] = []
  for first, stop in itertools.pairwise(splits.tolist()):
    record = data[first:stop]
    parts += (_header(stop - first), record, _checksum(record))
  return b"".join(parts)


@functools.lru_cache(maxsize=4096)
def _header(length: int) -> bytes:
  packed = LENGTH.pack(length)
  return packed + _checksum(packed)


def _checksum(data: bytes) -> bytes:
  value = google_crc32c.value(data)
  rotated = (value >> 15 | value << 17) & _BITS_32
  return _CHECKSUM.pack(rotated + _MASK_DELTA & _BITS_32)
