"""The encoder as a TF2 SavedModel of the form that TF-Hub serves BERT in.

A drop-in for what Model Garden's `export_tfhub_lib.export_model` writes; the
interface is tensorflow/hub's docs/reusable_saved_models.md (attributes) and
docs/common_saved_model_apis/text.md (names of inputs and outputs).
"""

from collections.abc import Callable
from collections.abc import Sequence
import pathlib
from typing import Any
from typing import Protocol

import tensorflow as tf

INPUTS = ("input_word_ids", "input_mask", "input_type_ids")


class Encoded(Protocol):
  """What an encoder gives for one text, or pair of texts, a row.

  Attributes:
    sequence: Float32 [B, S, H], the last layer's output.
    pooled: Float32 [B, 1, H].
    layers: Output of each layer, L of Float32 [B, S, H].
  """

  @property
  def sequence(self) -> tf.Tensor: ...  # noqa: D102

  @property
  def pooled(self) -> tf.Tensor: ...  # noqa: D102

  @property
  def layers(self) -> list[tf.Tensor]: ...  # noqa: D102


# From Int32 [B, S] ids, mask and type ids, and the seed of dropout: Int32 [2],
# or None for no dropout.
Encode = Callable[
    [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor | None], Encoded
]


def write(
    path: pathlib.Path,
    encode: Encode,
    variables: Sequence[tf.Variable],
    vocab_file: pathlib.Path,
    lower_case: bool,
) -> None:
  """Writes the SavedModel.

  Args:
    path: Directory to make.
    encode: Runs the encoder; traced with and without dropout.
    variables: All that `encode` reads, all trainable.
    vocab_file: Becomes the asset `vocab_file`.
    lower_case: Becomes the variable `do_lower_case`.
  """
  module = _Encoder(encode, variables, vocab_file, lower_case)
  specs = {
      name: tf.TensorSpec([None, None], tf.int32, name) for name in INPUTS
  }
  for training in (False, True):
    module.__call__.get_concrete_function(specs, training)
  signature = tf.function(
      lambda **inputs: _flat(module(inputs)), autograph=False
  ).get_concrete_function(**specs)
  tf.saved_model.save(module, str(path), {"serving_default": signature})


class _Encoder(tf.train.Checkpoint):
  """The root object of the SavedModel."""

  def __init__(
      self,
      encode: Encode,
      variables: Sequence[tf.Variable],
      vocab_file: pathlib.Path,
      lower_case: bool,
  ):
    super().__init__()
    # Reached through the functions alone. Were the Keras model itself an
    # attribute, each of its layers would be traced and saved once more.
    self._encode = self._no_dependency(encode)
    self.vocab_file = tf.saved_model.Asset(str(vocab_file))
    self.do_lower_case = tf.Variable(
        lower_case, trainable=False, name="do_lower_case"
    )
    # What hub.KerasLayer trains, holds and adds to the loss.
    self.trainable_variables = list(variables)
    self.variables = [*variables, self.do_lower_case]
    self.regularization_losses: list[Any] = []

  @tf.function(autograph=False)
  def __call__(
      self,
      inputs: dict[str, tf.Tensor],
      training: bool = False,
      mask: None = None,
  ) -> dict[str, Any]:
    """Returns the outputs for a dict of Int32 [B, S].

    Args:
      inputs: `input_word_ids`, `input_mask` (0 where padded) and
        `input_type_ids`.
      training: With dropout, its mask drawn anew in each call.
      mask: Unused; there because Keras gives its SavedModels this argument.
    """
    del mask
    ids, input_mask, type_ids = (inputs[name] for name in INPUTS)
    seed = _fresh_seed() if training else None
    encoded = self._encode(ids, input_mask, type_ids, seed)
    pooled = encoded.pooled[:, 0]
    return {
        "pooled_output": pooled,
        "sequence_output": encoded.sequence,
        "encoder_outputs": encoded.layers,
        # The name that text embeddings of any architecture share on TF-Hub.
        "default": pooled,
    }


def _flat(outputs: dict[str, Any]) -> dict[str, tf.Tensor]:
  """Returns the outputs in a dict of tensors alone, as signatures must."""
  flat = dict(outputs)
  for index, layer in enumerate(flat.pop("encoder_outputs")):
    flat[f"encoder_outputs_{index}"] = layer
  return flat


def _fresh_seed() -> tf.Tensor:
  """Returns Int32 [2], another one each time the graph runs.

  The raw op, because tf.random.uniform would write a global seed set in this
  process into the graph: all who load it would then draw the same masks.
  """
  return tf.raw_ops.RandomUniformInt(
      shape=[2], minval=tf.int32.min, maxval=tf.int32.max, seed=0, seed2=0
  )
