"""Which variable holds which released tensors (google-research/bert)."""

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses

import numpy as np
import tensorflow as tf

from pd_tf.config import errors
from pd_tf.modeling import dense as dense_lib
from pd_tf.modeling import embeddings as embeddings_lib
from pd_tf.modeling import heads
from pd_tf.modeling import normalization
from pd_tf.modeling import transformer


@dataclasses.dataclass(frozen=True)
class Binding:
  """One variable and the released tensors that lie side by side in it.

  Attributes:
    variable: Holds the tensors, joined along the last axis.
    names: Canonical names, in order.
    transpose: The released tensor is the variable's transpose.
  """

  variable: tf.Variable
  names: tuple[str, ...]
  transpose: bool = False

  def to_canonical(self) -> dict[str, np.ndarray]:
    """Returns the tensors by name, Float32."""
    value = self.variable.numpy()
    parts = np.split(value, len(self.names), axis=-1)
    return {
        name: np.ascontiguousarray(part.T if self.transpose else part)
        for name, part in zip(self.names, parts, strict=True)
    }

  def assign(self, weights: Mapping[str, np.ndarray]) -> None:
    """Sets the variable from its tensors.

    Raises:
      InputError: A tensor's shape does not fit.
    """
    shape = self.variable.shape.as_list()
    shape[-1] //= len(self.names)
    parts = []
    for name in self.names:
      part = np.asarray(weights[name], np.float32)
      expected = tuple(shape[::-1] if self.transpose else shape)
      if part.shape != expected:
        raise errors.InputError(
            f"{name}: expected shape {list(expected)}, got "
            f"{list(part.shape)}."
        )
      parts.append(part.T if self.transpose else part)
    self.variable.assign(np.concatenate(parts, axis=-1))


def dense(prefix: str, layer: dense_lib.Dense) -> Iterator[Binding]:
  """Yields the bindings of `prefix/kernel` and `prefix/bias`."""
  yield Binding(layer.kernel, (f"{prefix}/kernel",))
  yield Binding(layer.bias, (f"{prefix}/bias",))


def norm(prefix: str, layer: normalization.LayerNorm) -> Iterator[Binding]:
  """Yields the bindings of `prefix/LayerNorm/{beta,gamma}`."""
  yield Binding(layer.beta, (f"{prefix}/LayerNorm/beta",))
  yield Binding(layer.gamma, (f"{prefix}/LayerNorm/gamma",))


def output(prefix: str, layer: dense_lib.Dense) -> Iterator[Binding]:
  """Yields the bindings of a head, released as [C, H] and [C]."""
  yield Binding(layer.kernel, (f"{prefix}output_weights",), transpose=True)
  yield Binding(layer.bias, (f"{prefix}output_bias",))


def embeddings(layer: embeddings_lib.Embeddings) -> Iterator[Binding]:
  """Yields the bindings of the tables and their LayerNorm."""
  prefix = "bert/embeddings"
  yield Binding(layer.word, (f"{prefix}/word_embeddings",))
  yield Binding(layer.position, (f"{prefix}/position_embeddings",))
  yield Binding(layer.type, (f"{prefix}/token_type_embeddings",))
  yield from norm(prefix, layer.norm)


def layer(
    block: transformer.TransformerLayer, index: int
) -> Iterator[Binding]:
  """Yields the bindings of one Transformer layer."""
  prefix = f"bert/encoder/layer_{index}"
  parts = [f"{prefix}/attention/self/{p}" for p in ("query", "key", "value")]
  yield Binding(block.qkv.kernel, tuple(f"{part}/kernel" for part in parts))
  yield Binding(block.qkv.bias, tuple(f"{part}/bias" for part in parts))
  yield from dense(f"{prefix}/attention/output/dense", block.attention_output)
  yield from norm(f"{prefix}/attention/output", block.attention_norm)
  yield from dense(f"{prefix}/intermediate/dense", block.intermediate)
  yield from dense(f"{prefix}/output/dense", block.output_dense)
  yield from norm(f"{prefix}/output", block.output_norm)


def masked_lm(head: heads.MaskedLmHead) -> Iterator[Binding]:
  """Yields the bindings of the masked LM head."""
  prefix = "cls/predictions"
  yield from dense(f"{prefix}/transform/dense", head.transform)
  yield from norm(f"{prefix}/transform", head.norm)
  yield Binding(head.output_bias, (f"{prefix}/output_bias",))
