"""The masked-LM training step beside tf-models-official's, in one run.

  python benchmarks/train_step.py --size=tiny --precision=bfloat16

Both sides: the same encoder, 32 rows of 128 tokens, 20 masked positions,
dropout 0.1, AdamW with clipping, float32 master weights. Steps are interleaved;
medians.
"""

from collections.abc import Callable
import statistics
import time

from absl import app
from absl import flags
import numpy as np
from official.modeling import optimization
from official.nlp.modeling import models
from official.nlp.modeling import networks
import tensorflow as tf

from pd_tf.config import encoder as encoder_config
from pd_tf.config import train as train_config
from pd_tf.modeling import bert
from pd_tf.modeling import miniatures
from pd_tf.objectives import pretraining
from pd_tf.training import optimizer as optimizer_lib
from pd_tf.training import step
from pd_tf.training import update

SIZE = flags.DEFINE_enum("size", "tiny", list(miniatures.NAMED), "Miniature.")
ROWS = flags.DEFINE_integer("rows", 32, "Rows of a batch.")
ROUNDS = flags.DEFINE_integer("rounds", 20, "Steps measured of each side.")
PRECISION = flags.DEFINE_enum(
    "precision", "float32", ["float32", "bfloat16"], "Of pd_tf's products."
)
LENGTH, PREDICTIONS = 128, 20


def batch(config: encoder_config.EncoderConfig) -> dict[str, np.ndarray]:
  """Returns rows of one example each, with masked positions."""
  generator = np.random.default_rng(0)
  shape, masked = (ROWS.value, LENGTH), (ROWS.value, PREDICTIONS)
  whole = {
      "input_ids": generator.integers(0, config.vocab_size, shape),
      "type_ids": np.zeros(shape),
      "position_ids": np.broadcast_to(np.arange(LENGTH), shape),
      "example_ids": np.ones(shape),
      "cls_positions": np.zeros((ROWS.value, 1)),
      "masked_positions": np.sort(generator.integers(0, LENGTH, masked)),
      "masked_ids": generator.integers(0, config.vocab_size, masked),
  }
  arrays = {name: array.astype(np.int32) for name, array in whole.items()}
  arrays["masked_weights"] = np.ones(masked, np.float32)
  return arrays


def ours(
    config: encoder_config.EncoderConfig, arrays: dict[str, np.ndarray]
) -> Callable[[], object]:
  """Returns one step of pd_tf."""
  strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
  with strategy.scope():
    model = bert.build(
        config, pretraining_heads=True, compute_dtype=PRECISION.value
    )
    optimizer = optimizer_lib.create(train_config.OptimizerConfig(), 100_000)
  trainer = step.Trainer(
      strategy,
      iter(tf.data.Dataset.from_tensors(arrays).repeat()),
      update.Update(
          lambda rows, seed: pretraining.outputs(model, rows, seed, False),
          model.trainable_variables, optimizer, clip_norm=1.0, seed=0,
      ),
      model.trainable_variables, optimizer,
  )
  one = tf.constant(1)
  return lambda: trainer.train(one)


def model_gardens(
    config: encoder_config.EncoderConfig, arrays: dict[str, np.ndarray]
) -> Callable[[], object]:
  """Returns one step of tf-models-official at its defaults."""
  encoder = networks.BertEncoderV2(
      vocab_size=config.vocab_size,
      hidden_size=config.hidden_size,
      num_layers=config.num_layers,
      num_attention_heads=config.num_heads,
      inner_dim=config.feed_forward_size,
      max_sequence_length=config.max_positions,
      type_vocab_size=config.type_vocab_size,
  )
  model = models.BertPretrainerV2(encoder)
  optimizer = optimization.OptimizerFactory(
      optimization.OptimizationConfig({
          "optimizer": {"type": "adamw", "adamw": {"weight_decay_rate": 0.01}},
          "learning_rate": {"type": "constant",
                            "constant": {"learning_rate": 1e-4}},
      })
  ).build_optimizer(1e-4)
  inputs = {
      "input_word_ids": tf.constant(arrays["input_ids"]),
      "input_mask": tf.constant(arrays["example_ids"]),
      "input_type_ids": tf.constant(arrays["type_ids"]),
      "masked_lm_positions": tf.constant(arrays["masked_positions"]),
  }
  labels = tf.constant(arrays["masked_ids"])
  model(inputs)

  @tf.function
  def train_step() -> tf.Tensor:
    with tf.GradientTape() as tape:
      logits = model(inputs, training=True)["mlm_logits"]
      loss = tf.reduce_mean(
          tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
      )
    gradients = tape.gradient(loss, model.trainable_variables)
    pairs = [
        (gradient, variable)
        for gradient, variable in zip(
            gradients, model.trainable_variables, strict=True
        )
        if gradient is not None
    ]
    optimizer.apply_gradients(pairs)
    return loss

  return lambda: train_step().numpy()


def main(arguments: list[str]) -> None:
  """Prints both medians and their ratio."""
  del arguments
  layers, width = miniatures.NAMED[SIZE.value]
  config = encoder_config.EncoderConfig(num_layers=layers, hidden_size=width)
  arrays = batch(config)
  sides = {
      "pd_tf": ours(config, arrays),
      "tf-models-official": model_gardens(config, arrays),
  }
  seconds: dict[str, list[float]] = {name: [] for name in sides}
  for run in sides.values():
    run()
  for _ in range(ROUNDS.value):
    for name, run in sides.items():
      start = time.perf_counter()
      run()
      seconds[name].append(time.perf_counter() - start)
  medians = {name: statistics.median(times) for name, times in seconds.items()}
  for name, median in medians.items():
    print(f"{name:20} {1000 * median:8.1f} ms a step")
  print(f"ratio {medians['tf-models-official'] / medians['pd_tf']:.2f}")


if __name__ == "__main__":
  app.run(main)
