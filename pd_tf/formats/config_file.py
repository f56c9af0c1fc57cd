"""bert_config.json beside weights, and what it says about the vocabulary."""

from collections.abc import Sequence
import json
import pathlib

from pd_tf.config import encoder
from pd_tf.config import errors
from pd_tf.config import pretrained
from pd_tf.formats import bert_config
from pd_tf.formats import json_file
from pd_tf.formats import vocabulary_file

NAME = "bert_config.json"

_ACTIVATIONS: dict[str, bert_config.Activation] = {
    "gelu": "gelu",
    "gelu_erf": "gelu_erf",
}

# A key of pd_tf's own, there only where the vocabulary's look misleads.
_CASE_KEY = "do_lower_case"


def read(path: pathlib.Path) -> encoder.EncoderConfig:
  """Returns the encoder that a bert_config.json describes.

  Raises:
    InputError: The file is missing, or describes no encoder.
  """
  return bert_config.from_json(
      json_file.read(path), path, _ACTIVATIONS, "layer_norm_epsilon"
  )


def read_lower_case(path: pathlib.Path, vocabulary: Sequence[str]) -> bool:
  """Returns whether texts are lower-cased, by the file or the vocabulary.

  Raises:
    InputError: The file is no JSON object, or its value is no boolean.
  """
  values = json_file.read(path) if path.exists() else {}
  lower_case = values.get(
      _CASE_KEY, vocabulary_file.looks_lower_case(vocabulary)
  )
  if not isinstance(lower_case, bool):
    raise errors.InputError(
        f"{path}: {_CASE_KEY} must be true or false, was {lower_case!r}."
    )
  return lower_case


def write(path: pathlib.Path, model: pretrained.Pretrained) -> None:
  """Writes what `read` and `read_lower_case` read."""
  values = bert_config.to_json(model.encoder)
  if vocabulary_file.looks_lower_case(model.vocabulary) != model.lower_case:
    values[_CASE_KEY] = model.lower_case
  path.write_text(json.dumps(values), encoding="utf-8")
