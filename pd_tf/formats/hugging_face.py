"""A Hugging Face directory of BERT: config.json and safetensors, no torch."""

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
import json
import pathlib

from absl import logging
import numpy as np

from pd_tf.config import encoder
from pd_tf.config import errors
from pd_tf.config import pretrained
from pd_tf.formats import canonical
from pd_tf.formats import hugging_face_config
from pd_tf.formats import hugging_face_names
from pd_tf.formats import hugging_face_tokenizer
from pd_tf.formats import json_file
from pd_tf.formats import safetensors_file
from pd_tf.formats import vocabulary_file

CONFIG_NAME = hugging_face_config.NAME

OWN_FILES = (
    CONFIG_NAME, safetensors_file.NAME, *hugging_face_tokenizer.OWN_FILES,
)


def found_in(path: pathlib.Path) -> bool:
  """Returns whether there is a Hugging Face directory.

  Keras Hub's presets have a config.json too; theirs names a Keras class.
  """
  config_path = path / CONFIG_NAME
  if not config_path.is_file():
    return False
  try:
    return "registered_name" not in json_file.read(config_path)
  except errors.InputError:
    # `read` says what is wrong with it.
    return True


def carried(parts: Collection[str]) -> list[str]:
  """Returns the parts of a model (names in canonical.py) that are kept: all."""
  return list(parts)


def read(path: str | pathlib.Path) -> pretrained.Pretrained:
  """Returns the model in a Hugging Face directory.

  Args:
    path: Directory with config.json, model.safetensors (or its shards), and
      vocab.txt or tokenizer.json.

  Raises:
    InputError: It is no BERT of the released kind, a file is missing or
      damaged, or files do not fit each other.
  """
  directory = pathlib.Path(path)
  config_path = directory / CONFIG_NAME
  values = json_file.read(config_path)
  config = hugging_face_config.read_encoder(values, config_path)
  tensors = safetensors_file.Tensors(directory)
  vocabulary = hugging_face_tokenizer.read_vocabulary(
      directory, config.vocab_size
  )
  task = hugging_face_config.read_task(
      values, config_path, _num_outputs(tensors, config)
  )
  return pretrained.Pretrained(
      encoder=config,
      weights=_read_weights(tensors, config, task),
      vocabulary=vocabulary,
      lower_case=hugging_face_tokenizer.read_lower_case(directory, vocabulary),
      task=task,
  )


def read_config(path: pathlib.Path) -> encoder.EncoderConfig:
  """Returns the shape of the model in a Hugging Face directory.

  Raises:
    InputError: There is no such file, or it is of no BERT of the released kind.
  """
  config_path = path / CONFIG_NAME
  return hugging_face_config.read_encoder(
      json_file.read(config_path), config_path
  )


def write(path: pathlib.Path, model: pretrained.Pretrained) -> None:
  """Writes a Hugging Face directory.

  All heads are stored, whichever of them config.json's `architectures` names,
  so that each of transformers' classes finds its own. A model without heads
  has no prefix `bert.`; the MLM's decoder, tied to the word embeddings, is not
  stored. Both are as transformers itself writes.

  Args:
    path: Directory to make.
    model: Its vocabulary must fit its encoder.

  Raises:
    InputError: The model lacks a vocabulary or a tensor, or the place cannot
      be written to.
  """
  num_outputs = len(model.task.label_names) if model.task else 0
  parts = canonical.groups(model.encoder, num_outputs)
  shapes = {name: array.shape for name, array in model.weights.items()}
  present = canonical.present(parts, shapes, "model")
  vocabulary_file.require_whole(model.vocabulary, model.encoder.vocab_size)
  values = hugging_face_config.to_json(model, present)
  bare = values["architectures"] == [hugging_face_config.BARE]
  path.mkdir()
  (path / CONFIG_NAME).write_text(
      json.dumps(values, indent=2) + "\n", encoding="utf-8"
  )
  hugging_face_tokenizer.write(path, model)
  safetensors_file.write(
      path / safetensors_file.NAME,
      {
          _written_name(name, bare): hugging_face_names.turned(
              name, model.weights[name]
          )
          for part in present
          for name in parts[part]
      },
  )


def _written_name(name: str, bare: bool) -> str:
  stored = hugging_face_names.stored(name)
  return hugging_face_names.without_prefix(stored) if bare else stored


def _num_outputs(
    tensors: safetensors_file.Tensors, config: encoder.EncoderConfig
) -> int:
  shape = tensors.shapes.get(hugging_face_names.CLASSIFIER, ())
  # A tensor of no columns could have a billion rows in a file of no size.
  return shape[0] if shape[1:] == (config.hidden_size,) else 0


def _read_weights(
    tensors: safetensors_file.Tensors,
    config: encoder.EncoderConfig,
    task: pretrained.TaskHead | None,
) -> dict[str, np.ndarray]:
  stored = hugging_face_names.modern(tensors.shapes)
  parts = canonical.groups(config, len(task.label_names) if task else 0)
  if not _decoder_is_tied(tensors, stored):
    del parts[canonical.MASKED_LM]
  present = canonical.present(
      {
          part: hugging_face_names.stored_shapes(shapes)
          for part, shapes in parts.items()
      },
      {name: tensors.shapes[old] for name, old in stored.items()},
      tensors.directory,
  )
  names = [name for part in present for name in parts[part]]
  _log_rest(tensors.directory, stored, names, parts.keys() - set(present))
  weights = {}
  for name in names:
    tensor = tensors.read(stored[hugging_face_names.stored(name)])
    weights[name] = hugging_face_names.turned(name, tensor)
  return weights


def _decoder_is_tied(
    tensors: safetensors_file.Tensors, stored: Mapping[str, str]
) -> bool:
  """Returns False, with a log line, where the MLM has weights of its own."""
  decoder = hugging_face_names.DECODER
  embeddings = hugging_face_names.WORD_EMBEDDINGS
  if decoder not in stored or embeddings not in stored:
    return True
  if np.array_equal(
      tensors.read(stored[decoder]), tensors.read(stored[embeddings])
  ):
    return True
  logging.warning(
      "%s: left out the %s, as %s is not the word embeddings.",
      tensors.directory,
      canonical.MASKED_LM,
      decoder,
  )
  return False


def _log_rest(
    directory: pathlib.Path,
    stored: Mapping[str, str],
    names: Iterable[str],
    absent: Collection[str],
) -> None:
  used = {hugging_face_names.stored(name) for name in names}
  ignored = sorted(stored.keys() - used - set(hugging_face_names.REPEATED))
  if ignored:
    # Escaped: a name is whatever the file says, line ends too.
    listed = ", ".join(ignored).encode("unicode_escape").decode()
    logging.warning("%s: ignored %s.", directory, listed)
  if canonical.POOLER in absent:
    logging.warning("%s: there is no pooler.", directory)
