"""The masked-LM training step beside its peers', in one run.

  python benchmarks/train_step.py --size=tiny
  python benchmarks/train_step.py --size=base --rows=8

All sides: the same encoder, 32 rows of 128 tokens, 20 masked positions, dropout
0.1, AdamW, gradients clipped at a global norm of 1, float32 master weights.
Each is a process of its own; they are asked in turn; medians. `products` does
the matrix products of the step alone, which is what the machine can do.
"""

from collections.abc import Callable

from absl import app
from absl import flags
import numpy as np
import sides

from pd_tf.config import encoder as encoder_config
from pd_tf.config import importing
from pd_tf.modeling import cost
from pd_tf.modeling import miniatures

SIZE = flags.DEFINE_enum("size", "tiny", list(miniatures.NAMED), "Miniature.")
ROWS = flags.DEFINE_integer("rows", 32, "Rows of a batch.")
LENGTH = flags.DEFINE_integer("length", 128, "Tokens of a row.")
PREDICTIONS = flags.DEFINE_integer("predictions", 20, "Masked in a row.")
ROUNDS = flags.DEFINE_integer("rounds", 15, "Steps measured of each side.")
THREADS = flags.DEFINE_integer("threads", 0, "Of each side; 0: all cores.")
ONLY = flags.DEFINE_list("only", [], "Sides to run; none: all.")
SIDE = flags.DEFINE_string("side", None, "For the script's own use.")

Arrays = dict[str, np.ndarray]
NAMES = (
    "pd_tf float32", "pd_tf mixed_bfloat16",
    "Model Garden float32", "Model Garden mixed_bfloat16",
    "Model Garden auto_bfloat16", "Hugging Face float32",
    "Hugging Face bfloat16", "products float32", "products bfloat16",
)  # fmt: skip


def config() -> encoder_config.EncoderConfig:
  """Returns the size measured."""
  layers, width = miniatures.NAMED[SIZE.value]
  return encoder_config.EncoderConfig(num_layers=layers, hidden_size=width)


def batch() -> Arrays:
  """Returns rows of one example each, with masked positions."""
  generator = np.random.default_rng(0)
  shape = (ROWS.value, LENGTH.value)
  masked = (ROWS.value, PREDICTIONS.value)
  places = np.stack([
      np.sort(generator.permutation(LENGTH.value)[: PREDICTIONS.value])
      for _ in range(ROWS.value)
  ])
  whole = {
      "input_ids": generator.integers(0, config().vocab_size, shape),
      "type_ids": np.zeros(shape),
      "position_ids": np.broadcast_to(np.arange(LENGTH.value), shape),
      "example_ids": np.ones(shape),
      "cls_positions": np.zeros((ROWS.value, 1)),
      "masked_positions": places,
      "masked_ids": generator.integers(0, config().vocab_size, masked),
  }
  arrays = {name: array.astype(np.int32) for name, array in whole.items()}
  arrays["masked_weights"] = np.ones(masked, np.float32)
  return arrays


def set_threads() -> None:
  """Has TensorFlow use as many as the flag says."""
  import tensorflow as tf

  if THREADS.value:
    tf.config.threading.set_intra_op_parallelism_threads(THREADS.value)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS.value)


def ours(precision: str) -> Callable[[], object]:
  """Returns one step of pd_tf."""
  # As `pd-tf` does.
  importing.small()
  import tensorflow as tf

  from pd_tf.config import precision as precision_config
  from pd_tf.config import train as train_config
  from pd_tf.modeling import bert
  from pd_tf.modeling import initialization
  from pd_tf.objectives import pretraining
  from pd_tf.training import optimizer as optimizer_lib
  from pd_tf.training import step
  from pd_tf.training import update

  set_threads()
  strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
  with strategy.scope():
    model = bert.build(
        config(), pretraining_heads=True,
        compute_dtype=precision_config.COMPUTE_DTYPES[precision],
    )
    model.load_canonical_weights(
        initialization.random_weights(model.canonical_weights(), 0.02, 0)
    )
    optimizer = optimizer_lib.create(
        train_config.OptimizerConfig(learning_rate=1e-4, warmup_steps=0),
        100_000,
    )
  trainer = step.Trainer(
      strategy,
      iter(tf.data.Dataset.from_tensors(batch()).repeat()),
      update.Update(
          lambda rows, seed: pretraining.outputs(model, rows, seed, False),
          model.trainable_variables, optimizer, clip_norm=1.0, seed=0,
      ),
      model.trainable_variables, optimizer,
  )
  one = tf.constant(1)
  return lambda: float(trainer.train(one)["loss"])


