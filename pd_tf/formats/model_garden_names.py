"""What tf-models-official (Model Garden) calls BERT's variables.

The names of today and those of 2019 to 2021, which TF-Hub still serves, to and
from the names of the released checkpoints. Attention kernels are stored by
head there: [H, A, d] and [A, d, H] for [H, H]; the numbers lie in the same
order in both.
"""

import re
from typing import NamedTuple

import numpy as np

from pd_tf.config import encoder
from pd_tf.formats import canonical

POOLER_SCOPE = "bert/pooler/dense"

# Scopes, ours and theirs, outside of the layers.
_SCOPES = {
    "bert/embeddings/word_embeddings": "word_embeddings/embeddings",
    "bert/embeddings/position_embeddings": "position_embedding/embeddings",
    "bert/embeddings/token_type_embeddings": "type_embeddings/embeddings",
    "bert/embeddings/LayerNorm": "embeddings/layer_norm",
    POOLER_SCOPE: "pooler_transform",
    "cls/predictions/output_bias": "cls/predictions/output_bias/bias",
    "cls/predictions/transform/dense": "cls/predictions/transform/dense",
    "cls/predictions/transform/LayerNorm": (
        "cls/predictions/transform/LayerNorm"
    ),
}

_LAYER_SCOPES = {
    "attention/self/query": "self_attention/query",
    "attention/self/key": "self_attention/key",
    "attention/self/value": "self_attention/value",
    "attention/output/dense": "self_attention/attention_output",
    "attention/output/LayerNorm": "self_attention_layer_norm",
    "intermediate/dense": "intermediate",
    "output/dense": "output",
    "output/LayerNorm": "output_layer_norm",
}

# Names of earlier versions (tensorflow/bert_en_uncased_L-12_H-768_A-12/1 has
# them all, below `bert_model/`), and of EncoderScaffold's pooler.
_OLD_SCOPES = {
    "embedding_postprocessor/position_embeddings": (
        "bert/embeddings/position_embeddings"
    ),
    "embedding_postprocessor/type_embeddings": (
        "bert/embeddings/token_type_embeddings"
    ),
    "embedding_postprocessor/layer_norm": "bert/embeddings/LayerNorm",
    "cls_transform": POOLER_SCOPE,
    "cls/predictions/output_bias": "cls/predictions/output_bias",
}

_OLD_LAYER_SCOPES = {"self_attention_output": "attention/output/dense"}

_KNOWN = {theirs: ours for ours, theirs in _SCOPES.items()} | _OLD_SCOPES
_KNOWN_IN_LAYER = {
    theirs: ours for ours, theirs in _LAYER_SCOPES.items()
} | _OLD_LAYER_SCOPES

# What stands before a name (`bert_encoder_v2/`, `bert_model/`) differs.
_LEAVES = r"(?P<leaf>/(?:kernel|bias|gamma|beta))?"
_PLAIN = re.compile(
    r"(?:.*/)?(?P<scope>" + "|".join(map(re.escape, _KNOWN)) + ")" + _LEAVES
)
_IN_LAYER = re.compile(
    r"(?:.*/)?(?:transformer|encoder)/layer_(?P<layer>\d{1,4})/(?P<scope>"
    + "|".join(map(re.escape, _KNOWN_IN_LAYER)) + ")" + _LEAVES
)
_FOREIGN = re.compile(
    r"(?:.*/)?(?:(?:transformer|encoder)/layer_\d+"
    r"|embedding_projection|final_layer_norm)/.*"
)
_HEAD = re.compile(
    r"(?:.*/)?(?P<head>[^/]+)/(?P<dense>pooler_dense|logits)/"
    r"(?P<leaf>kernel|bias)"
)


class Stored(NamedTuple):
  """A variable and the tensor of the released checkpoints that it holds.

  Attributes:
    released: Name of the tensor.
    name: Of the variable, where the encoder is a model of its own.
    shape: Of the variable.
  """

  released: str
  name: str
  shape: tuple[int, ...]


