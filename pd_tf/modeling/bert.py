"""BERT: the encoder with its heads, and its weights by canonical names."""

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from pd_tf.config import encoder as encoder_config
from pd_tf.config import errors
from pd_tf.modeling import dense
from pd_tf.modeling import dropout
from pd_tf.modeling import embeddings
from pd_tf.modeling import heads
from pd_tf.modeling import naming
from pd_tf.modeling import rows as rows_lib
from pd_tf.modeling import transformer


@dataclasses.dataclass(frozen=True)
class Encoded:
  """What the encoder gives for rows.

  Attributes:
    sequence: Float32 [B, S, H], the last layer's output.
    pooled: Float32 [B, E, H], tanh of a dense layer over each [CLS].
    layers: Output of each layer, L of Float32 [B, S, H].
    word_table: For the head tied to it; None without that head.
  """

  sequence: tf.Tensor
  pooled: tf.Tensor
  layers: list[tf.Tensor]
  word_table: embeddings.TiedTable | None


class Bert(tf_keras.Model):
  """An encoder, optionally with pre-training heads and a task head."""

  def __init__(
      self,
      config: encoder_config.EncoderConfig,
      pretraining_heads: bool,
      num_outputs: int,
      compute_dtype: str,
      parts: int,
  ):
    super().__init__(name="bert")
    size = config.hidden_size
    self.config = config
    self.num_outputs = num_outputs
    self._matmul_dtype = compute_dtype
    self._parts = parts
    self.embeddings = embeddings.Embeddings(config, name="embeddings")
    self.layer_list = [
        transformer.TransformerLayer(
            config, index, compute_dtype, name=f"layer_{index}"
        )
        for index in range(config.num_layers)
    ]
    self.pooler = dense.Dense(size, size, compute_dtype, name="pooler")
    # The heads; None where the model has not got them.
    self.masked_lm: Any = None
    self.next_sentence: Any = None
    self.task: Any = None
    if pretraining_heads:
      self.masked_lm = heads.MaskedLmHead(
          config, compute_dtype, name="masked_lm"
      )
      self.next_sentence = dense.Dense(
          size, 2, "float32", name="next_sentence"
      )
    if num_outputs:
      self.task = dense.Dense(size, num_outputs, "float32", name="task")
    self.built = True

  def encode(
      self, rows: Mapping[str, tf.Tensor], dropout_seed: tf.Tensor | None = None
  ) -> Encoded:
    """Runs the encoder.

    Args:
      rows: Int32 `input_ids`, `type_ids`, `position_ids`, `example_ids`
        (0 where padded) [B, S], and `cls_positions` [B, E].
      dropout_seed: Int32 [2]; None for no dropout.
    """
    if dropout_seed is None:
      layers, table = self._layers(rows), self._tied_table()
    else:
      layers, table = self._training_layers(rows, dropout_seed)
    shape = tf.shape(rows["input_ids"])
    shape = tf.concat([shape, [self.config.hidden_size]], axis=0)
    layers = [tf.reshape(layer, shape) for layer in layers]
    return Encoded(layers[-1], self._pool(layers[-1], rows), layers, table)

  def call(
      self, rows: Mapping[str, tf.Tensor], dropout_seed: tf.Tensor | None = None
  ) -> tf.Tensor:
    """Returns the task's logits where there is a task head, else `pooled`."""
    if self.task is None:
      return self.encode(rows, dropout_seed).pooled
    return self.logits(rows, dropout_seed)

  def logits(
      self, rows: Mapping[str, tf.Tensor], dropout_seed: tf.Tensor | None = None
  ) -> tf.Tensor:
    """Returns the task head's outputs, Float32 [B, E, C]."""
    pooled = self.encode(rows, dropout_seed).pooled
    site = 1 + self.config.num_layers * transformer.SITES
    pooled = dropout.dropout(
        pooled, self.config.hidden_dropout, dropout_seed, site
    )
    return _apply_dense(self.task, pooled)

  def masked_lm_logits(
      self, sequence: tf.Tensor, positions: tf.Tensor
  ) -> tf.Tensor:
    """Returns Float32 [B, P, V] for `sequence` at Int32 [B, P]."""
    return self.masked_lm(sequence, positions, self.embeddings.word)

  def masked_lm_cross_entropy(
      self, encoded: Encoded, positions: tf.Tensor, labels: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns -log P(label), Float32, and if it is likeliest, Bool [B, P].

    Args:
      encoded: Of the rows.
      positions: Int32 [B, P].
      labels: Int32 [B, P], in [0, V).
    """
    return self.masked_lm.cross_entropy(
        encoded.sequence, positions, encoded.word_table, labels
    )

  def next_sentence_logits(self, pooled: tf.Tensor) -> tf.Tensor:
    """Returns Float32 [B, E, 2]: B follows A, B is random."""
    return _apply_dense(self.next_sentence, pooled)

  @property
  def num_parameters(self) -> int:
    """Trainable numbers, heads included."""
    return sum(int(np.prod(v.shape)) for v in self.trainable_variables)

  @property
  def looked_up(self) -> tf.Variable | None:
    """The word table, where training only looks rows of it up."""
    return self.embeddings.word if self.masked_lm is None else None

  def canonical_weights(self) -> dict[str, np.ndarray]:
    """Returns Float32 arrays under the released checkpoints' names."""
    weights: dict[str, np.ndarray] = {}
    for binding in self._bindings():
      weights.update(binding.to_canonical())
    return weights

  def load_canonical_weights(
      self, weights: Mapping[str, np.ndarray]
  ) -> list[str]:
    """Assigns the weights that are there.

    Args:
      weights: Float arrays by canonical name; other names are ignored.

    Returns:
      Canonical names that `weights` lacks; these variables stay as they are.

    Raises:
      InputError: A weight's shape is not the variable's.
    """
    missing: list[str] = []
    for binding in self._bindings():
      absent = [name for name in binding.names if name not in weights]
      missing += absent
      if not absent:
        binding.assign({name: weights[name] for name in binding.names})
    return missing

  def _layers(self, rows: Mapping[str, tf.Tensor]) -> list[tf.Tensor]:
    bias = rows_lib.attention_bias(rows["example_ids"])
    tokens = self.embeddings(rows, None)
    layers = []
    for layer in self.layer_list:
      tokens = layer(tokens, bias, None)
      layers.append(tokens)
    return layers

  def _training_layers(
      self, rows: Mapping[str, tf.Tensor], seed: tf.Tensor
  ) -> tuple[list[tf.Tensor], embeddings.TiedTable | None]:
    all_tokens, all_low, table = self.embeddings.train(
        rows, seed, self._matmul_dtype, self._head_bias
    )
    example_ids = rows["example_ids"]
    spans = rows_lib.spans(example_ids.shape[0], self._parts)
    tokens, low, ids = (
        rows_lib.split(x, spans) for x in (all_tokens, all_low, example_ids)
    )
    layers = []
    for layer in self.layer_list:
      masks = layer.masks(example_ids, seed).split(spans)
      tokens, low = zip(
          *map(layer.train, tokens, low, ids, masks), strict=True
      )
      layers.append(tf.concat(tokens, axis=0))
    return layers, table

  @property
  def _head_bias(self) -> tf.Variable | None:
    return None if self.masked_lm is None else self.masked_lm.output_bias

  def _tied_table(self) -> embeddings.TiedTable | None:
    bias = self._head_bias
    if bias is None:
      return None
    return self.embeddings.tied_table(bias, self._matmul_dtype)

  def _pool(
      self, sequence: tf.Tensor, rows: Mapping[str, tf.Tensor]
  ) -> tf.Tensor:
    first = tf.gather(sequence, rows["cls_positions"], batch_dims=1)
    return tf.tanh(_apply_dense(self.pooler, first))

  def _bindings(self) -> Iterator[naming.Binding]:
    yield from naming.embeddings(self.embeddings)
    for index, layer in enumerate(self.layer_list):
      yield from naming.layer(layer, index)
    yield from naming.dense("bert/pooler/dense", self.pooler)
    if self.masked_lm is not None:
      yield from naming.masked_lm(self.masked_lm)
      yield from naming.output("cls/seq_relationship/", self.next_sentence)
    if self.task is not None:
      yield from naming.output("", self.task)


def build(
    config: encoder_config.EncoderConfig,
    pretraining_heads: bool = False,
    num_outputs: int = 0,
    compute_dtype: str = "float32",
    parts: int = 1,
) -> Bert:
  """Returns a model with all variables made.

  Args:
    config: Shape of the encoder.
    pretraining_heads: With masked LM and next-sentence heads.
    num_outputs: Outputs of the task head, C; 0 for none.
    compute_dtype: "float32", "bfloat16" or "float16", of matrix products.
    parts: Into how many training splits a batch's rows between embeddings and
      heads. More than one gives cores work where each operation runs on one.

  Raises:
    InputError: compute_dtype is none of them.
  """
  if compute_dtype not in ("float32", "bfloat16", "float16"):
    raise errors.InputError(
        "compute_dtype: expected float32, bfloat16 or float16, got "
        f"{compute_dtype!r}."
    )
  return Bert(config, pretraining_heads, num_outputs, compute_dtype, parts)


def _apply_dense(layer: dense.Dense, x: tf.Tensor) -> tf.Tensor:
  """Applies a layer of [T, in] matrices to [B, E, in]."""
  shape = tf.shape(x)
  out = layer(tf.reshape(x, [-1, x.shape[-1]]))
  return tf.reshape(out, [shape[0], shape[1], out.shape[-1]])
