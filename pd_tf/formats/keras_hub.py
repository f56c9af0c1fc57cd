"""Presets of Keras Hub (once Keras NLP) with a BERT, as `from_preset` loads.

`config.json`, `model.weights.h5` (or its shards), `tokenizer.json` and
`assets/tokenizer/vocabulary.txt`; with a head also `task.json` and
`task.weights.h5`. What a preset has no place for is in two files of pd_tf's
own, `labels.json` and `pd_tf_config.json`.

Read without Keras: a configuration may name any class, whose making is code.
"""

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import pathlib
import re
from typing import Any

from absl import logging
import numpy as np

from pd_tf.config import encoder
from pd_tf.config import errors
from pd_tf.config import pretrained
from pd_tf.formats import bert_config
from pd_tf.formats import canonical
from pd_tf.formats import hdf5_file
from pd_tf.formats import json_file
from pd_tf.formats import keras_hub_config
from pd_tf.formats import keras_hub_names
from pd_tf.formats import keras_hub_writing
from pd_tf.formats import task_file
from pd_tf.formats import vocabulary_file

OWN_FILES = keras_hub_writing.OWN_FILES

_WEIGHTS = "model.weights.h5"
_SHARDS = "model.weights.json"
_SHARD = re.compile(r"[^/\\]+\.weights\.h5")
_TASK = "task.json"
_TASK_WEIGHTS = "task.weights.h5"

_PARTS = {
    "BertTextClassifier": canonical.TASK,
    "BertClassifier": canonical.TASK,
    "BertMaskedLM": canonical.MASKED_LM,
}
# What is done to the logits; none changes which label is the likeliest.
_ACTIVATIONS = (None, "linear", "softmax")

# Of tokenizer.json, and what pd_tf's WordPiece does.
_TOKENIZER = {"suffix_indicator": "##", "oov_token": "[UNK]", "split": True}


def found_in(path: pathlib.Path) -> bool:
  """Returns whether a directory looks like a preset, of whatever model."""
  if not (path / keras_hub_config.NAME).is_file():
    return False
  if (path / _WEIGHTS).is_file() or (path / _SHARDS).is_file():
    return True
  try:
    return "registered_name" in json_file.read(path / keras_hub_config.NAME)
  except errors.InputError:
    return False


def carried(parts: Collection[str]) -> list[str]:
  """Returns which of a model's parts a preset keeps: one head at the most."""
  head = canonical.MASKED_LM
  if canonical.TASK in parts:
    head = canonical.TASK
  kept = (canonical.ENCODER, canonical.POOLER, head)
  return [part for part in parts if part in kept]


def write(path: pathlib.Path, model: pretrained.Pretrained) -> None:
  """Makes a preset of a model.

  Args:
    path: Directory to make.
    model: What is not `carried` of it is left out.

  Raises:
    InputError: Keras Hub's BERT does not compute what this model does, parts of
      the model do not fit each other, or Keras has no backend.
  """
  keras_hub_writing.write(path, model)


def read(path: str | pathlib.Path) -> pretrained.Pretrained:
  """Returns the model in a preset directory.

  Args:
    path: What Keras Hub or Keras NLP of any version wrote.

  Raises:
    InputError: It is no BERT, a file is missing or damaged, or files do not fit
      each other.
  """
  directory = pathlib.Path(path)
  config = keras_hub_config.read(directory)
  ignored: list[str] = []
  tensors = _model_tensors(directory, config)
  weights = _read(
      tensors, config, (canonical.ENCODER, canonical.POOLER), 0, ignored
  )
  task = _read_head(directory, config, weights, ignored)
  vocabulary = vocabulary_file.read(
      directory.joinpath("assets", "tokenizer", "vocabulary.txt"),
      config.vocab_size,
  )
  lower_case = _read_lower_case(directory, vocabulary, ignored)
  if ignored:
    logging.warning("%s: ignored %s.", directory, ", ".join(ignored))
  return pretrained.Pretrained(config, weights, vocabulary, lower_case, task)


def _model_tensors(
    directory: pathlib.Path, config: encoder.EncoderConfig
) -> hdf5_file.Tensors:
  tensors = hdf5_file.Tensors(
      *_weight_files(directory), keras_hub_names.modern_name
  )
  # Before anything is as long as a number that may be anything.
  found = keras_hub_names.num_layers(tensors.shapes)
  if config.num_layers != found:
    raise errors.InputError(
        f"{directory / keras_hub_config.NAME}: num_layers must be {found}, as "
        f"{tensors.source.name} has them, was {config.num_layers}."
    )
  return tensors


