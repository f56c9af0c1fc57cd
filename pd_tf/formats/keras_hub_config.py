"""config.json of a Keras Hub preset, and what it has no place for."""

from collections.abc import Mapping
import dataclasses
import json
import pathlib
from typing import Any

from pd_tf.config import encoder
from pd_tf.config import errors
from pd_tf.formats import bert_config
from pd_tf.formats import config_file
from pd_tf.formats import json_file

NAME = "config.json"
OWN_NAME = "pd_tf_config.json"

_BACKBONES = ("keras_hub>BertBackbone", "keras_nlp>BertBackbone")

# Settings that leave a mark on weights, and their names in a preset.
_SIZES = {
    "num_layers": "num_layers",
    "hidden_size": "hidden_dim",
    "intermediate_size": "intermediate_dim",
    "vocab_size": "vocabulary_size",
    "max_positions": "max_sequence_length",
    "type_vocab_size": "num_segments",
}


def read(directory: pathlib.Path) -> encoder.EncoderConfig:
  """Returns the encoder of a preset.

  Raises:
    InputError: It is of another model, or a setting is missing or wrong.
  """
  path = directory / NAME
  values = json_file.read(path)
  name = values.get("registered_name")
  if name not in _BACKBONES:
    raise errors.InputError(
        f"{path}: registered_name must be one of {', '.join(_BACKBONES)}, was "
        f"{name!r}."
    )
  config = _encoder(section(values, path), path)
  own = directory / OWN_NAME
  return _with_own(config, own) if own.exists() else config


def write(directory: pathlib.Path, config: encoder.EncoderConfig) -> None:
  """Writes the file that keeps what config.json cannot."""
  text = json.dumps(bert_config.to_json(config), indent=2)
  (directory / OWN_NAME).write_text(text + "\n", encoding="utf-8")


def arguments(config: encoder.EncoderConfig) -> dict[str, Any]:
  """Returns an encoder as `keras_hub.models.BertBackbone` takes it."""
  values = dataclasses.asdict(config)
  values["intermediate_size"] = config.feed_forward_size
  return {
      **{theirs: values[ours] for ours, theirs in _SIZES.items()},
      "num_heads": config.num_heads,
      "dropout": config.hidden_dropout,
  }


def section(values: Mapping[str, Any], path: pathlib.Path) -> dict[str, Any]:
  """Returns the settings of a serialized Keras object.

  Raises:
    InputError: It has none.
  """
  config = values.get("config")
  if not isinstance(config, dict):
    raise errors.InputError(f"{path}: expected config, an object of settings.")
  return config


def _encoder(
    values: Mapping[str, Any], path: pathlib.Path
) -> encoder.EncoderConfig:
  sizes = {
      ours: bert_config.integer(values, theirs, path)
      for ours, theirs in _SIZES.items()
  }
  hidden = sizes["hidden_size"]
  heads = bert_config.integer(values, "num_heads", path)
  if hidden % heads:
    raise errors.InputError(
        f"{path}: hidden_dim ({hidden}) must be a multiple of num_heads "
        f"({heads})."
    )
  dropout = values.get("dropout", 0.1)
  if type(dropout) not in (int, float) or not 0 <= dropout < 1:
    raise errors.InputError(
        f"{path}: dropout must be in [0, 1), was {dropout!r}."
    )
  inner = sizes["intermediate_size"]
  return encoder.EncoderConfig(
      num_layers=sizes["num_layers"],
      hidden_size=hidden,
      vocab_size=sizes["vocab_size"],
      max_positions=sizes["max_positions"],
      type_vocab_size=sizes["type_vocab_size"],
      head_size=hidden // heads,
      intermediate_size=None if inner == 4 * hidden else inner,
      hidden_dropout=float(dropout),
      attention_dropout=float(dropout),
  )


def _with_own(
    config: encoder.EncoderConfig, path: pathlib.Path
) -> encoder.EncoderConfig:
  """Returns an encoder with what pd_tf's file knows better than Keras's."""
  own = config_file.read(path)
  for name in (*_SIZES, "head_size", "hidden_act", "layer_norm_epsilon"):
    theirs = dataclasses.asdict(config)[name]
    ours = dataclasses.asdict(own)[name]
    if ours != theirs:
      raise errors.InputError(
          f"{path}: {name} must be {theirs!r}, as {NAME} beside it says, was "
          f"{ours!r}."
      )
  if own.hidden_dropout != config.hidden_dropout:
    # Keras Hub changed the one rate that it has.
    own = dataclasses.replace(
        own, attention_dropout=config.attention_dropout
    )
  return dataclasses.replace(
      config,
      attention_dropout=own.attention_dropout,
      initializer_range=own.initializer_range,
  )