def model_gardens(precision: str) -> Callable[[], object]:
  """Returns one step of tf-models-official."""
  from official.modeling import optimization
  from official.nlp.modeling import models
  from official.nlp.modeling import networks
  import tensorflow as tf
  import tf_keras

  set_threads()
  sides.set_precision(precision)
  shape, arrays = config(), batch()
  encoder = networks.BertEncoderV2(
      vocab_size=shape.vocab_size,
      hidden_size=shape.hidden_size,
      num_layers=shape.num_layers,
      num_attention_heads=shape.num_heads,
      inner_dim=shape.feed_forward_size,
      max_sequence_length=shape.max_positions,
      type_vocab_size=shape.type_vocab_size,
      initializer=tf_keras.initializers.TruncatedNormal(stddev=0.02),
  )
  model = models.BertPretrainerV2(encoder)
  # Its AdamW clips the global norm at 1 by default.
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
          tf.nn.sparse_softmax_cross_entropy_with_logits(
              labels, tf.cast(logits, tf.float32)
          )
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

  return lambda: float(train_step().numpy())


def hugging_faces(precision: str) -> Callable[[], object]:
  """Returns one step of transformers on torch, attention and AdamW fused."""
  import torch
  import transformers

  if THREADS.value:
    torch.set_num_threads(THREADS.value)
  shape, arrays = config(), batch()
  model = transformers.BertForMaskedLM(
      transformers.BertConfig(
          vocab_size=shape.vocab_size,
          hidden_size=shape.hidden_size,
          num_hidden_layers=shape.num_layers,
          num_attention_heads=shape.num_heads,
          intermediate_size=shape.feed_forward_size,
      )
  )
  model.train()
  optimizer = torch.optim.AdamW(
      model.parameters(), lr=1e-4, weight_decay=0.01, fused=True
  )
  ids = torch.tensor(arrays["input_ids"], dtype=torch.long)
  labels = torch.full_like(ids, -100)
  labels.scatter_(
      1, torch.tensor(arrays["masked_positions"], dtype=torch.long),
      torch.tensor(arrays["masked_ids"], dtype=torch.long),
  )  # fmt: skip
  mask = torch.ones_like(ids)

  def train_step() -> float:
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast(
        "cpu", torch.bfloat16, enabled=precision == "bfloat16"
    ):
      loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())

  return train_step


def products(dtype: str) -> Callable[[], object]:
  """Returns the matrix products of a step, forward and backward, alone."""
  import tensorflow as tf

  set_threads()
  shape = config()
  width, inner = shape.hidden_size, shape.feed_forward_size
  tokens, masked = ROWS.value * LENGTH.value, ROWS.value * PREDICTIONS.value
  heads = ROWS.value * shape.num_heads
  layer = [
      (tokens, width, 3 * width), (tokens, width, width),
      (tokens, width, inner), (tokens, inner, width),
      (heads, LENGTH.value, shape.head_size, LENGTH.value),
      (heads, LENGTH.value, LENGTH.value, shape.head_size),
  ]  # fmt: skip
  head = [(masked, width, width), (masked, width, shape.vocab_size)]
  counted = [(form, shape.num_layers) for form in layer]
  counted += [(form, 1) for form in head]

  def ones(*size: int) -> tf.Tensor:
    return tf.ones(size, dtype)

  factors = [
      (ones(*lead, m, k), ones(*lead, n, k), ones(*lead, m, n), times)
      for (*lead, m, k, n), times in counted
  ]

  @tf.function
  def run() -> tf.Tensor:
    made: list[tf.Tensor] = []
    for x, y, z, times in factors:
      for _ in range(times):
        # One after the other, and none is taken for another's twin.
        with tf.control_dependencies(made[-1:]):
          x, y, z = tf.identity(x), tf.identity(y), tf.identity(z)
          made += [
              tf.matmul(x, y, transpose_b=True), tf.matmul(z, y),
              tf.matmul(z, x, transpose_a=True),
          ]
    return tf.stack([tf.reshape(one, [-1])[0] for one in made])

  return lambda: float(run()[0])


SIDES: dict[str, Callable[[str], Callable[[], object]]] = {
    "pd_tf": ours,
    "Model Garden": model_gardens,
    "Hugging Face": hugging_faces,
    "products": products,
}


def prepare(side: str) -> Callable[[], Callable[[], object]]:
  """Returns what prepares a side by its name."""
  name, _, precision = side.rpartition(" ")
  return lambda: SIDES[name](precision)


def main(arguments: list[str]) -> None:
  """Prints a line for each side."""
  if SIDE.value:
    sides.serve(prepare(SIDE.value))
    return
  flops = ROWS.value * cost.forward_flops(
      config(),
      cost.Row(seq_length=LENGTH.value, predictions=PREDICTIONS.value),
  ).training
  print(f"{SIZE.value}, {ROWS.value} x {LENGTH.value}, {PREDICTIONS.value} "
        f"masked: {flops / 1e9:.0f} GFLOP a step")
  sides.compare(
      [name for name in NAMES if not ONLY.value or name in ONLY.value],
      (SIZE, ROWS, LENGTH, PREDICTIONS, THREADS), ROUNDS.value,
      {
          "GFLOP/s": lambda answer: f"{flops / answer['seconds'] / 1e9:.0f}",
          "loss": lambda answer: f"{answer['told']:.3f}",
      },
  )  # fmt: skip


if __name__ == "__main__":
  app.run(main)