def _weight_files(
    directory: pathlib.Path,
) -> tuple[pathlib.Path, list[pathlib.Path]]:
  """Returns the file that messages name, and those with tensors."""
  if (directory / _WEIGHTS).exists():
    return directory / _WEIGHTS, [directory / _WEIGHTS]
  index = directory / _SHARDS
  if not index.exists():
    raise errors.InputError(
        f"{directory}: expected {_WEIGHTS} or {_SHARDS}, found neither."
    )
  weight_map = json_file.read(index).get("weight_map")
  if not isinstance(weight_map, dict) or not weight_map:
    raise errors.InputError(
        f"{index}: expected weight_map, an object of tensors to files."
    )
  names: set[str] = set()
  for listed in weight_map.values():
    for name in listed if isinstance(listed, list) else [listed]:
      if not isinstance(name, str) or not _SHARD.fullmatch(name):
        raise errors.InputError(
            f"{index}: expected names of files beside it, got {name!r}."
        )
      names.add(name)
  return index, [directory / name for name in sorted(names)]


def _read(
    tensors: hdf5_file.Tensors,
    config: encoder.EncoderConfig,
    parts: Sequence[str],
    num_outputs: int,
    ignored: list[str],
) -> dict[str, np.ndarray]:
  """Returns the weights of parts that must be there, all of them."""
  groups = canonical.groups(config, num_outputs)
  shapes = {
      name: shape for part in parts for name, shape in groups[part].items()
  }
  places = keras_hub_names.places(config, shapes)
  stored = {place.stored: place.shape for place in places.values()}
  needed: dict[str, canonical.Shapes] = {canonical.ENCODER: {}}
  needed[parts[0]] = stored
  if parts[0] not in canonical.present(needed, tensors.shapes, tensors.source):
    raise errors.InputError(
        f"{tensors.source}: expected the {parts[0]}, found no tensor of it "
        f"among {len(tensors.shapes)}."
    )
  ignored += _listed(tensors.shapes.keys() - stored.keys())
  return {
      name: keras_hub_names.to_canonical(
          name, tensors.read(place.stored), shapes[name]
      )
      for name, place in places.items()
  }


def _listed(names: Collection[str]) -> list[str]:
  """Returns names in order, those of an optimizer as one item."""
  # Some versions keep the whole encoder in the head's file too; Keras Hub
  # loads the other copy.
  rest = {name for name in names if not name.startswith("bert_backbone/")}
  slots = {name for name in rest if name.startswith("optimizer/")}
  listed = sorted(rest - slots)
  # A head always comes with the step and learning rate; more is of training.
  if len(slots) > 2:
    listed.append(f"optimizer/* of {len(slots)} tensors")
  return listed


def _read_head(
    directory: pathlib.Path,
    config: encoder.EncoderConfig,
    weights: dict[str, np.ndarray],
    ignored: list[str],
) -> pretrained.TaskHead | None:
  """Adds the head's weights, and returns what a classifier's outputs mean."""
  path = directory / _TASK
  if not path.exists():
    return None
  values = json_file.read(path)
  part = _head_part(values, ignored)
  if part is None:
    return None
  num_outputs = 0
  if part == canonical.TASK:
    num_outputs = bert_config.integer(
        keras_hub_config.section(values, path), "num_classes", path
    )
  source = directory / _TASK_WEIGHTS
  tensors = hdf5_file.Tensors(
      source, [source], keras_hub_names.modern_name
  )
  weights |= _read(tensors, config, (part,), num_outputs, ignored)
  if part == canonical.TASK:
    return task_file.read_if_there(
        directory / keras_hub_writing.LABELS_NAME, num_outputs, directory
    )
  return None


def _head_part(
    values: Mapping[str, Any], ignored: list[str]
) -> str | None:
  """Returns which part the head is, None if it is one that pd_tf lacks."""
  name = str(values.get("registered_name")).rpartition(">")[2]
  settings = values.get("config")
  activation = None
  if isinstance(settings, dict):
    activation = settings.get("activation")
  if name not in _PARTS:
    ignored.append(f"the head {name}")
    return None
  if activation not in _ACTIVATIONS:
    ignored.append(f"the head {name} with activation {activation}")
    return None
  return _PARTS[name]


def _read_lower_case(
    directory: pathlib.Path, vocabulary: tuple[str, ...], ignored: list[str]
) -> bool:
  path = directory / "tokenizer.json"
  if not path.exists() or not vocabulary:
    return vocabulary_file.looks_lower_case(vocabulary)
  settings = keras_hub_config.section(json_file.read(path), path)
  for key, expected in _TOKENIZER.items():
    if settings.get(key, expected) != expected:
      raise errors.InputError(
          f"{path}: {key} must be {expected!r}, was {settings[key]!r}."
      )
  lower_case = settings.get("lowercase", False)
  if not isinstance(lower_case, bool):
    raise errors.InputError(
        f"{path}: lowercase must be true or false, was {lower_case!r}."
    )
  # BERT does both or neither; Keras Hub's own presets leave accents be.
  if settings.get("strip_accents", False) != lower_case:
    ignored.append(f"strip_accents of {path.name}, {not lower_case}")
  return lower_case
