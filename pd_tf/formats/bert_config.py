"""The keys that google-research/bert and Hugging Face configurations share."""

from collections.abc import Mapping
import pathlib
import sys
from typing import Any
from typing import Literal

from pd_tf.config import encoder
from pd_tf.config import errors

Activation = Literal["gelu", "gelu_erf"]

# Far more than any BERT has. Each layer is 16 names before a file's tensors are
# compared with them: a billion would take all memory.
MAX_LAYERS = 1000


def from_json(
    values: Mapping[str, Any],
    path: pathlib.Path,
    activations: Mapping[str, Activation],
    epsilon_key: str,
) -> encoder.EncoderConfig:
  """Returns the encoder that a configuration describes.

  Args:
    values: The JSON object.
    path: Its file, for messages.
    activations: What each known value of `hidden_act` computes.
    epsilon_key: Name of LayerNorm's epsilon, which has a default.

  Raises:
    InputError: A key is missing or its value is no encoder's.
  """
  hidden = integer(values, "hidden_size", path)
  heads = integer(values, "num_attention_heads", path)
  if hidden % heads:
    raise errors.InputError(
        f"{path}: hidden_size ({hidden}) must be a multiple of "
        f"num_attention_heads ({heads})."
    )
  inner = integer(values, "intermediate_size", path)
  try:
    return encoder.EncoderConfig(
        num_layers=_num_layers(values, path),
        hidden_size=hidden,
        head_size=hidden // heads,
        intermediate_size=None if inner == 4 * hidden else inner,
        vocab_size=integer(values, "vocab_size", path),
        max_positions=integer(values, "max_position_embeddings", path),
        type_vocab_size=integer(values, "type_vocab_size", path),
        hidden_act=_activation(values, path, activations),
        hidden_dropout=_number(values, "hidden_dropout_prob", 0.1, path),
        attention_dropout=_number(
            values, "attention_probs_dropout_prob", 0.1, path
        ),
        initializer_range=_number(values, "initializer_range", 0.02, path),
        layer_norm_epsilon=_number(values, epsilon_key, 1e-12, path),
    )
  except errors.InputError as error:
    if str(error).startswith(str(path)):
      raise
    raise errors.InputError(f"{path}: {error}") from None


def to_json(config: encoder.EncoderConfig) -> dict[str, Any]:
  """Returns the released `bert_config.json`: its keys, in its order.

  `layer_norm_epsilon` is a key of pd_tf's own, there only when it is not the
  1e-12 that google-research/bert computes with. `hidden_act` "gelu_erf" is one
  too: google-research/bert refuses it, as it has no such activation.
  """
  values = {
      "hidden_size": config.hidden_size,
      "hidden_act": config.hidden_act,
      "initializer_range": config.initializer_range,
      "vocab_size": config.vocab_size,
      "hidden_dropout_prob": config.hidden_dropout,
      "num_attention_heads": config.num_heads,
      "type_vocab_size": config.type_vocab_size,
      "max_position_embeddings": config.max_positions,
      "num_hidden_layers": config.num_layers,
      "intermediate_size": config.feed_forward_size,
      "attention_probs_dropout_prob": config.attention_dropout,
  }
  if config.layer_norm_epsilon != 1e-12:
    values["layer_norm_epsilon"] = config.layer_norm_epsilon
  return values


def integer(values: Mapping[str, Any], key: str, path: pathlib.Path) -> int:
  """Returns a value that is a size.

  Args:
    values: The JSON object.
    key: Its name there.
    path: The file, for messages.

  Raises:
    InputError: It is missing or none.
  """
  value = values.get(key)
  if not isinstance(value, int) or isinstance(value, bool) or value < 1:
    raise errors.InputError(
        f"{path}: {key} must be an integer of at least 1, "
        + (f"was {value!r}." if key in values else "is not there.")
    )
  return value


def _num_layers(values: Mapping[str, Any], path: pathlib.Path) -> int:
  layers = integer(values, "num_hidden_layers", path)
  if layers > MAX_LAYERS:
    raise errors.InputError(
        f"{path}: num_hidden_layers must be at most {MAX_LAYERS}, was {layers}."
    )
  return layers


def _number(
    values: Mapping[str, Any], key: str, default: float, path: pathlib.Path
) -> float:
  value = values.get(key, default)
  if not isinstance(value, (int, float)) or isinstance(value, bool):
    raise errors.InputError(f"{path}: {key} must be a number, was {value!r}.")
  # JSON as Python reads it has NaN, infinity and integers of any length.
  if not 0 <= value <= sys.float_info.max:
    raise errors.InputError(
        f"{path}: {key} must be a finite number of at least 0, was {value!r}."
    )
  return float(value)


def _activation(
    values: Mapping[str, Any],
    path: pathlib.Path,
    activations: Mapping[str, Activation],
) -> Activation:
  name = values.get("hidden_act")
  if not isinstance(name, str) or name not in activations:
    raise errors.InputError(
        f"{path}: hidden_act must be one of {', '.join(activations)}, was "
        f"{name!r}."
    )
  return activations[name]
