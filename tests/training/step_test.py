"""The update: an oracle, replicas, clipping, a loss that is not finite."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import context

from pd_tf.config import errors
from pd_tf.config import train as train_config
from pd_tf.objectives import term
from pd_tf.training import optimizer as optimizer_lib
from pd_tf.training import step
from pd_tf.training import update


def _objective(variable):
  """Weighted squared distance, and the mean of the seeds' first draw."""

  def outputs(batch, seed):
    values = tf.square(batch["x"] - variable)
    watched = {
        "noise": term.Term(
            tf.random.stateless_uniform([1], seed), tf.ones([1])
        )
    }
    counts = {
        "examples": tf.reduce_sum(batch["w"]), "tokens": tf.constant(2.0)
    }
    return term.Outputs(
        {"task": term.Term(values, batch["w"])}, watched, counts
    )

  return outputs


def _trainer(strategy, x, w, clip_norm=1e9, rate=0.1, global_batch=4):
  with strategy.scope():
    variable = tf.Variable(0.5, name="kernel")
    optimizer = optimizer_lib.create(
        train_config.OptimizerConfig(learning_rate=rate, warmup_steps=1), 100
    )
  dataset = tf.data.Dataset.from_tensor_slices(
      {"x": np.float32(x), "w": np.float32(w)}
  ).repeat().batch(global_batch, drop_remainder=True)
  iterator = iter(strategy.experimental_distribute_dataset(dataset))
  made = update.Update(
      _objective(variable), [variable], optimizer, clip_norm, seed=1
  )
  trainer = step.Trainer(strategy, iterator, made, [variable], optimizer)
  return trainer, variable, optimizer


def _one_device():
  return tf.distribute.OneDeviceStrategy("/cpu:0")


def test_means_are_over_steps_and_weights():
  trainer, variable, optimizer = _trainer(
      _one_device(), [1, 2, 3, 4], [1, 1, 0, 2], rate=0.0
  )
  out = trainer.train(tf.constant(3))
  expected = ((1 - 0.5) ** 2 + (2 - 0.5) ** 2 + 2 * (4 - 0.5) ** 2) / 4
  assert float(out["task"]) == pytest.approx(expected, rel=1e-6)
  assert float(out["loss"]) == pytest.approx(expected, rel=1e-6)
  assert float(out["examples"]) == 4
  assert int(optimizer.iterations) == 3
  assert float(variable) == 0.5


def test_peaks_are_those_of_single_updates():
  trainer, _, _ = _trainer(
      _one_device(), [1] * 4 + [3] * 4, [1] * 8, rate=0.0
  )
  out = trainer.train(tf.constant(2))
  assert float(out["loss"]) == pytest.approx((0.25 + 6.25) / 2, rel=1e-6)
  assert float(out["loss_max"]) == pytest.approx(6.25, rel=1e-6)
  # The gradient of (x - v)^2 is 2 (v - x).
  assert float(out["gradient_norm_max"]) == pytest.approx(5.0, rel=1e-6)


def test_the_update_is_traced_once_for_loops_of_any_length(monkeypatch):
  traces, call = [], update.Update.__call__

  def traced(*arguments):
    traces.append(1)
    return call(*arguments)

  monkeypatch.setattr(update.Update, "__call__", traced)
  trainer, _, optimizer = _trainer(_one_device(), [1, 2, 3, 4], [1] * 4)
  for count in (1, 3, 2):
    trainer.train(tf.constant(count))
  assert int(optimizer.iterations) == 6
  assert len(traces) == 1


def test_adamw_is_numpys():
  trainer, variable, _ = _trainer(_one_device(), [1] * 4, [1] * 4)
  value, first, second = 0.5, 0.0, 0.0
  for number in range(3):
    # Warm-up of one step: the rate is 0 at step 0, then falls to 0 at 100.
    rate = 0.0 if number == 0 else 0.1 * (1 - number / 100)
    gradient = 2 * (value - 1)
    first = 0.9 * first + 0.1 * gradient
    second = 0.999 * second + 0.001 * gradient**2
    unbias = np.sqrt(1 - 0.999 ** (number + 1)) / (1 - 0.9 ** (number + 1))
    value -= rate * 0.01 * value
    value -= rate * unbias * first / (np.sqrt(second) + 1e-6)
    trainer.train(tf.constant(1))
    assert float(variable) == pytest.approx(value, rel=1e-5)


