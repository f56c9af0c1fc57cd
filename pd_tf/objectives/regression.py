"""Squared error of a score."""

from typing import Any

import tensorflow as tf

from pd_tf.objectives import term


def squared_error(
    scores: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor
) -> term.Term:
  """Returns (score - target)^2.

  Args:
    scores: Float32 [..., 1], the head's output.
    targets: Float32 [...].
    weights: Float32 [...].

  Returns:
    Values and weights, each [...].
  """
  targets = tf.cast(targets, scores.dtype)
  return term.Term(tf.square(scores[..., 0] - targets), weights)


def outputs(
    model: Any, batch: dict[str, tf.Tensor], seed: tf.Tensor
) -> term.Outputs:
  """Returns the squared error of a batch.

  Args:
    model: Has `logits(batch, seed)`, Float32 [B, E, 1].
    batch: Packed rows with `labels` Float32 [B, E], `label_weights`.
    seed: Int32 [2], of dropout.
  """
  scores = model.logits(batch, seed)
  loss = squared_error(scores, batch["labels"], batch["label_weights"])
  return term.Outputs(
      {"task": loss}, {},
      term.counts(batch["example_ids"], batch["example_weights"]),
  )
