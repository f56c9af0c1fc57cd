"""One update, and many of them inside one compiled loop."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Protocol

import orbit
import tensorflow as tf
import tf_keras

from pd_tf.config import errors

Batch = dict[str, tf.Tensor]
# Name to (values, weights).
Terms = Mapping[str, tuple[tf.Tensor, tf.Tensor]]


class Outputs(Protocol):
  """What an objective makes of a batch, before any mean is taken."""

  @property
  def losses(self) -> Terms:
    """The run minimises the sum of their means."""

  @property
  def watched(self) -> Terms:
    """Logged beside the losses."""

  @property
  def counts(self) -> Mapping[str, tf.Tensor]:
    """Numbers summed over the batch: "tokens", "examples"."""


Objective = Callable[[Batch, tf.Tensor], Outputs]


class Trainer(orbit.AbstractTrainer):
  """Runs updates; Orbit's controller calls `train` with how many."""

  def __init__(
      self,
      strategy: tf.distribute.Strategy,
      iterator: Iterator,
      objective: Objective,
      variables: list[tf.Variable],
      optimizer: tf_keras.optimizers.Optimizer,
      clip_norm: float,
      seed: int,
  ):
    """Prepares the loop; nothing is compiled before the first call.

    Args:
      strategy: Where it runs.
      iterator: Over distributed batches.
      objective: From a replica's batch and a dropout seed (Int32 [2]) to what
        is minimised and watched.
      variables: What is trained.
      optimizer: Its `iterations` is the global step.
      clip_norm: Bound on the global norm of the gradient.
      seed: Of dropout; step and replica are folded in.
    """
    self._strategy = strategy
    self._iterator = iterator
    self._objective = objective
    self._variables = variables
    self._optimizer = optimizer
    self._clip_norm = clip_norm
    self._seed = seed
    with strategy.scope():
      # Moments made inside the compiled loop would be made conditionally, which
      # more than one replica does not survive.
      optimizer._create_all_weights(variables)
    self._loop = tf.function(self._run_loop)

  def train(self, num_steps: tf.Tensor) -> dict[str, tf.Tensor]:
    """Runs `num_steps` updates.

    Returns:
      Scalars, Float32: means over the updates, sums of counts.

    Raises:
      RunError: A loss or a gradient was not finite.
    """
    sums, weights, finite = self._loop(self._iterator, num_steps)
    step = int(self._optimizer.iterations.numpy())
    if not bool(finite):
      values = ", ".join(
          f"{name} {float(sums[name] / tf.maximum(weights[name], 1e-9)):.4g}"
          for name in sums
          if name != "learning_rate"
      )
      raise errors.RunError(
          f"loss or gradient is not finite at step {step} ({values}); the "
          "last checkpoint is good. Try a smaller optimizer.learning_rate."
      )
    return {
        name: sums[name] / tf.maximum(weights[name], 1e-9) for name in sums
    }

  def _run_loop(self, iterator: Iterator, num_steps: tf.Tensor):
    # The first update is outside the loop: it makes the accumulators.
    sums, weights, finite = self._distributed_step(next(iterator))
    done = tf.constant(1)
    while tf.logical_and(done < num_steps, finite):
      more, more_weights, finite = self._distributed_step(next(iterator))
      sums = {name: sums[name] + more[name] for name in sums}
      weights = {name: weights[name] + more_weights[name] for name in weights}
      done += 1
    return sums, weights, finite

  def _distributed_step(self, batch: Batch):
    # Every replica returns the same sums: they are reduced inside.
    outputs = self._strategy.run(self._step, args=(batch,))
    return tf.nest.map_structure(
        lambda value: self._strategy.experimental_local_results(value)[0],
        outputs,
    )

  def _step(self, batch: Batch):
    replica = tf.distribute.get_replica_context()
    step = tf.cast(self._optimizer.iterations, tf.int32)
    seed = tf.random.experimental.stateless_fold_in(
        tf.stack([self._seed, step]), replica.replica_id_in_sync_group
    )
    with tf.GradientTape() as tape:
      outputs = self._objective(batch, seed)
      sums, weights = _reduce(replica, outputs)
      # Each replica's share of the global mean; the shares are summed below.
      loss = tf.add_n([
          tf.reduce_sum(values * weight) / tf.maximum(weights[name], 1e-9)
          for name, (values, weight) in outputs.losses.items()
      ])
    # Dense also for the word table: AdamW moves every row at every step, and
    # the fused dense kernel does so in one pass, the sparse path in eight.
    # A head without a loss (no next-sentence pairs) stays as it is.
    trained, gradients = zip(*(
        (variable, tf.convert_to_tensor(gradient))
        for variable, gradient in zip(
            self._variables, tape.gradient(loss, self._variables), strict=True
        )
        if gradient is not None
    ), strict=True)
    gradients = replica.all_reduce(
        tf.distribute.ReduceOp.SUM, list(gradients)
    )
    gradients, norm = tf.clip_by_global_norm(gradients, self._clip_norm)
    rate = _learning_rate(self._optimizer)
    self._optimizer.apply_gradients(
        zip(gradients, trained, strict=True),
        experimental_aggregate_gradients=False,
    )
    total = replica.all_reduce(tf.distribute.ReduceOp.SUM, loss)
    scalars = {"loss": total, "gradient_norm": norm, "learning_rate": rate}
    for name, value in scalars.items():
      sums[name], weights[name] = value, tf.ones([])
    finite = tf.math.is_finite(total) & tf.math.is_finite(norm)
    return sums, weights, finite


def _reduce(
    replica: tf.distribute.ReplicaContext, outputs: Outputs
) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
  """Returns sums of values and of weights over all replicas, by name."""
  terms = {**outputs.losses, **outputs.watched}
  sums = {
      name: tf.stop_gradient(tf.reduce_sum(values * weights))
      for name, (values, weights) in terms.items()
  }
  totals = {
      name: tf.reduce_sum(weights) for name, (_, weights) in terms.items()
  }
  for name, count in outputs.counts.items():
    sums[name] = tf.cast(count, tf.float32)
    totals[name] = tf.zeros([])
  reduced = replica.all_reduce(tf.distribute.ReduceOp.SUM, (sums, totals))
  # A count is a sum per update: its weight is one, whatever the replicas.
  for name in outputs.counts:
    reduced[1][name] = tf.ones([])
  return reduced


def _learning_rate(optimizer: tf_keras.optimizers.Optimizer) -> tf.Tensor:
  rate = optimizer.learning_rate
  if callable(rate):
    rate = rate(optimizer.iterations)
  return tf.cast(rate, tf.float32)