def test_the_gradient_norm_is_logged_before_clipping():
  trainer, variable, _ = _trainer(
      _one_device(), [1] * 4, [1] * 4, clip_norm=0.25, rate=0.0
  )
  assert float(trainer.train(tf.constant(1))["gradient_norm"]) == 1.0


def test_two_replicas_do_what_one_does(two_replicas):
  x, w = [1, 2, 3, 4, 5, 6, 7, 8], [1, 1, 0, 2, 1, 0, 0, 0]
  one, one_value, _ = _trainer(_one_device(), x, w)
  two, two_value, _ = _trainer(two_replicas, x, w)
  for _ in range(5):
    ours, theirs = one.train(tf.constant(2)), two.train(tf.constant(2))
    for name in ("loss", "task", "gradient_norm", "examples"):
      assert float(ours[name]) == pytest.approx(float(theirs[name]), rel=1e-5)
  assert one_value.numpy() == pytest.approx(two_value.numpy(), rel=1e-5)


def test_a_loss_that_is_not_finite_stops_at_its_step():
  trainer, _, optimizer = _trainer(
      _one_device(), [1] * 12 + [np.nan] + [1] * 7, [1] * 20
  )
  with pytest.raises(errors.RunError, match="not finite at step 4"):
    trainer.train(tf.constant(10))
  assert int(optimizer.iterations) == 4


def test_seeds_differ_from_step_to_step_and_repeat():
  first, _, _ = _trainer(_one_device(), [1] * 4, [1] * 4)
  again, _, _ = _trainer(_one_device(), [1] * 4, [1] * 4)
  one = tf.constant(1)
  draws = [float(first.train(one)["noise"]) for _ in range(3)]
  assert draws == [float(again.train(one)["noise"]) for _ in range(3)]
  assert len(set(draws)) == 3


def test_all_that_reads_the_step_is_before_its_count():
  trainer, _, _ = _trainer(_one_device(), [1] * 4, [1] * 4)
  context.context().enable_graph_collection()
  try:
    trainer.train(tf.constant(1))
    made = context.context().export_run_metadata()
  finally:
    context.context().disable_graph_collection()
  # As it runs: TensorFlow drops control edges that it holds to be needless.
  graph = max(
      (part for one in made.function_graphs for part in one.partition_graphs),
      key=lambda part: len(part.node),
  )
  inputs = {
      node.name: [name.lstrip("^").split(":")[0] for name in node.input]
      for node in graph.node
  }
  (count,) = (n for n in graph.node if n.op == "AssignAddVariableOp")
  reads = {
      node.name for node in graph.node
      if node.op == "ReadVariableOp" and node.input[0] == count.input[0]
  }
  assert len(reads) > 1
  before, open_names = set(), [count.name]
  while open_names:
    new = set(inputs.get(open_names.pop(), ())) - before
    before |= new
    open_names += new
  assert reads <= before


def test_the_schedule_is_berts():
  optimizer = optimizer_lib.create(
      train_config.OptimizerConfig(learning_rate=1.0, warmup_steps=10), 100
  )
  rate = optimizer.learning_rate
  # Up over 10 steps to where a line from 1 at step 0 to 0 at step 100 is.
  np.testing.assert_allclose(
      [float(rate(s)) for s in (0, 5, 10, 50, 100)],
      [0, 0.45, 0.9, 0.5, 0], atol=1e-6,
  )


def test_biases_and_layer_norm_are_not_decayed():
  optimizer = optimizer_lib.create(
      train_config.OptimizerConfig(learning_rate=1.0, warmup_steps=1), 1000
  )
  names = ("kernel", "bias", "gamma", "beta", "output_bias", "word")
  variables = [tf.Variable(1.0, name=name) for name in names]
  zero = [(tf.constant(0.0), variable) for variable in variables]
  optimizer.apply_gradients(zero, experimental_aggregate_gradients=False)
  optimizer.apply_gradients(zero, experimental_aggregate_gradients=False)
  changed = {
      name for name, variable in zip(names, variables, strict=True)
      if float(variable) != 1.0
  }
  assert changed == {"kernel", "word"}


def test_a_mean_over_nothing_is_left_out():
  trainer, _, _ = _trainer(_one_device(), [1, 2, 3, 4], [0, 0, 0, 0])
  out = trainer.train(tf.constant(2))
  assert "task" not in out
  assert float(out["examples"]) == 0 and "noise" in out
