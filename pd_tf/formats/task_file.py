"""task.json: what the outputs of a fine-tuned model mean."""

from collections.abc import Mapping
import dataclasses
import json
import pathlib
from typing import Any

from absl import logging

from pd_tf.config import errors
from pd_tf.config import pretrained
from pd_tf.config import settings
from pd_tf.formats import json_file

NAME = "task.json"


def read(path: pathlib.Path) -> pretrained.TaskHead:
  """Returns the task head's meaning.

  Raises:
    InputError: The file is no JSON object, or not one of a task head.
  """
  values = json_file.read(path)
  for key in ("kind", "label_names"):
    if key not in values:
      raise errors.InputError(f"{path}: expected a key {key}, found none.")
  return from_mapping(values, f"{path}: ")


def read_if_there(
    path: pathlib.Path, num_outputs: int, source: object
) -> pretrained.TaskHead | None:
  """Returns the task head's meaning, or a guess; None without a head.

  Args:
    path: The file, which may be missing; the log says so then.
    num_outputs: C of the head; 0 without one. A single one is a score.
    source: What the user named, for the log.

  Raises:
    InputError: The file is no task head's, or not of `num_outputs`.
  """
  if path.exists():
    task = read(path)
    require_outputs(task, num_outputs, path)
    return task
  if not num_outputs:
    return None
  if num_outputs == 1:
    logging.warning("%s: has no %s; taken for a score.", source, path.name)
    return pretrained.TaskHead("regression", ("score",))
  logging.warning(
      "%s: has no %s; labels are named by their numbers.", source, path.name
  )
  return pretrained.TaskHead(
      "classification", tuple(map(str, range(num_outputs)))
  )


def from_mapping(
    values: Mapping[str, Any], prefix: str
) -> pretrained.TaskHead:
  """Returns the task head's meaning.

  Args:
    values: Its fields by name.
    prefix: What messages have before the name of a field.

  Raises:
    InputError: A value is not of its field's type, or no task has it.
  """
  task = settings.from_mapping(pretrained.TaskHead, values, prefix)
  if task.num_texts not in (1, 2):
    raise errors.InputError(
        f"{prefix}num_texts must be 1 or 2, was {task.num_texts}."
    )
  if task.kind == "regression" and len(task.label_names) != 1:
    raise errors.InputError(
        f"{prefix}label_names must be one for regression, was "
        f"{list(task.label_names)}."
    )
  return task


def write(path: pathlib.Path, task: pretrained.TaskHead) -> None:
  """Writes what `read` reads."""
  text = json.dumps(dataclasses.asdict(task), ensure_ascii=False, indent=2)
  path.write_text(text + "\n", encoding="utf-8")


def require_outputs(
    task: pretrained.TaskHead, num_outputs: int, source: object
) -> None:
  """Raises InputError unless there is a name for each output."""
  if len(task.label_names) != num_outputs:
    raise errors.InputError(
        f"{source}: expected {num_outputs} label names, one for each output "
        f"of the head, got {len(task.label_names)}."
    )
