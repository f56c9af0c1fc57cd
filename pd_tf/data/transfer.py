"""The transfer set with soft labels: token ids beside a teacher's logits.

A directory: `part-00000.npz`, … each a run of examples, and `manifest.json`,
written last; without it the set is unfinished and is never read. The manifest
has the SHA-256 of each part, so that a damaged one is never taken for whole.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import hashlib
import io
import json
import os
import pathlib
from typing import Any

import numpy as np

from pd_tf.config import errors
from pd_tf.config import pretrained
from pd_tf.config import run_dir
from pd_tf.data import examples as examples_lib

MANIFEST = "manifest.json"


@dataclasses.dataclass(frozen=True)
class TransferSet:
  """Labelled by one teacher, or by teachers of the same task.

  Attributes:
    examples: With teacher_logits.
    task: What the teacher predicts.
    vocab_sha256: Of the vocabulary behind the token ids.
    lower_case: Whether the texts were lower-cased; None in sets of before
      that was noted.
  """

  examples: examples_lib.Examples
  task: pretrained.TaskHead
  vocab_sha256: str
  lower_case: bool | None = None


def part_path(directory: pathlib.Path, index: int) -> pathlib.Path:
  """Returns the file of one part."""
  return directory / f"part-{index:05d}.npz"


def write_part(
    directory: pathlib.Path,
    index: int,
    examples: examples_lib.Examples,
    teacher_logits: np.ndarray,
) -> None:
  """Writes one part: whole or not at all, the same bytes for the same part.

  Token ids and lengths are stored in 16 bits where they fit, lengths of first
  texts only for pairs, labels only where there are any: two bytes a token and
  six for an example of two labels.

  Args:
    directory: Of the set.
    index: Number of the part.
    examples: Their tokens and labels.
    teacher_logits: Float16 or Float32 [N, C], stored as they are.
  """
  arrays = {
      "tokens": _small(examples.tokens),
      "lengths": _small(examples.lengths),
      "teacher_logits": teacher_logits,
  }
  if (examples.first_lengths != examples.lengths).any():
    arrays["first_lengths"] = _small(examples.first_lengths)
  if examples.is_labelled.any() or examples.labels.dtype != np.int32:
    arrays["labels"] = examples.labels
  path = part_path(directory, index)
  # Two processes may be at one part: after the first was taken for lost.
  temporary = path.with_suffix(f".{os.getpid()}.tmp")
  with open(temporary, "wb") as file:
    np.savez(file, allow_pickle=False, **arrays)
    file.flush()
    os.fsync(file.fileno())
  temporary.replace(path)


def sha256_of_part(directory: pathlib.Path, index: int) -> str:
  """Returns the digest of a part as it is on disk."""
  data = part_path(directory, index).read_bytes()
  return hashlib.sha256(data).hexdigest()


def finish(directory: pathlib.Path, manifest: dict[str, Any]) -> None:
  """Writes the manifest, which makes the set readable."""
  run_dir.write_atomically(
      directory / MANIFEST, json.dumps(manifest, indent=2)
  )


def read(directory: str | pathlib.Path, setting_name: str) -> TransferSet:
  """Returns a whole transfer set.

  Raises:
    InputError: The directory is none that `pd-tf label` finished, or a part
      is missing or damaged.
  """
  directory = pathlib.Path(directory)
  manifest = read_manifest(directory, setting_name)
  digests = manifest.get("part_sha256") or [None] * manifest["num_parts"]
  parts = [
      _read_part(part_path(directory, index), digest, manifest)
      for index, digest in enumerate(digests)
  ]
  task = pretrained.TaskHead(
      manifest["kind"], tuple(manifest["label_names"]), manifest["num_texts"]
  )
  return TransferSet(
      examples_lib.join(parts), task, manifest["vocab_sha256"],
      manifest.get("lower_case"),
  )


def read_manifest(
    directory: pathlib.Path, setting_name: str
) -> dict[str, Any]:
  """Returns the manifest of a set.

  Raises:
    InputError: There is none, or it is none of `pd-tf label`.
  """
  path = directory / MANIFEST
  if not path.exists():
    raise errors.InputError(
        f"{setting_name}: {directory} must be a finished directory of "
        f"`pd-tf label`; it has no {MANIFEST}."
    )
  try:
    manifest = json.loads(path.read_text(encoding="utf-8"))
  except (ValueError, RecursionError) as error:
    raise errors.InputError(f"{path}: not valid JSON: {error}.") from None
  if not isinstance(manifest, dict) or not all(
      type(manifest.get(name)) is kind for name, kind in _MANIFEST_TYPES.items()
  ) or not 0 < manifest["num_parts"] == len(
      manifest.get("part_sha256", range(manifest["num_parts"]))
  ):
    raise errors.InputError(
        f"{setting_name}: {path} is not a manifest of `pd-tf label`."
    )
  return manifest


def each_part(
    directory: pathlib.Path, num_parts: int
) -> Iterator[examples_lib.Examples]:
  """Yields the parts of a set, one at a time, before it has a manifest."""
  for index in range(num_parts):
    yield _read_part(part_path(directory, index), None, {})


def first_lengths(
    directories: Sequence[str], setting_name: str, max_parts: int
) -> np.ndarray:
  """Returns the tokens of each example in the first parts of each set, Int [N].

  Reads the lengths alone, and does not look for damage elsewhere.

  Args:
    directories: The sets.
    setting_name: The setting they come from; errors start with it.
    max_parts: Parts of a set that are read.

  Raises:
    InputError: A set is none that `pd-tf label` finished, or a part cannot be
      read.
  """
  lengths = [np.zeros(0, np.uint16)]
  for directory in map(pathlib.Path, directories):
    num_parts = read_manifest(directory, setting_name)["num_parts"]
    for index in range(min(num_parts, max_parts)):
      lengths.append(_lengths(part_path(directory, index)))
  return np.concatenate(lengths)


def read_all(
    directories: Sequence[str], setting_name: str
) -> TransferSet:
  """Returns several transfer sets as one.

  Raises:
    InputError: There is none, one cannot be read, or they differ in task or
      vocabulary.
  """
  if not directories:
    raise errors.InputError(
        f"{setting_name}: expected directories of `pd-tf label`, got none."
    )
  sets = [read(directory, setting_name) for directory in directories]
  for directory, other in zip(directories, sets, strict=True):
    for what, ours, theirs in (
        ("task", sets[0].task, other.task),
        ("vocabulary", sets[0].vocab_sha256, other.vocab_sha256),
        ("lower_case", sets[0].lower_case, other.lower_case),
    ):
      if ours != theirs and theirs is not None:
        raise errors.InputError(
            f"{setting_name}: {directory} has another {what} than "
            f"{directories[0]}: {theirs}, there {ours}."
        )
  joined = examples_lib.join([one.examples for one in sets])
  return dataclasses.replace(sets[0], examples=joined)


_MANIFEST_TYPES: dict[str, type] = {
    "num_parts": int, "num_texts": int, "kind": str, "label_names": list,
    "vocab_sha256": str,
}


def _small(values: np.ndarray) -> np.ndarray:
  """Returns whole numbers of at least 0 in 16 bits if they fit, else in 32."""
  fits = values.max(initial=0) < 2**16
  return values.astype(np.uint16 if fits else np.int32)


def _read_part(
    path: pathlib.Path, sha256: str | None, manifest: Mapping[str, Any]
) -> examples_lib.Examples:
  """Returns one part.

  Args:
    path: The file.
    sha256: Its digest; None where none was noted.
    manifest: Says how many labels there are.

  Raises:
    InputError: It is missing or damaged.
  """
  try:
    data = path.read_bytes()
  except OSError as error:
    raise errors.InputError(
        f"{path}: expected a part of a transfer set: {error.strerror}."
    ) from None
  if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
    raise errors.InputError(
        f"{path}: is damaged: its content is not what the manifest says. "
        "Remove the directory and label again."
    )
  with (
      _damage_named(path),
      np.load(io.BytesIO(data), allow_pickle=False) as arrays,
  ):
    return _examples({name: arrays[name] for name in arrays.files}, manifest)


def _lengths(path: pathlib.Path) -> np.ndarray:
  """Returns the tokens of each example of a part; its other arrays stay unread.

  Raises:
    InputError: It is missing or damaged.
  """
  with _damage_named(path):
    with np.load(path, allow_pickle=False) as arrays:
      lengths = arrays["lengths"]
    if lengths.ndim != 1 or not np.issubdtype(lengths.dtype, np.integer):
      raise ValueError("lengths are no numbers")
  return lengths


@contextlib.contextmanager
def _damage_named(path: pathlib.Path) -> Iterator[None]:
  """Says of what is wrong with a part which file it is of.

  Raises:
    InputError: The block raised anything.
  """
  try:
    yield
  except Exception as error:
    # A damaged zip raises whatever its reader's parts do.
    reason = str(error) or type(error).__name__
    raise errors.InputError(
        f"{path}: expected a part of a transfer set: {reason}."
    ) from None


def _examples(
    arrays: Mapping[str, np.ndarray], manifest: Mapping[str, Any]
) -> examples_lib.Examples:
  lengths = arrays["lengths"].astype(np.int64)
  firsts = arrays.get("first_lengths", lengths).astype(np.int32)
  labels = arrays.get("labels", np.full(len(lengths), -1, np.int32))
  logits = arrays["teacher_logits"].astype(np.float32)
  tokens = arrays["tokens"].astype(np.int32)
  for name, array in (("first_lengths", firsts), ("labels", labels),
                      ("teacher_logits", logits)):
    if len(array) != len(lengths):
      raise ValueError(f"{len(lengths)} examples, but {len(array)} {name}")
  if not ((0 < firsts) & (firsts <= lengths)).all():
    raise ValueError("lengths that are none")
  if lengths.sum() != len(tokens):
    raise ValueError(f"{lengths.sum()} tokens by lengths, but {len(tokens)}")
  names = manifest.get("label_names")
  if names is not None and logits.shape[1:] != (len(names),):
    raise ValueError(f"{len(names)} labels, but logits {list(logits.shape)}")
    if labels.dtype == np.int32 and labels.max(initial=-1) >= len(names):
      raise ValueError(f"{len(names)} labels, but label {labels.max()}")
  if not np.isfinite(logits).all():
    raise ValueError("teacher_logits that are not finite")
  splits = np.concatenate([[0], np.cumsum(lengths)])
  return examples_lib.Examples(tokens, splits, firsts, labels, logits)
