"""The update of every objective: XLA, replicas, micro-batches, precision."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from pd_tf.config import encoder as encoder_config
from pd_tf.config import errors
from pd_tf.config import train as train_config
from pd_tf.modeling import bert
from pd_tf.modeling import initialization
from pd_tf.objectives import classification
from pd_tf.objectives import distillation
from pd_tf.objectives import pretraining
from pd_tf.objectives import regression
from pd_tf.training import feed
from pd_tf.training import loss_scale
from pd_tf.training import optimizer as optimizer_lib
from pd_tf.training import step
from pd_tf.training import update

# Tracing takes seconds; the others run with the slow tests.
QUICK = ("pretrain",)
OBJECTIVES = {
    "pretrain": functools.partial(pretraining.outputs, with_pairs=True),
    "pretrain without pairs": functools.partial(
        pretraining.outputs, with_pairs=False
    ),
    "classification": classification.outputs,
    "regression": regression.outputs,
    "distillation": functools.partial(
        distillation.outputs, kind="classification", temperature=2.0,
        hard_label_weight=0.25,
    ),
    "score distillation": functools.partial(
        distillation.outputs, kind="regression", temperature=1.0,
        hard_label_weight=0.0,
    ),
}  # fmt: skip


every_objective = pytest.mark.parametrize("objective", [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
    for name in OBJECTIVES
])  # fmt: skip


def config(**changes):
  return encoder_config.EncoderConfig(**{
      "num_layers": 2, "hidden_size": 16, "head_size": 8, "vocab_size": 40,
      "max_positions": 12, "hidden_dropout": 0.0, "attention_dropout": 0.0,
      **changes,
  })  # fmt: skip


def batches(objective, rows=5, length=12, slots=3, predictions=2, count=30):
  """Yields packed rows; weights differ from row to row, some rows are empty."""
  generator = np.random.default_rng(11)
  outputs = 1 if "regression" in objective or "score" in objective else 3
  for _ in range(count):
    ids = generator.integers(0, slots + 1, (rows, length))
    ids = np.sort(ids, axis=1)
    ids[0] = 0
    weights = generator.integers(0, 2, (rows, slots)).astype(np.float32)
    labels = generator.integers(0, max(outputs, 2), (rows, slots))
    yield {
        "input_ids": generator.integers(5, 40, (rows, length), np.int32),
        "type_ids": generator.integers(0, 2, (rows, length), np.int32),
        "position_ids": generator.integers(0, 12, (rows, length), np.int32),
        "example_ids": ids.astype(np.int32),
        "cls_positions": generator.integers(0, length, (rows, slots), np.int32),
        "masked_positions": generator.integers(
            0, length, (rows, predictions), np.int32
        ),
        "masked_ids": generator.integers(5, 40, (rows, predictions), np.int32),
        "masked_weights": generator.integers(
            0, 2, (rows, predictions)
        ).astype(np.float32),
        "next_sentence_labels": generator.integers(
            0, 2, (rows, slots), np.int32
        ),
        "next_sentence_weights": weights,
        "example_weights": np.ones((rows, slots), np.float32),
        "labels": labels.astype(np.float32 if outputs == 1 else np.int32),
        "label_weights": weights,
        "teacher_logits": generator.normal(
            size=(rows, slots, outputs)
        ).astype(np.float32),
    }


def trainer(
    objective, strategy=None, shape=None, precision="float32", rows=5,
    length=12, rate=1e-2, accumulation_steps=1, jit_compile=False, name="adamw",
):  # fmt: skip
  """Returns a trainer of a small model, its model and its loss scale."""
  strategy = strategy or tf.distribute.OneDeviceStrategy("/cpu:0")
  shape = shape or config()
  like = next(batches(objective, rows, length))
  outputs = like["teacher_logits"].shape[-1]
  pretrains = objective.startswith("pretrain")
  with strategy.scope():
    model = bert.build(
        shape, pretrains, 0 if pretrains else outputs, precision
    )
    model.load_canonical_weights(
        initialization.random_weights(model.canonical_weights(), 0.2, 3)
    )
    scale = loss_scale.LossScale() if precision == "float16" else None
    optimizer = optimizer_lib.create(
        train_config.OptimizerConfig(
            name=name, learning_rate=rate, warmup_steps=1
        ),
        100, shape.num_layers, scale and scale.applied,
    )

  def dataset():
    signature = {
        key: tf.TensorSpec(array.shape, array.dtype)
        for key, array in like.items()
    }
    return tf.data.Dataset.from_generator(
        lambda: batches(objective, rows, length), output_signature=signature
    )

  made = update.Update(
      functools.partial(OBJECTIVES[objective], model),
      model.trainable_variables, optimizer, 1.0, 0, accumulation_steps,
      jit_compile, scale,
  )
  return step.Trainer(
      strategy, feed.distributed(strategy, dataset, accumulation_steps), made,
      model.trainable_variables, optimizer,
  ), model, scale  # fmt: skip


def trained(objective, steps=20, **settings):
  """Returns what each update tells, and the weights at the end."""
  made, model, _ = trainer(objective, **settings)
  one = tf.constant(1)
  told = [made.train(one) for _ in range(steps)]
  assert made.num_traces == 1
  return told, model.canonical_weights()


def assert_same_training(one, other):
  for mine, theirs in zip(one[0], other[0], strict=True):
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
      np.testing.assert_allclose(
          value, theirs[name], rtol=1e-5, atol=1e-6, err_msg=name
      )
  for name, array in one[1].items():
    # The softmax over keys does not change with their bias: its gradient is
    # rounding, of which Adam makes steps like any other.
    if not name.endswith("self/key/bias"):
      np.testing.assert_allclose(
          array, other[1][name], rtol=1e-4, atol=1e-5, err_msg=name
      )


@every_objective
def test_two_replicas_train_as_one(two_replicas, objective):
  # Five rows do not split in two: a row without weight is added.
  assert_same_training(
      trained(objective), trained(objective, strategy=two_replicas)
  )


@pytest.mark.parametrize("objective,count", [
    ("pretrain", 2),
    pytest.param("pretrain", 3, marks=pytest.mark.slow),
    pytest.param("distillation", 2, marks=pytest.mark.slow),
])
def test_micro_batches_train_as_one_batch(objective, count):
  assert_same_training(
      trained(objective), trained(objective, accumulation_steps=count)
  )


@pytest.mark.slow
def test_micro_batches_on_two_replicas(two_replicas):
  assert_same_training(
      trained("pretrain"),
      trained("pretrain", strategy=two_replicas, accumulation_steps=2),
  )


def test_xla_computes_the_same():
  assert_same_training(
      trained("pretrain", steps=5),
      trained("pretrain", steps=5, jit_compile=True),
  )


# Of odd sizes, one for each, with dropout and micro-batches.
@pytest.mark.slow
@pytest.mark.parametrize(
    "objective,rows,length,layers",
    [
        (name, *((1, 8, 1) if index % 2 else (7, 12, 3)))
        for index, name in enumerate(OBJECTIVES)
    ],
)
def test_xla_compiles_every_objective(objective, rows, length, layers):
  shape = config(num_layers=layers, hidden_dropout=0.1, attention_dropout=0.1)
  trained(
      objective, steps=2, shape=shape, rows=rows, length=length,
      jit_compile=True, accumulation_steps=2 if rows == 7 else 1,
  )  # fmt: skip


@pytest.mark.slow
def test_xla_on_two_replicas(two_replicas):
  assert_same_training(
      trained("distillation", steps=5),
      trained(
          "distillation", steps=5, strategy=two_replicas, jit_compile=True
      ),
  )


def test_a_batch_of_unknown_size_is_refused():
  strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
  data = tf.data.Dataset.from_tensor_slices({"x": [1.0, 2.0]}).batch(2)
  iterator = iter(strategy.experimental_distribute_dataset(data))
  with pytest.raises(errors.InputError, match=r"^batch: .* static .*\(None,\)"):
    step.Trainer(strategy, iterator, None, [], None)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adamw", "lamb", "adafactor"])
def test_every_optimizer_trains_alike_on_any_strategy(two_replicas, name):
  one = trained("classification", steps=10, name=name)
  assert_same_training(
      one,
      trained("classification", steps=10, name=name, strategy=two_replicas),
  )
  initial = trainer("classification")[1].canonical_weights()
  assert all(
      not np.array_equal(array, initial[name]) for name, array in one[1].items()
  )


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_low_precision_stays_near_float32(precision):
  expected, _ = trained("pretrain")
  made, model, scale = trainer("pretrain", precision=precision)
  if scale is not None:
    # The first scale is too large for some update, which is then skipped.
    scale.value.assign(1024.0)
  for theirs in expected:
    mine = made.train(tf.constant(1))
    assert float(mine["loss"]) == pytest.approx(float(theirs["loss"]), rel=0.02)
  assert all(v.dtype == tf.float32 for v in model.trainable_variables)


def test_an_overflow_skips_its_update_and_halves_the_scale():
  made, model, scale = trainer("classification", precision="float16")
  one = tf.constant(1)
  made.train(one)
  scale.value.assign(2.0**80)
  before = model.canonical_weights()
  told = made.train(one)
  assert float(told["loss_scale"]) == 2.0**80
  assert float(scale.value) == 2.0**79
  assert int(made._optimizer.iterations) == 2
  for name, array in model.canonical_weights().items():
    np.testing.assert_array_equal(array, before[name])
  scale.value.assign(1024.0)
  made.train(one)
  assert any(
      not np.array_equal(array, before[name])
      for name, array in model.canonical_weights().items()
  )


def test_the_scale_grows_after_a_long_time_without_overflow():
  scale = loss_scale.LossScale()
  for _ in range(loss_scale.GROWTH_STEPS - 1):
    scale.adjust(tf.constant(True))
  assert float(scale.value) == loss_scale.INITIAL
  scale.adjust(tf.constant(True))
  assert float(scale.value) == 2 * loss_scale.INITIAL


def test_layer_decay_slows_the_lower_layers():
  factors = {
      name: optimizer_lib.layer_factor(name, 0.5, 2)
      for name in (
          "embeddings/word:0", "layer_0/qkv/kernel:0",
          "layer_1/output_layer_norm/beta:0", "pooler/kernel:0",
          "masked_lm/transform/kernel:0",
      )
  }
  assert list(factors.values()) == [0.125, 0.25, 0.5, 1.0, 1.0]


def test_layer_decay_scales_the_updates():
  def moved(layer_decay):
    variables = [
        tf.Variable([1.0], name=name)
        for name in ("embeddings/word", "layer_0/kernel", "task/kernel")
    ]
    optimizer = optimizer_lib.create(
        train_config.OptimizerConfig(
            learning_rate=0.1, warmup_steps=1, layer_decay=layer_decay
        ),
        100, num_layers=1,
    )  # fmt: skip
    optimizer_lib.make_slots(optimizer, variables)
    for _ in range(3):
      optimizer_lib.apply(optimizer, [tf.ones([1])] * 3, variables)
    return [1 - float(variable[0]) for variable in variables]

  plain, decayed = moved(1.0), moved(0.5)
  # Weight decay, which the rate scales too, makes the rest.
  np.testing.assert_allclose(
      decayed, [plain[0] * 0.25, plain[1] * 0.5, plain[2]], rtol=1e-3
  )
