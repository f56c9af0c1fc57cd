"""One update: the gradient of the global mean, clipped and applied."""

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple
from typing import Protocol

import tensorflow as tf

from pd_tf.training import arrears as arrears_lib
from pd_tf.training import loss_scale as loss_scale_lib
from pd_tf.training import optimizer as optimizer_lib

Batch = dict[str, tf.Tensor]
# Name to (values, weights).
Terms = Mapping[str, tuple[tf.Tensor, tf.Tensor]]

# A mean over nothing is 0, not 0/0.
LEAST_WEIGHT = 1e-9


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


class Sums(NamedTuple):
  """What an update tells, the same on every replica.

  Attributes:
    sums: By name: values times weights, summed over the global batch.
    weights: By name: what a sum is divided by for its mean.
    finite: Bool: neither a loss nor a gradient was infinite or NaN.
    stopping: Bool: some worker is to stop, so that all are.
  """

  sums: dict[str, tf.Tensor]
  weights: dict[str, tf.Tensor]
  finite: tf.Tensor
  stopping: tf.Tensor


class _Divisors(NamedTuple):
  """What means are divided by, and `stops`, summed over replicas."""

  weights: dict[str, tf.Tensor]
  stops: tf.Tensor


class Update:
  """Makes one update in the context of a replica."""

  def __init__(
      self,
      objective: Objective,
      variables: list[tf.Variable],
      optimizer: optimizer_lib.Optimizer,
      clip_norm: float,
      seed: int,
      accumulation_steps: int = 1,
      jit_compile: bool = False,
      loss_scale: loss_scale_lib.LossScale | None = None,
      timeout_seconds: float | None = None,
      looked_up: tf.Variable | None = None,
  ):
    """Prepares the update; nothing is traced before the first call.

    Args:
      objective: From a replica's rows and a dropout seed (Int32 [2]) to what
        is minimised and watched. Its weights follow from the rows alone.
      variables: What is trained.
      optimizer: Its `iterations` is the global step.
      clip_norm: Bound on the global norm of the gradient.
      seed: Of dropout; step, replica and micro-batch are folded in.
      accumulation_steps: Micro-batches that a replica's rows are split into.
      jit_compile: Whether XLA compiles the forward and backward pass.
      loss_scale: Keeps float16 gradients from vanishing; None for none.
      timeout_seconds: How long replicas of other workers are waited for.
      looked_up: Table whose rows `input_ids` names, if nothing else reads it.
    """
    self._objective = objective
    self._variables = variables
    self._optimizer = optimizer
    self._clip_norm = clip_norm
    self._seed = seed
    self._accumulation_steps = accumulation_steps
    self._traces_once = accumulation_steps == 1 and not jit_compile
    self._loss_scale = loss_scale
    self._options = tf.distribute.experimental.CommunicationOptions(
        timeout_seconds=timeout_seconds
    )
    self._trained: list[tf.Variable] = []
    self._arrears: arrears_lib.Arrears | None = None
    # What XLA, micro-batches and a loss scale see is the plain form.
    if self._traces_once and loss_scale is None:
      self._arrears = self._left_for_later(looked_up)
    # Not the sums over replicas, which XLA cannot compile on every device, and
    # not the optimizer, which gains nothing.
    self._micro_batch = (
        tf.function(self._part, jit_compile=True, autograph=False)
        if jit_compile else self._part
    )

  def __call__(self, batch: Batch, stop: tf.Tensor) -> Sums:
    """Makes an update.

    Args:
      batch: This replica's rows of the global batch.
      stop: Bool, whether this worker is to stop.
    """
    replica = tf.distribute.get_replica_context()
    step = tf.cast(self._optimizer.iterations, tf.int32)
    seed = tf.random.experimental.stateless_fold_in(
        tf.stack([self._seed, step]), replica.replica_id_in_sync_group
    )
    looked = self._look_up(batch)
    (weights, stops), sums, gradients = self._local(
        batch, seed, lambda outputs: self._divisors(replica, outputs, stop)
    )
    if self._arrears is not None and looked is not None:
      self._arrears.make_up()
    # Apart: what one call sums, TensorFlow takes to depend on all of it, and so
    # drops the order of reads and updates that would follow from that. A seed
    # that is only watched was then, rarely, that of the next step.
    sums, gradients = self._sum(replica, sums), self._sum(replica, gradients)
    if looked is not None:
      gradients[-1] = looked.summed(gradients[-1])
    norm, factor = self._clipping(gradients)
    finite = tf.math.is_finite(sums["loss"]) & tf.math.is_finite(norm)
    rate = optimizer_lib.learning_rate(self._optimizer)
    if self._loss_scale is not None:
      gradients = self._loss_scale.skip_unless(finite, gradients)
      factor = tf.where(finite, factor, 0.0)
    trained = list(self._trained)
    if self._arrears is not None and looked is not None:
      self._arrears.apply(looked, gradients.pop(), factor)
      trained.pop()
    optimizer_lib.apply(self._optimizer, gradients, trained, factor)
    if self._loss_scale is not None:
      sums["loss_scale"] = self._loss_scale.adjust(finite)
      # What the scale is made to find is no failure of the run.
      finite = tf.math.is_finite(sums["loss"]) & self._loss_scale.is_useful()
    sums |= {"gradient_norm": norm, "learning_rate": rate}
    # A count is a sum per update: its weight is one, whatever the replicas.
    ones = {name: tf.ones([]) for name in sums if name not in weights}
    return Sums(sums, {**weights, **ones}, finite, stops > 0)

  def settle(self) -> None:
    """Makes what updates have left for later; nothing is then in arrears."""
    if self._arrears is not None:
      self._arrears.settle()

  def _left_for_later(
      self, looked_up: tf.Variable | None
  ) -> arrears_lib.Arrears | None:
    """Takes a table whose rows may be moved late; None where they may not."""
    if looked_up is None or not arrears_lib.possible(
        self._optimizer, looked_up
    ):
      return None
    # Last, where its gradient is found.
    self._variables = [v for v in self._variables if v is not looked_up]
    self._variables.append(looked_up)
    return arrears_lib.Arrears(self._optimizer, looked_up)

  def _look_up(self, batch: Batch) -> arrears_lib.Looked | None:
    """Returns rows of the table if only they are to be updated, else None."""
    if self._arrears is None or not self._arrears.pays(batch["input_ids"]):
      return None
    return self._arrears.look_up(batch["input_ids"])

  def _sum(self, replica: tf.distribute.ReplicaContext, values: Any) -> Any:
    return replica.all_reduce(
        tf.distribute.ReduceOp.SUM, values, options=self._options
    )

  def _divisors(
      self,
      replica: tf.distribute.ReplicaContext,
      outputs: Outputs,
      stop: tf.Tensor,
  ) -> _Divisors:
    terms = {**outputs.losses, **outputs.watched}
    weights = {
        name: tf.reduce_sum(weights) for name, (_, weights) in terms.items()
    }
    return _Divisors(
        *self._sum(replica, (weights, tf.cast(stop, tf.float32)))
    )

  def _local(
      self,
      batch: Batch,
      seed: tf.Tensor,
      divisors: Callable[[Outputs], _Divisors],
  ) -> tuple[_Divisors, dict[str, tf.Tensor], list[tf.Tensor]]:
    """Returns the divisors, this replica's share of sums and of the gradient.

    Divisors must be known before the backward pass of the first micro-batch.
    """
    scale = tf.ones([]) if self._loss_scale is None else self._loss_scale.value
    if self._traces_once:
      return self._forward_and_backward(batch, seed, divisors, scale)
    # They follow from the rows alone: TensorFlow drops the rest of this graph.
    known = divisors(self._objective(batch, seed))
    return known, *self._micro_batches(batch, seed, known.weights, scale)

  def _micro_batches(
      self,
      batch: Batch,
      seed: tf.Tensor,
      weights: dict[str, tf.Tensor],
      scale: tf.Tensor,
  ) -> tuple[dict[str, tf.Tensor], list[tf.Tensor]]:
    """Returns the sums and the gradient of the rows, a part at a time."""
    count = self._accumulation_steps
    if count == 1:
      return self._micro_batch(batch, seed, weights, scale)
    parts = tf.nest.map_structure(
        lambda rows: tf.reshape(rows, [count, -1, *rows.shape[1:]]), batch
    )

    def part(number: tf.Tensor):
      rows = tf.nest.map_structure(lambda all_rows: all_rows[number], parts)
      own_seed = tf.random.experimental.stateless_fold_in(seed, number)
      return self._micro_batch(rows, own_seed, weights, scale)

    def add(number: tf.Tensor, *total: Any):
      return number + 1, *tf.nest.map_structure(
          tf.add, tuple(total), part(number)
      )

    # The first is outside the loop: it tells what the sums are.
    _, sums, gradients = tf.while_loop(
        lambda number, *_: number < count, add, (tf.constant(1), *part(0)),
        parallel_iterations=1, maximum_iterations=count - 1,
    )  # fmt: skip
    return sums, gradients

  def _part(
      self,
      batch: Batch,
      seed: tf.Tensor,
      weights: dict[str, tf.Tensor],
      scale: tf.Tensor,
  ) -> tuple[dict[str, tf.Tensor], list[tf.Tensor]]:
    known = _Divisors(weights, tf.zeros([]))
    return self._forward_and_backward(batch, seed, lambda _: known, scale)[1:]

  def _forward_and_backward(
      self,
      batch: Batch,
      seed: tf.Tensor,
      divisors: Callable[[Outputs], _Divisors],
      scale: tf.Tensor,
  ) -> tuple[_Divisors, dict[str, tf.Tensor], list[tf.Tensor]]:
    with tf.GradientTape() as tape:
      outputs = self._objective(batch, seed)
      with tape.stop_recording():
        found = divisors(outputs)
      # A share of the global mean; the shares are summed.
      loss = tf.add_n([
          tf.reduce_sum(values * weight)
          / tf.maximum(found.weights[name], LEAST_WEIGHT)
          for name, (values, weight) in outputs.losses.items()
      ])
      scaled = loss * scale
    terms = {**outputs.losses, **outputs.watched}
    sums = {
        name: tf.reduce_sum(values * weight)
        for name, (values, weight) in terms.items()
    }
    for name, count in outputs.counts.items():
      sums[name] = tf.cast(count, tf.float32)
    sums["loss"] = loss
    gradients = tape.gradient(scaled, self._variables)
    # A head without a loss (no next-sentence pairs) stays as it is.
    self._trained = [
        variable
        for variable, gradient in zip(self._variables, gradients, strict=True)
        if gradient is not None
    ]
    kept = [gradient for gradient in gradients if gradient is not None]
    if self._arrears is not None and self._arrears.pays(batch["input_ids"]):
      kept[-1] = kept[-1].values
    # Else dense for the word table, too: AdamW moves every row at every step,
    # and the dense kernel does so in one pass, the sparse path in eight.
    return found, sums, [tf.convert_to_tensor(gradient) for gradient in kept]

  def _clipping(
      self, gradients: list[tf.Tensor]
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the global norm, and what clips the gradients to its bound."""
    norm = tf.linalg.global_norm(gradients)
    unscaled = tf.ones([])
    if self._loss_scale is not None:
      unscaled /= self._loss_scale.value
    norm *= unscaled
    return norm, unscaled * self._clip_norm / tf.maximum(norm, self._clip_norm)
