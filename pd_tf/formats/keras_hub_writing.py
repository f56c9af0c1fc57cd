"""Writes Keras Hub presets, with Keras Hub's own objects."""

from collections.abc import Iterator
import contextlib
import gc
import pathlib
from typing import Any
import warnings

from absl import logging

from pd_tf.config import encoder
from pd_tf.config import errors
from pd_tf.config import pretrained
from pd_tf.formats import canonical
from pd_tf.formats import keras_hub_config
from pd_tf.formats import keras_hub_names
from pd_tf.formats import task_file
from pd_tf.formats import vocabulary_file

# The meaning of a head; Keras Hub has a task.json of its own.
LABELS_NAME = "labels.json"

OWN_FILES = (
    keras_hub_config.NAME, keras_hub_config.OWN_NAME, LABELS_NAME, "assets",
    "metadata.json", "model.weights.h5", "model.weights.json",
    "model_*.weights.h5", "preprocessor.json", "task.json", "task.weights.h5",
    "tokenizer.json",
)


def write(path: pathlib.Path, model: pretrained.Pretrained) -> None:
  """Makes a preset directory; see `keras_hub.write`.

  BERT-Base takes 5 s, and 1.3 GiB beside the weights themselves.
  """
  parts = _parts(model)
  _require_computable(model.encoder)
  vocabulary_file.require_whole(model.vocabulary, model.encoder.vocab_size)
  with _without_warnings():
    _save(path, model, parts)
  # Keras models are full of circles: six of BERT-Base were never freed while
  # the next was made, which took 3.6 GiB.
  gc.collect()
  keras_hub_config.write(path, model.encoder)
  if model.task is not None:
    task_file.write(path / LABELS_NAME, model.task)


def _save(
    path: pathlib.Path, model: pretrained.Pretrained, parts: canonical.Shapes
) -> None:
  library = _keras_hub()
  backbone = library.models.BertBackbone(
      **keras_hub_config.arguments(model.encoder),
      # Whatever precision the user has set Keras to.
      dtype="float32",
      # Keras numbers names by how many there were before in the process.
      name="bert_backbone",
  )
  preprocessor = _preprocessor(library, model)
  task = _task(library, model, parts, backbone, preprocessor)
  whole = task or backbone
  _assign(whole, model, parts)
  path.mkdir()
  whole.save_to_preset(str(path))
  if task is None:
    # An encoder is there to be made a classifier of.
    preprocessor.save_to_preset(str(path))


def _parts(model: pretrained.Pretrained) -> canonical.Shapes:
  """Returns the tensors to write."""
  num_outputs = len(model.task.label_names) if model.task else 0
  groups = canonical.groups(model.encoder, num_outputs)
  head = canonical.TASK if num_outputs else canonical.MASKED_LM
  groups = {
      # A preset always has a pooler.
      canonical.ENCODER: groups[canonical.ENCODER] | groups[canonical.POOLER],
      head: groups[head],
  }
  shapes = {name: array.shape for name, array in model.weights.items()}
  present = canonical.present(groups, shapes, "model")
  if num_outputs and head not in present:
    raise errors.InputError(
        f"model: task and {canonical.TASK_WEIGHTS} must come together."
    )
  return {
      name: shape for part in present for name, shape in groups[part].items()
  }


def _require_computable(config: encoder.EncoderConfig) -> None:
  """Raises InputError for settings that Keras Hub's BERT has fixed."""
  for name, fixed, value in (
      ("hidden_act", "gelu", config.hidden_act),
      ("layer_norm_epsilon", 1e-12, config.layer_norm_epsilon),
  ):
    if value != fixed:
      raise errors.InputError(
          f"encoder.{name}: must be {fixed!r} for a Keras Hub preset, as its "
          f"BERT computes nothing else, was {value!r}."
      )
  if config.attention_dropout != config.hidden_dropout:
    logging.warning(
        "keras_hub: has one dropout rate; training with it drops %s of the "
        "attention probabilities too, not %s.",
        config.hidden_dropout,
        config.attention_dropout,
    )


def _keras_hub() -> Any:
  """Imports Keras Hub, here because that takes seconds and a backend.

  Raises:
    InputError: The backend that Keras is set to cannot be imported.
  """
  try:
    import keras_hub
  except (ImportError, ValueError) as error:
    message = " ".join(str(error).split())
    raise errors.InputError(
        "KERAS_BACKEND: must name a backend that Keras can import (as "
        f"KERAS_BACKEND=tensorflow): {message}."
    ) from None
  return keras_hub


def _preprocessor(library: Any, model: pretrained.Pretrained) -> Any:
  tokenizer = library.models.BertTokenizer(
      vocabulary=list(model.vocabulary),
      lowercase=model.lower_case,
      strip_accents=model.lower_case,
      name="bert_tokenizer",
  )
  return library.models.BertTextClassifierPreprocessor(
      tokenizer,
      sequence_length=model.encoder.max_positions,
      name="bert_text_classifier_preprocessor",
  )


def _task(
    library: Any,
    model: pretrained.Pretrained,
    parts: canonical.Shapes,
    backbone: Any,
    preprocessor: Any,
) -> Any:
  """Returns the model with its head, None without one."""
  if model.task is not None:
    return library.models.BertTextClassifier(
        backbone,
        num_classes=len(model.task.label_names),
        preprocessor=preprocessor,
        dropout=model.encoder.hidden_dropout,
        name="bert_text_classifier",
    )
  if "cls/predictions/output_bias" not in parts:
    return None
  # Its settings are no arguments, so a preset cannot say them either.
  logging.warning(
      "keras_hub: BertMaskedLM computes its head with the exact gelu and "
      "LayerNorm's epsilon 1e-5, BERT with the tanh gelu and 1e-12: masked LM "
      "logits differ by some 1e-4 of the largest. The weights are kept."
  )
  return library.models.BertMaskedLM(
      backbone,
      preprocessor=library.models.BertMaskedLMPreprocessor(
          preprocessor.tokenizer,
          sequence_length=preprocessor.sequence_length,
          name="bert_masked_lm_preprocessor",
      ),
      name="bert_masked_lm",
  )


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
  """Hides two that Keras 3 has with NumPy 2 and with Keras Hub's own models."""
  with warnings.catch_warnings():
    warnings.filterwarnings(
        "ignore", "__array__ implementation", DeprecationWarning
    )
    warnings.filterwarnings("ignore", r"`build\(\)` was called", UserWarning)
    yield


def _assign(
    whole: Any, model: pretrained.Pretrained, parts: canonical.Shapes
) -> None:
  variables = {variable.path: variable for variable in whole.weights}
  places = keras_hub_names.places(model.encoder, parts)
  for name, place in places.items():
    variable = variables.pop(place.variable)
    variable.assign(
        keras_hub_names.to_stored(name, model.weights[name], place)
    )
  assert not variables, variables.keys()
