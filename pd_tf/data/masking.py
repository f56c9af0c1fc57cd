"""Masked language modelling inputs, made in the graph (Devlin et al., 2019).

Dynamic: the mask of a batch follows from a seed, so that each pass over the
text has other masks and a resumed run has the same ones.
"""

import tensorflow as tf

# Of the predicted tokens 80 % become [MASK], 10 % a random entry, and 10 % stay
# (Devlin et al., 2019, Section 3.1).
_MASK_SHARE, _MASK_OR_RANDOM_SHARE = 0.8, 0.9


def default_max_predictions(seq_length: int) -> int:
  """Returns 20 predictions per 128 tokens, as google-research/bert has it."""
  return max(1, round(20 * seq_length / 128))


def num_predictions(
    num_tokens: int, mask_rate: float, max_predictions: int
) -> int:
  """Returns how many of a row's tokens are predicted.

  google-research/bert's rule: the rounded share of the tokens, special ones
  counted, but at least 1 and at most `max_predictions`.
  """
  return min(max_predictions, max(1, round(num_tokens * mask_rate)))


def mask(
    input_ids: tf.Tensor,
    never: tuple[int, ...],
    pad_id: int,
    mask_id: int,
    vocab_size: int,
    mask_rate: float,
    max_predictions: int,
    seed: tf.Tensor,
) -> dict[str, tf.Tensor]:
  """Chooses tokens to predict and hides them.

  Args:
    input_ids: Int32 [B, S], S known.
    never: Ids that are never predicted ([PAD], [CLS], [SEP]).
    pad_id: Id that is not counted as a token.
    mask_id: Id of [MASK].
    vocab_size: Random replacements are uniform in [0, vocab_size).
    mask_rate: Share of the tokens to predict.
    max_predictions: Most predictions of a row, P, at most S.
    seed: Int64 [2]; the same seed gives the same mask.

  Returns:
    input_ids: Int32 [B, S], with the chosen tokens hidden.
    masked_positions: Int32 [B, P], ascending, 0 where unused.
    masked_ids: Int32 [B, P], the tokens to predict, 0 where unused.
    masked_weights: Float32 [B, P], 1 where used, else 0.
  """
  choice_seed, action_seed, random_seed = tf.unstack(
      tf.random.split(seed, 3), num=3
  )
  wanted = _wanted(input_ids, pad_id, mask_rate, max_predictions)
  positions = _choose(input_ids, never, wanted, max_predictions, choice_seed)
  used = positions < input_ids.shape[1]
  positions_or_zero = tf.where(used, positions, 0)
  ids = tf.gather(input_ids, positions_or_zero, batch_dims=1)
  hidden = _hidden(ids, mask_id, vocab_size, action_seed, random_seed)
  return {
      "input_ids": _replaced(input_ids, positions, hidden),
      "masked_positions": positions_or_zero,
      "masked_ids": tf.where(used, ids, 0),
      "masked_weights": tf.cast(used, tf.float32),
  }


def _wanted(
    input_ids: tf.Tensor, pad_id: int, mask_rate: float, max_predictions: int
) -> tf.Tensor:
  """Returns Int32 [B], how many tokens of each row to predict."""
  by_length = tf.constant([0] + [
      num_predictions(n, mask_rate, max_predictions)
      for n in range(1, input_ids.shape[1] + 1)
  ])
  num_tokens = tf.math.count_nonzero(
      tf.not_equal(input_ids, pad_id), axis=1, dtype=tf.int32
  )
  return tf.gather(by_length, num_tokens)


def _choose(
    input_ids: tf.Tensor,
    never: tuple[int, ...],
    wanted: tf.Tensor,
    max_predictions: int,
    seed: tf.Tensor,
) -> tf.Tensor:
  """Returns Int32 [B, P] positions, ascending, S where unused."""
  seq_length = input_ids.shape[1]
  eligible = tf.reduce_all(
      tf.not_equal(input_ids[:, :, tf.newaxis], tf.constant(never)), axis=2
  )
  scores = tf.random.stateless_uniform(tf.shape(input_ids), seed)
  scores, positions = tf.math.top_k(
      tf.where(eligible, scores, -1.0), max_predictions
  )
  rank = tf.range(max_predictions)[tf.newaxis]
  used = (rank < wanted[:, tf.newaxis]) & (scores >= 0)
  return tf.sort(tf.where(used, positions, seq_length), axis=1)


def _hidden(
    ids: tf.Tensor,
    mask_id: int,
    vocab_size: int,
    action_seed: tf.Tensor,
    random_seed: tf.Tensor,
) -> tf.Tensor:
  """Returns Int32 [B, P], what stands in place of each predicted token."""
  action = tf.random.stateless_uniform(tf.shape(ids), action_seed)
  random_ids = tf.random.stateless_uniform(
      tf.shape(ids), random_seed, 0, vocab_size, tf.int32
  )
  kept_or_random = tf.where(action < _MASK_OR_RANDOM_SHARE, random_ids, ids)
  return tf.where(action < _MASK_SHARE, mask_id, kept_or_random)


def _replaced(
    input_ids: tf.Tensor, positions: tf.Tensor, values: tf.Tensor
) -> tf.Tensor:
  """Returns the ids with values at positions; those at position S fall off."""
  seq_length = input_ids.shape[1]
  rows = tf.broadcast_to(
      tf.range(tf.shape(input_ids)[0])[:, tf.newaxis], tf.shape(positions)
  )
  wider = tf.pad(input_ids, [[0, 0], [0, 1]])
  return tf.tensor_scatter_nd_update(
      wider, tf.stack([rows, positions], axis=-1), values
  )[:, :seq_length]
