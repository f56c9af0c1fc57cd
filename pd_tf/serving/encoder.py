"""The encoder as a TF2 SavedModel of the form that TF-Hub serves BERT in.

A drop-in for what Model Garden's `export_tfhub_lib.export_model` writes: the
calls, the attributes, the signature, the variables with their names, shapes
and order. The interface is tensorflow/hub's docs/reusable_saved_models.md
(attributes) and docs/common_saved_model_apis/text.md (names of inputs and
outputs).
"""

from collections.abc import Mapping
from collections.abc import Sequence
import pathlib
from typing import Any
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from pd_tf.config import encoder as encoder_config
from pd_tf.serving import plain

INPUTS = ("input_word_ids", "input_mask", "input_type_ids")
MASKED_LM_INPUTS = (*INPUTS, "masked_lm_positions")


class Stored(NamedTuple):
  """How a tensor of the released checkpoints is stored as a variable.

  Attributes:
    released: Its name in the released checkpoints.
    name: Of the variable.
    shape: Of the variable; of as many numbers, in the same order.
  """

  released: str
  name: str
  shape: tuple[int, ...]


def write(
    path: pathlib.Path,
    config: encoder_config.EncoderConfig,
    weights: Mapping[str, np.ndarray],
    encoder_layout: Sequence[Stored],
    masked_lm_layout: Sequence[Stored],
    vocab_file: pathlib.Path,
    lower_case: bool,
) -> None:
  """Writes the SavedModel.

  Args:
    path: Directory to make.
    config: Shape of the encoder.
    weights: Float32 arrays by their names in the released checkpoints.
    encoder_layout: Variables of encoder and pooler, in order.
    masked_lm_layout: Those of the masked LM head; with any, the SavedModel has
      the sub-object `mlm`.
    vocab_file: Becomes the asset `vocab_file`.
    lower_case: Becomes the variable `do_lower_case`.
  """
  variables = _Variables(weights, encoder_layout)
  module = _Encoder(config, variables, vocab_file, lower_case)
  if masked_lm_layout:
    head = _Variables(weights, masked_lm_layout)
    module.mlm = _MaskedLm(config, variables, head)
    _trace(module.mlm, MASKED_LM_INPUTS)
  specs = _trace(module, INPUTS)
  signature = tf.function(
      lambda **inputs: _flat(module(inputs)), autograph=False
  ).get_concrete_function(**specs)
  tf.saved_model.save(module, str(path), {"serving_default": signature})


def _trace(module: Any, names: Sequence[str]) -> dict[str, tf.TensorSpec]:
  """Makes the traces of a call that are saved; returns its inputs."""
  specs = {
      name: tf.TensorSpec([None, None], tf.int32, name) for name in names
  }
  for training in (False, True):
    module.__call__.get_concrete_function(specs, training)
  return specs


class _Variables:
  """Variables, and the tensors of the released checkpoints that they hold."""

  def __init__(
      self, weights: Mapping[str, np.ndarray], layout: Sequence[Stored]
  ):
    self._layout = layout
    self._shapes = {
        stored.released: weights[stored.released].shape for stored in layout
    }
    self.all = [
        tf.Variable(
            weights[stored.released].reshape(stored.shape), name=stored.name
        )
        for stored in layout
    ]

  def tensors(self) -> dict[str, tf.Tensor]:
    """Returns the tensors by released name, in the graph."""
    return {
        stored.released: tf.reshape(variable, self._shapes[stored.released])
        for stored, variable in zip(self._layout, self.all, strict=True)
    }


class _Reusable(tf.train.Checkpoint):
  """What hub.KerasLayer trains, holds and adds to the loss."""

  def __init__(
      self,
      config: encoder_config.EncoderConfig,
      trainable_variables: Sequence[tf.Variable],
      other_variables: Sequence[tf.Variable] = (),
  ):
    super().__init__()
    self._config = self._no_dependency(config)
    self.trainable_variables = list(trainable_variables)
    self.variables = [*trainable_variables, *other_variables]
    self.regularization_losses: list[Any] = []


class _Encoder(_Reusable):
  """The root object of the SavedModel."""

  def __init__(
      self,
      config: encoder_config.EncoderConfig,
      variables: _Variables,
      vocab_file: pathlib.Path,
      lower_case: bool,
  ):
    self.do_lower_case = tf.Variable(
        lower_case, trainable=False, name="do_lower_case"
    )
    super().__init__(config, variables.all, [self.do_lower_case])
    self._variables = self._no_dependency(variables)
    self.vocab_file = tf.saved_model.Asset(str(vocab_file))

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
    outputs = _encoded(
        self._variables.tensors(), self._config, inputs, training
    )
    # The name that text embeddings of any architecture share on TF-Hub.
    return {**outputs, "default": outputs["pooled_output"]}


class _MaskedLm(_Reusable):
  """The sub-object `mlm`: the encoder with the masked LM head."""

  def __init__(
      self,
      config: encoder_config.EncoderConfig,
      encoder: _Variables,
      head: _Variables,
  ):
    super().__init__(config, [*encoder.all, *head.all])
    self._encoder = self._no_dependency(encoder)
    self._head = self._no_dependency(head)

  @tf.function(autograph=False)
  def __call__(
      self,
      inputs: dict[str, tf.Tensor],
      training: bool = False,
      mask: None = None,
  ) -> dict[str, Any]:
    """Returns the outputs, `mlm_logits` Float32 [B, P, V] among them.

    Args:
      inputs: Those of the encoder, and `masked_lm_positions`, Int32 [B, P].
      training: With dropout, its mask drawn anew in each call.
      mask: Unused.
    """
    del mask
    weights = {**self._encoder.tensors(), **self._head.tensors()}
    outputs = _encoded(weights, self._config, inputs, training)
    logits = plain.masked_lm_logits(
        weights, self._config, outputs["sequence_output"],
        inputs["masked_lm_positions"],
    )
    return {**outputs, "mlm_logits": logits}


def _encoded(
    weights: plain.Weights,
    config: encoder_config.EncoderConfig,
    inputs: Mapping[str, tf.Tensor],
    training: bool,
) -> dict[str, Any]:
  ids, mask, type_ids = (inputs[name] for name in INPUTS)
  encoded = plain.encode(weights, config, ids, mask, type_ids, training)
  return {
      "pooled_output": encoded.pooled,
      "sequence_output": encoded.layers[-1],
      "encoder_outputs": encoded.layers,
  }


def _flat(outputs: dict[str, Any]) -> dict[str, tf.Tensor]:
  """Returns the outputs under the names that the released modules give them.

  Keras numbered them in the order of a dict's sorted keys: `bert_encoder` is
  default, then come the L layers, the pooled output and the sequence.
  """
  flat = tf.nest.flatten(outputs)
  names = ["bert_encoder", *(f"bert_encoder_{i}" for i in range(1, len(flat)))]
  return dict(zip(names, flat, strict=True))
