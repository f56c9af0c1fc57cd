"""task.json: what the outputs of a fine-tuned model mean."""

import dataclasses
import json
import pathlib

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
  return settings.from_mapping(
      pretrained.TaskHead, values, prefix=f"{path}: "
  )


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
