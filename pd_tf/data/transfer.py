"""The transfer set with soft labels: token ids beside a teacher's logits.

A directory: `part-00000.npz`, … each a run of examples, and `manifest.json`,
written last; without it the set is unfinished and is never read.
"""

from collections.abc import Sequence
import dataclasses
import json
import pathlib
from typing import Any
import zipfile

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
  """

  examples: examples_lib.Examples
  task: pretrained.TaskHead
  vocab_sha256: str


def part_path(directory: pathlib.Path, index: int) -> pathlib.Path:
  """Returns the file of one part."""
  return directory / f"part-{index:05d}.npz"


def write_part(
    directory: pathlib.Path,
    index: int,
    examples: examples_lib.Examples,
    teacher_logits: np.ndarray,
) -> None:
  """Writes one part: whole or not at all.

  Token ids are stored in 16 bits where they fit, logits as float32: eight
  bytes an example for two labels, little beside its tokens.
  """
  small = examples.tokens.max(initial=0) < 2**16
  path = part_path(directory, index)
  temporary = path.with_suffix(".tmp")
  with open(temporary, "wb") as file:
    np.savez(
        file,
        tokens=examples.tokens.astype(np.uint16 if small else np.int32),
        lengths=examples.lengths.astype(np.int32),
        first_lengths=examples.first_lengths,
        labels=examples.labels,
        teacher_logits=teacher_logits,
    )
  temporary.replace(path)


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
  path = directory / MANIFEST
  if not path.exists():
    raise errors.InputError(
        f"{setting_name}: {directory} must be a finished directory of "
        f"`pd-tf label`; it has no {MANIFEST}."
    )
  try:
    manifest = json.loads(path.read_text(encoding="utf-8"))
  except ValueError as error:
    raise errors.InputError(f"{path}: not valid JSON: {error}.") from None
  if "num_parts" not in manifest or "label_names" not in manifest:
    raise errors.InputError(
        f"{setting_name}: {path} is not a manifest of `pd-tf label`."
    )
  parts = [
      _read_part(part_path(directory, index))
      for index in range(manifest["num_parts"])
  ]
  task = pretrained.TaskHead(
      manifest["kind"], tuple(manifest["label_names"]), manifest["num_texts"]
  )
  return TransferSet(examples_lib.join(parts), task, manifest["vocab_sha256"])


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
    if (other.task, other.vocab_sha256) != (sets[0].task, sets[0].vocab_sha256):
      raise errors.InputError(
          f"{setting_name}: {directory} has another task or vocabulary than "
          f"{directories[0]}."
      )
  joined = examples_lib.join([one.examples for one in sets])
  return dataclasses.replace(sets[0], examples=joined)


def _read_part(path: pathlib.Path) -> examples_lib.Examples:
  try:
    with open(path, "rb") as file, np.load(file) as arrays:
      lengths = arrays["lengths"].astype(np.int64)
      return examples_lib.Examples(
          arrays["tokens"].astype(np.int32),
          np.concatenate([[0], np.cumsum(lengths)]),
          arrays["first_lengths"],
          arrays["labels"],
          arrays["teacher_logits"],
      )
  except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
    raise errors.InputError(
        f"{path}: expected a part of a transfer set: {error}."
    ) from None