class HeadVariable(NamedTuple):
  """A variable of a `layers.ClassificationHead`.

  Attributes:
    head: Name of the head, such as `next_sentence`.
    dense: `pooler_dense` (the pooler, where the head has its own) or `logits`.
    leaf: `kernel` or `bias`.
  """

  head: str
  dense: str
  leaf: str


def layout(config: encoder.EncoderConfig, part: str) -> list[Stored]:
  """Returns the variables of a part, in Model Garden's order.

  Args:
    config: Shape of the encoder.
    part: The encoder, the pooler or the masked LM head, see formats/canonical.
  """
  return [
      Stored(name, _variable_name(name), _variable_shape(name, shape, config))
      for name, shape in canonical.groups(config)[part].items()
  ]


def released_name(variable: str) -> str | None:
  """Returns the released name of an encoder's or masked LM head's variable.

  Args:
    variable: Its full name, as a checkpoint has it; prefixes, `:0` and a
      uniquifying `_1` at its end do not matter.

  Returns:
    None if it is no such variable.
  """
  variable = _bare(variable)
  if match := _IN_LAYER.fullmatch(variable):
    scope = (
        f"bert/encoder/layer_{int(match['layer'])}/"
        + _KNOWN_IN_LAYER[match["scope"]]
    )
  elif match := _PLAIN.fullmatch(variable):
    scope = _KNOWN[match["scope"]]
  else:
    return None
  return scope + (match["leaf"] or "")


def is_foreign(variable: str) -> bool:
  """Returns whether a variable is of an encoder that is not plain BERT's.

  Of gated or talking-heads layers, for example, which Model Garden has under
  the same names with others beside them; or of factorized embeddings.
  """
  return bool(_FOREIGN.fullmatch(variable)) and released_name(variable) is None


def head_variable(variable: str) -> HeadVariable | None:
  """Returns which of a classification head's variables a name is."""
  match = _HEAD.fullmatch(_bare(variable))
  return match and HeadVariable(match["head"], match["dense"], match["leaf"])


def stored(
    name: str, tensor: np.ndarray, config: encoder.EncoderConfig
) -> np.ndarray:
  """Returns a released tensor in the shape of Model Garden's variable."""
  return tensor.reshape(_variable_shape(name, tensor.shape, config))


def released_shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
  """Returns the released shape of what has `shape` as a variable.

  Shapes of other ranks than expected come back as they are.
  """
  if not _is_by_head(name):
    return shape
  if name.endswith("output/dense/kernel") and len(shape) == 3:
    return (shape[0] * shape[1], shape[2])
  if name.endswith("/kernel") and len(shape) == 3:
    return (shape[0], shape[1] * shape[2])
  if name.endswith("/bias") and len(shape) == 2:
    return (shape[0] * shape[1],)
  return shape


def _is_by_head(name: str) -> bool:
  return bool(re.search(r"/attention/(?:self/\w+|output/dense)/", name))


def _variable_name(name: str) -> str:
  scope, _, leaf = name.rpartition("/")
  if name in _SCOPES:
    found = _SCOPES[name]
  elif scope in _SCOPES:
    found = f"{_SCOPES[scope]}/{leaf}"
  else:
    _, _, layer, rest = scope.split("/", 3)
    found = f"transformer/{layer}/{_LAYER_SCOPES[rest]}/{leaf}"
  # BertPretrainerV2, a Keras model named bert, builds its head.
  return f"bert/{found}" if found.startswith("cls/") else found


def _variable_shape(
    name: str, shape: tuple[int, ...], config: encoder.EncoderConfig
) -> tuple[int, ...]:
  if not _is_by_head(name) or name.endswith("output/dense/bias"):
    return shape
  by_head = (config.num_heads, config.head_size)
  if name.endswith("/bias"):
    return by_head
  if name.endswith("output/dense/kernel"):
    return (*by_head, shape[1])
  return (shape[0], *by_head)


def _bare(variable: str) -> str:
  # Loaded into a graph where the name was taken, a variable got another.
  return re.sub(r"_\d+$", "", variable.split(":")[0])
