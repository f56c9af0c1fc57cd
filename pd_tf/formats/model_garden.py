"""A checkpoint of tf-models-official (Model Garden), by its object graph.

A directory like those that tensorflow/models publishes: `bert_config.json`,
`vocab.txt`, `bert_model.ckpt.index` and `.data-00000-of-00001`, and, which is
pd_tf's own, `task.json` of a fine-tuned model. What is written can be restored
into its encoders, BertPretrainerV2 and BertClassifier. What is read may also
be a directory of its training, or a checkpoint's prefix.
"""

from collections.abc import Collection
import os
import pathlib
import re

import tensorflow as tf

from pd_tf.config import encoder
from pd_tf.config import errors
from pd_tf.config import pretrained
from pd_tf.formats import config_file
from pd_tf.formats import model_garden_config
from pd_tf.formats import model_garden_objects
from pd_tf.formats import model_garden_weights
from pd_tf.formats import object_graph
from pd_tf.formats import task_file
from pd_tf.formats import vocabulary_file

CHECKPOINT_NAME = "bert_model.ckpt"

OWN_FILES = (
    config_file.NAME, vocabulary_file.NAME, CHECKPOINT_NAME + ".*",
    task_file.NAME,
)

_INDEX = ".index"


def found_in(path: pathlib.Path) -> bool:
  """Returns whether there is a checkpoint with an object graph.

  Args:
    path: A directory with one, or the prefix of one.
  """
  try:
    return (
        not (path / "saved_model.pb").exists()
        and object_graph.is_in(_prefix(path))
    )
  except errors.InputError:
    return False


def carried(parts: Collection[str]) -> list[str]:
  """Returns which parts of a model the format keeps: all of them."""
  return list(parts)


def read(path: str | pathlib.Path) -> pretrained.Pretrained:
  """Returns the model of a checkpoint.

  Its configuration is bert_config.json beside it, or params.yaml beside it or
  one level up, or what its shapes tell. Of a ClassificationHead's pooler and
  the encoder's, the head's is taken, as it is the one that was trained.

  Args:
    path: A directory, whose latest checkpoint is read, or a prefix.

  Raises:
    InputError: A file is missing or damaged, a tensor of the encoder is
      missing, or files do not fit each other.
  """
  path = pathlib.Path(path)
  prefix = _prefix(path)
  found = model_garden_weights.find(prefix, prefix)
  config = _config(prefix, found)
  weights = model_garden_weights.read(found, config, prefix)
  directory = prefix.parent
  vocabulary = vocabulary_file.read(
      directory / vocabulary_file.NAME, config.vocab_size
  )
  return pretrained.Pretrained(
      encoder=config,
      weights=weights,
      vocabulary=vocabulary,
      lower_case=config_file.read_lower_case(
          directory / config_file.NAME, vocabulary
      ),
      task=task_file.read_if_there(
          directory / task_file.NAME, found.num_outputs, prefix
      ),
  )


def write(path: pathlib.Path, model: pretrained.Pretrained) -> None:
  """Writes the directory `path`, which is not there yet.

  Raises:
    InputError: The files cannot be written.
  """
  path.mkdir()
  config_file.write(path / config_file.NAME, model)
  vocabulary_file.write(path / vocabulary_file.NAME, model.vocabulary)
  if model.task is not None:
    task_file.write(path / task_file.NAME, model.task)
  object_graph.write(
      path / CHECKPOINT_NAME, model_garden_objects.build(model)
  )


def _prefix(path: pathlib.Path) -> pathlib.Path:
  if not path.is_dir():
    prefix = path.with_suffix("") if path.suffix == _INDEX else path
    if not prefix.with_name(prefix.name + _INDEX).is_file():
      raise errors.InputError(
          f"{path}: expected a directory or the prefix of a checkpoint, found "
          f"no {prefix.name}{_INDEX}."
      )
    return prefix
  names = [file.name.removesuffix(_INDEX) for file in path.glob("*" + _INDEX)]
  for name in (_latest(path), CHECKPOINT_NAME):
    if name in names:
      return path / name
  if not names:
    raise errors.InputError(
        f"{path}: expected {CHECKPOINT_NAME}{_INDEX} or another checkpoint, "
        "found none."
    )
  return path / max(names, key=_step)


def _latest(directory: pathlib.Path) -> str | None:
  """Returns what the file `checkpoint` names, as CheckpointManager keeps it."""
  if not (directory / "checkpoint").is_file():
    return None
  try:
    state = tf.train.get_checkpoint_state(str(directory))
  except (UnicodeDecodeError, ValueError):
    return None
  # The directory may have been moved since.
  return os.path.basename(state.model_checkpoint_path) if state else None


def _step(name: str) -> tuple[int, str]:
  match = re.search(r"-(\d+)$", name)
  return (int(match[1]) if match else -1, name)


def _config(
    prefix: pathlib.Path, found: model_garden_weights.Found
) -> encoder.EncoderConfig:
  beside = prefix.with_name(config_file.NAME)
  if beside.exists():
    return config_file.read(beside)
  for directory in (prefix.parent, prefix.parent.parent):
    params = directory / model_garden_config.PARAMS_NAME
    if params.exists():
      return model_garden_config.from_params(params)
  return model_garden_config.from_shapes(found, prefix)
