"""Where a Keras Hub preset keeps each tensor of a BERT."""

import re
from typing import NamedTuple

import numpy as np

from pd_tf.config import encoder
from pd_tf.formats import canonical


class Place(NamedTuple):
  """Where a tensor is.

  Attributes:
    stored: Its name in the HDF5 file, after `modern_name`.
    variable: Path of the Keras variable.
    shape: As stored: attention's kernels have heads, the task head's are
      [H, C].
  """

  stored: str
  variable: str
  shape: tuple[int, ...]


# Group in the file, where layers are named by class and count, and path of the
# variables, where they are named by name.
_EMBEDDINGS = {
    "bert/embeddings/word_embeddings": (
        "reversible_embedding", "token_embedding",
    ),
    "bert/embeddings/position_embeddings": (
        "position_embedding", "position_embedding",
    ),
    "bert/embeddings/token_type_embeddings": (
        "embedding", "segment_embedding",
    ),
}
_SCOPES = {
    "bert/embeddings/LayerNorm": (
        "layer_normalization", "embeddings_layer_norm",
    ),
    "bert/pooler/dense": ("dense", "pooled_dense"),
    "cls/predictions/transform/dense": (
        "masked_lm_head/_intermediate_dense", "mlm_head/intermediate_dense",
    ),
    "cls/predictions/transform/LayerNorm": (
        "masked_lm_head/_intermediate_layer_norm",
        "mlm_head/intermediate_layer_norm",
    ),
}
_LAYER_SCOPES = {
    "attention/self/query": (
        "_self_attention_layer/query_dense", "self_attention_layer/query",
    ),
    "attention/self/key": (
        "_self_attention_layer/key_dense", "self_attention_layer/key",
    ),
    "attention/self/value": (
        "_self_attention_layer/value_dense", "self_attention_layer/value",
    ),
    "attention/output/dense": (
        "_self_attention_layer/output_dense",
        "self_attention_layer/attention_output",
    ),
    "attention/output/LayerNorm": (
        "_self_attention_layer_norm", "self_attention_layer_norm",
    ),
    "intermediate/dense": (
        "_feedforward_intermediate_dense", "feedforward_intermediate_dense",
    ),
    "output/dense": ("_feedforward_output_dense", "feedforward_output_dense"),
    "output/LayerNorm": ("_feedforward_layer_norm", "feedforward_layer_norm"),
}
_OUTPUTS = {
    "cls/predictions/output_bias": (
        "masked_lm_head/vars/0", "mlm_head/output_bias",
    ),
    canonical.TASK_WEIGHTS: ("dense/vars/0", "logits/kernel"),
    canonical.TASK_BIAS: ("dense/vars/1", "logits/bias"),
}
_LEAVES = {"kernel": 0, "gamma": 0, "bias": 1, "beta": 1}


def places(
    config: encoder.EncoderConfig, shapes: canonical.Shapes
) -> dict[str, Place]:
  """Returns where tensors are.

  Args:
    config: Shape of the encoder.
    shapes: Canonical name to shape.
  """
  return {
      name: Place(*_names(name), _stored_shape(name, shape, config))
      for name, shape in shapes.items()
  }


def to_stored(name: str, array: np.ndarray, place: Place) -> np.ndarray:
  """Returns a canonical array as a preset has it."""
  if name == canonical.TASK_WEIGHTS:
    return array.T
  return array.reshape(place.shape)


def to_canonical(
    name: str, array: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
  """Returns a preset's array as the released checkpoints have it."""
  if name == canonical.TASK_WEIGHTS:
    return np.ascontiguousarray(array.T)
  return array.reshape(shape)


# Keras 2 named layers by the attribute that holds them, or by their name.
_OLD_LAYERS = {
    "token_embedding": "reversible_embedding",
    "segment_embedding": "embedding",
    "embeddings_layer_norm": "layer_normalization",
    "pooled_dense": "dense",
    "output_dense": "dense",
    "logits": "dense",
    "mlm_head": "masked_lm_head",
}
_CONTAINERS = re.compile(
    r"(layers|_layer_checkpoint_dependencies|transformer_layers)/"
)


def modern_name(name: str) -> str:
  """Returns the name of a tensor today, without the `layers/` before it.

  Args:
    name: Its path in a file that any version of Keras Hub or NLP wrote.
  """
  path = _CONTAINERS.sub("", name.replace("\\", "/"), count=1)
  layer, _, rest = path.partition("/")
  old = re.fullmatch(r"transformer_layer_(\d+)", layer)
  if old:
    layer = _transformer(int(old[1]))
  layer = _OLD_LAYERS.get(layer, layer)
  rest = re.sub(r"/_(query|key|value|output)_dense/", r"/\1_dense/", rest)
  return f"{layer}/{rest}".replace("_layernorm/", "_layer_norm/")


def num_layers(names: canonical.Shapes) -> int:
  """Returns how many transformer layers there are among modern names."""
  return len({
      name.partition("/")[0]
      for name in names
      if name.startswith("transformer_encoder")
  })


def _names(name: str) -> tuple[str, str]:
  """Returns where a tensor is in the file and in Keras."""
  if name in _OUTPUTS:
    return _OUTPUTS[name]
  if name in _EMBEDDINGS:
    group, path = _EMBEDDINGS[name]
    return f"{group}/vars/0", f"{path}/embeddings"
  scope, _, leaf = name.rpartition("/")
  group, path = _scope(scope)
  return f"{group}/vars/{_LEAVES[leaf]}", f"{path}/{leaf}"


def _scope(scope: str) -> tuple[str, str]:
  layer = re.fullmatch(r"bert/encoder/layer_(\d+)/(.+)", scope)
  if not layer:
    return _SCOPES[scope]
  group, path = _LAYER_SCOPES[layer[2]]
  index = int(layer[1])
  return (
      f"{_transformer(index)}/{group}", f"transformer_layer_{index}/{path}"
  )


def _transformer(index: int) -> str:
  return f"transformer_encoder_{index}" if index else "transformer_encoder"


def _stored_shape(
    name: str, shape: tuple[int, ...], config: encoder.EncoderConfig
) -> tuple[int, ...]:
  heads = (config.num_heads, config.head_size)
  if "/attention/self/" in name:
    return (*shape[:-1], *heads)
  if name.endswith("/attention/output/dense/kernel"):
    return (*heads, shape[-1])
  return shape[::-1] if name == canonical.TASK_WEIGHTS else shape
