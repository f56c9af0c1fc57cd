"""The shape of an encoder, by Model Garden's settings or by its variables."""

from collections.abc import Mapping
import pathlib
import re
from typing import Any

from absl import logging
import yaml

from pd_tf.config import encoder
from pd_tf.config import errors
from pd_tf.formats import bert_config
from pd_tf.formats import model_garden_weights

PARAMS_NAME = "params.yaml"

_TYPES = ("bert", "bert_v2")

# official.nlp.configs.encoders.BertEncoderConfig, and google-research/bert.
_KEYS = {
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_size",
    "num_layers": "num_hidden_layers",
    "num_attention_heads": "num_attention_heads",
    "intermediate_size": "intermediate_size",
    "hidden_activation": "hidden_act",
    "dropout_rate": "hidden_dropout_prob",
    "attention_dropout_rate": "attention_probs_dropout_prob",
    "max_position_embeddings": "max_position_embeddings",
    "type_vocab_size": "type_vocab_size",
    "initializer_range": "initializer_range",
}

_LAYER = re.compile(r"bert/encoder/layer_(\d+)/")


def from_params(path: pathlib.Path) -> encoder.EncoderConfig:
  """Returns the encoder that a params.yaml of Model Garden's describes.

  Raises:
    InputError: The file is damaged or describes no encoder of BERT.
  """
  values = _bert(_yaml(path), path)
  embedding_size = values.get("embedding_size")
  if embedding_size not in (None, values.get("hidden_size")):
    raise errors.InputError(
        f"{path}: embedding_size must be hidden_size "
        f"({values.get('hidden_size')}), was {embedding_size!r}."
    )
  if values.get("norm_first"):
    raise errors.InputError(f"{path}: norm_first must be false, was true.")
  renamed = {
      ours: values[theirs] for theirs, ours in _KEYS.items() if theirs in values
  }
  return bert_config.from_json(
      renamed, path, {"gelu": "gelu"}, "layer_norm_epsilon"
  )


def from_shapes(
    found: model_garden_weights.Found,
    source: object,
    hidden_act: bert_config.Activation = "gelu",
    layer_norm_epsilon: float = 1e-12,
) -> encoder.EncoderConfig:
  """Returns the encoder that has these variables; logs what was assumed.

  Raises:
    InputError: A variable is missing, or shapes do not fit each other.
  """
  vocab_size, hidden = _shape(found, "embeddings/word_embeddings", source)
  positions, _ = _shape(found, "embeddings/position_embeddings", source)
  types, _ = _shape(found, "embeddings/token_type_embeddings", source)
  _, inner = _shape(found, "encoder/layer_0/intermediate/dense/kernel", source)
  # Where a number is left out, its tensors will be missed.
  layers = len({
      match[1] for match in map(_LAYER.match, found.variables) if match
  })
  # All the released encoders have heads of 64.
  heads = found.num_heads or max(1, hidden // 64)
  assumed = ["dropout 0.1"]
  if found.num_heads is None:
    assumed.append(f"num_attention_heads {heads}")
  logging.warning(
      "%s: has no configuration; took the shapes of its variables, hidden_act "
      "%s, and assumed %s.", source, hidden_act, ", ".join(assumed),
  )
  if hidden % heads:
    raise errors.InputError(
        f"{source}: hidden_size ({hidden}) must be a multiple of "
        f"num_attention_heads ({heads})."
    )
  return encoder.EncoderConfig(
      num_layers=layers, hidden_size=hidden, head_size=hidden // heads,
      intermediate_size=None if inner == 4 * hidden else inner,
      vocab_size=vocab_size, max_positions=positions, type_vocab_size=types,
      hidden_act=hidden_act, layer_norm_epsilon=layer_norm_epsilon,
  )


def _yaml(path: pathlib.Path) -> Any:
  try:
    return yaml.safe_load(path.read_bytes())
  except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
    line = " ".join(str(error).split())
    raise errors.InputError(f"{path}: not valid YAML: {line}.") from None
  except OSError as error:
    raise errors.InputError(
        f"{path}: cannot be read: {error.strerror}."
    ) from None


def _bert(values: Any, path: pathlib.Path) -> Mapping[str, Any]:
  """Returns task.model.encoder.bert, whichever of its names it has."""
  for key in ("task", "model", "encoder"):
    values = values.get(key) if isinstance(values, dict) else None
  kind = values.get("type", "bert") if isinstance(values, dict) else None
  if kind not in _TYPES:
    raise errors.InputError(
        f"{path}: task.model.encoder.type must be one of {', '.join(_TYPES)}, "
        f"was {kind!r}."
    )
  found = values.get(kind)
  if not isinstance(found, dict):
    raise errors.InputError(
        f"{path}: expected settings in task.model.encoder.{kind}, got "
        f"{found!r}."
    )
  return found


def _shape(
    found: model_garden_weights.Found, name: str, source: object
) -> tuple[int, ...]:
  shape = found.shapes.get(f"bert/{name}")
  if shape is None or len(shape) != 2 or not all(shape):
    raise errors.InputError(
        f"{source}: expected the matrix that is bert/{name} in released "
        "checkpoints, found "
        + ("none." if shape is None else f"shape {list(shape)}.")
    )
  return shape
