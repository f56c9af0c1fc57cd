"""A Hugging Face directory of BERT: config.json and safetensors, no torch."""

from collections.abc import Iterable
from collections.abc import Mapping
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
from pd_tf.formats import hugging_face_tokenizer
from pd_tf.formats import json_file
from pd_tf.formats import safetensors_file

CONFIG_NAME = "config.json"

# "gelu" is the erf form there, and the tanh form in google-research/bert.
_ACTIVATIONS: dict[str, bert_config.Activation] = {
    "gelu": "gelu_erf",
    "gelu_python": "gelu_erf",
    "gelu_new": "gelu",
    "gelu_pytorch_tanh": "gelu",
}

# Settings of other encoders than the released ones, and their value in these.
_FIXED = {
    "model_type": "bert",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
}

_CLASSIFIER = "BertForSequenceClassification"

# Names that do not follow from the rule of `_stored_name`.
_NAMES = {
    "cls/predictions/output_bias": "cls.predictions.bias",
    "cls/seq_relationship/output_weights": "cls.seq_relationship.weight",
    "cls/seq_relationship/output_bias": "cls.seq_relationship.bias",
    canonical.TASK_WEIGHTS: "classifier.weight",
    canonical.TASK_BIAS: "classifier.bias",
}

_WORD_EMBEDDINGS = "bert.embeddings.word_embeddings.weight"
_DECODER = "cls.predictions.decoder.weight"

# Stored beside what they repeat: a constant, and tied weights.
_REPEATED = (
    "bert.embeddings.position_ids", _DECODER, "cls.predictions.decoder.bias",
)


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
  for key, expected in _FIXED.items():
    if values.get(key, expected) != expected:
      raise errors.InputError(
          f"{config_path}: {key} must be {expected!r}, was {values[key]!r}."
      )
  config = bert_config.from_json(
      values, config_path, _ACTIVATIONS, "layer_norm_eps"
  )
  tensors = safetensors_file.Tensors(directory)
  vocabulary = hugging_face_tokenizer.read_vocabulary(
      directory, config.vocab_size
  )
  task = _task(values, config_path, tensors)
  return pretrained.Pretrained(
      encoder=config,
      weights=_read_weights(tensors, config, task),
      vocabulary=vocabulary,
      lower_case=hugging_face_tokenizer.read_lower_case(directory, vocabulary),
      task=task,
  )


def _read_weights(
    tensors: safetensors_file.Tensors,
    config: encoder.EncoderConfig,
    task: pretrained.TaskHead | None,
) -> dict[str, np.ndarray]:
  stored = _modern_names(tensors.shapes)
  parts = canonical.groups(config, len(task.label_names) if task else 0)
  if not _decoder_is_tied(tensors, stored):
    del parts[canonical.MASKED_LM]
  present = canonical.present(
      {part: _stored_shapes(shapes) for part, shapes in parts.items()},
      {name: tensors.shapes[old] for name, old in stored.items()},
      tensors.directory,
  )
  names = [name for part in present for name in parts[part]]
  _log_rest(tensors.directory, stored, names, parts.keys() - set(present))
  return {
      name: _oriented(name, tensors.read(stored[_stored_name(name)]))
      for name in names
  }


def _stored_name(name: str) -> str:
  """Returns what Hugging Face calls a tensor of the released checkpoints."""
  if name in _NAMES:
    return _NAMES[name]
  dotted = name.replace("/layer_", "/layer.").replace("/", ".")
  dotted = re.sub(r"\.(kernel|gamma)$", ".weight", dotted)
  dotted = re.sub(r"\.beta$", ".bias", dotted)
  return dotted + ".weight" if dotted.endswith("_embeddings") else dotted


def _stored_shapes(shapes: canonical.Shapes) -> canonical.Shapes:
  # A dense layer's weight is stored [out, in].
  return {
      _stored_name(name): shape[::-1] if name.endswith("/kernel") else shape
      for name, shape in shapes.items()
  }


def _oriented(name: str, tensor: np.ndarray) -> np.ndarray:
  if name.endswith("/kernel"):
    return np.ascontiguousarray(tensor.T)
  return tensor


def _modern_names(names: Iterable[str]) -> dict[str, str]:
  """Returns today's full name to stored name.

  A bare encoder's tensors lack the prefix `bert.`; what was converted from
  TensorFlow long ago says gamma and beta.
  """
  names = list(names)
  bare = not any(name.startswith("bert.") for name in names)
  modern = {}
  for name in names:
    new = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", name)
    new = re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", new)
    if bare and re.match(r"(embeddings|encoder|pooler)\.", new):
      new = "bert." + new
    modern[new] = name
  return modern


def _decoder_is_tied(
    tensors: safetensors_file.Tensors, stored: Mapping[str, str]
) -> bool:
  """Returns False, with a log line, where the MLM has weights of its own."""
  if _DECODER not in stored or _WORD_EMBEDDINGS not in stored:
    return True
  decoder = tensors.read(stored[_DECODER])
  if np.array_equal(decoder, tensors.read(stored[_WORD_EMBEDDINGS])):
    return True
  logging.warning(
      "%s: left out the %s, as %s is not the word embeddings.",
      tensors.directory,
      canonical.MASKED_LM,
      _DECODER,
  )
  return False


def _log_rest(
    directory: pathlib.Path,
    stored: Mapping[str, str],
    names: Iterable[str],
    absent: Iterable[str],
) -> None:
  used = {_stored_name(name) for name in names}
  ignored = sorted(stored.keys() - used - set(_REPEATED))
  if ignored:
    logging.warning("%s: ignored %s.", directory, ", ".join(ignored))
  if canonical.POOLER in absent:
    logging.warning("%s: there is no pooler.", directory)


def _task(
    values: Mapping[str, Any],
    path: pathlib.Path,
    tensors: safetensors_file.Tensors,
) -> pretrained.TaskHead | None:
  """Returns what the classifier's outputs mean, None without a classifier."""
  shape = tensors.shapes.get(_NAMES[canonical.TASK_WEIGHTS])
  architectures = values.get("architectures") or [_CLASSIFIER]
  # A tagger's head has the same name.
  if not shape or _CLASSIFIER not in architectures:
    return None
  if shape[0] == 1:
    return pretrained.TaskHead("regression", ("score",))
  if values.get("problem_type") not in (None, "single_label_classification"):
    logging.warning(
        "%s: left out the head, as problem_type is %s.",
        path,
        values["problem_type"],
    )
    return None
  return pretrained.TaskHead(
      "classification", _label_names(values, shape[0], path)
  )


def _label_names(
    values: Mapping[str, Any], num_outputs: int, path: pathlib.Path
) -> tuple[str, ...]:
  # Hugging Face leaves the names out when they are its defaults.
  default = {str(index): f"LABEL_{index}" for index in range(num_outputs)}
  names = values.get("id2label") or default
  if not isinstance(names, dict) or names.keys() != default.keys():
    raise errors.InputError(
        f"{path}: id2label must name the ids 0 to {num_outputs - 1} of the "
        "classifier's outputs."
    )
  return tuple(str(names[index]) for index in default)
