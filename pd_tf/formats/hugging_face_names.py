"""What Hugging Face's BERT calls the released checkpoints' tensors."""

from collections.abc import Iterable
import re

import numpy as np

from pd_tf.formats import canonical

CLASSIFIER = "classifier.weight"
WORD_EMBEDDINGS = "bert.embeddings.word_embeddings.weight"
DECODER = "cls.predictions.decoder.weight"

# Stored beside what they repeat: a constant, and tied weights.
REPEATED = (
    "bert.embeddings.position_ids", DECODER, "cls.predictions.decoder.bias",
)

_PREFIX = "bert."

# Names that do not follow from the rule of `stored`.
_NAMES = {
    "cls/predictions/output_bias": "cls.predictions.bias",
    "cls/seq_relationship/output_weights": "cls.seq_relationship.weight",
    "cls/seq_relationship/output_bias": "cls.seq_relationship.bias",
    canonical.TASK_WEIGHTS: CLASSIFIER,
    canonical.TASK_BIAS: "classifier.bias",
}


def stored(name: str) -> str:
  """Returns what Hugging Face calls a tensor of the released checkpoints."""
  if name in _NAMES:
    return _NAMES[name]
  dotted = name.replace("/layer_", "/layer.").replace("/", ".")
  dotted = re.sub(r"\.(kernel|gamma)$", ".weight", dotted)
  dotted = re.sub(r"\.beta$", ".bias", dotted)
  return dotted + ".weight" if dotted.endswith("_embeddings") else dotted


def stored_shapes(shapes: canonical.Shapes) -> canonical.Shapes:
  """Returns Hugging Face's names and shapes of tensors."""
  # A dense layer's weight is stored [out, in].
  return {
      stored(name): shape[::-1] if name.endswith("/kernel") else shape
      for name, shape in shapes.items()
  }


def turned(name: str, tensor: np.ndarray) -> np.ndarray:
  """Returns a tensor as the other side has it, either way.

  Args:
    name: The released checkpoints' name.
    tensor: A kernel changes between [in, out] and [out, in].
  """
  # Contiguous, as safetensors writes an array's memory whatever its strides.
  return np.ascontiguousarray(tensor.T if name.endswith("/kernel") else tensor)


def without_prefix(name: str) -> str:
  """Returns the name that a bare encoder (BertModel) has for a tensor."""
  return name.removeprefix(_PREFIX)


def modern(names: Iterable[str]) -> dict[str, str]:
  """Returns today's full name to stored name.

  A bare encoder's tensors lack the prefix `bert.`; what was converted from
  TensorFlow long ago says gamma and beta.
  """
  names = list(names)
  bare = not any(name.startswith(_PREFIX) for name in names)
  result = {}
  for name in names:
    new = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", name)
    new = re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", new)
    if bare and re.match(r"(embeddings|encoder|pooler)\.", new):
      new = _PREFIX + new
    result[new] = name
  return result
