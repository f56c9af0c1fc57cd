"""Fine-tuning and distillation on SST-2 beside the peers', examples a second.

  PD_TF_DATA=… python benchmarks/finetune.py --size=tiny

All sides: batches of 32 sentences in random order, dropout 0.1, AdamW with
clipping. pd_tf packs them into rows of about 128 tokens, packing included;
Model Garden pads each to 128, as its pipeline does; Hugging Face pads to the
longest of the batch. Each side is a process of its own; asked in turn; medians.
Distillation differs in its loss alone; its soft labels are random here.
"narrow" has one thread for an operation (TF_NUM_INTRAOP_THREADS=1) and a batch
in two halves, as `pd-tf train` has for so few tokens of Tiny and Mini; the
others are as TensorFlow starts, each operation split over all cores.
"""

from collections.abc import Callable
import dataclasses
import functools
import os
import pathlib
import statistics
from typing import Any

from absl import app
from absl import flags
import numpy as np
import sides

from pd_tf.config import encoder as encoder_config
from pd_tf.config import pretrained
from pd_tf.config import task as task_config
from pd_tf.data import examples as examples_lib
from pd_tf.data import packing
from pd_tf.data import tasks
from pd_tf.modeling import miniatures
from pd_tf.text import vocabulary
from pd_tf.text import wordpiece

SIZE = flags.DEFINE_enum("size", "tiny", list(miniatures.NAMED), "Miniature.")
BATCH = flags.DEFINE_integer("batch", 32, "Sentences of an update.")
EXAMPLES = flags.DEFINE_integer("examples", 20_000, "Of SST-2 that are used.")
# As pd_tf's loop has by default.
UPDATES = flags.DEFINE_integer("updates", 50, "In one measurement.")
ROUNDS = flags.DEFINE_integer("rounds", 5, "Measurements of each side.")
ONLY = flags.DEFINE_list("only", [], "Sides to run; none: all.")
SIDE = flags.DEFINE_string("side", None, "For the script's own use.")

LENGTH = 128
NAMES = (
    "pd_tf float32", "pd_tf mixed_bfloat16",
    "pd_tf distillation mixed_bfloat16", "pd_tf narrow mixed_bfloat16",
    "Model Garden float32",
    "Model Garden mixed_bfloat16", "Model Garden auto_bfloat16",
    "Hugging Face float32", "Hugging Face bfloat16",
)  # fmt: skip

# What a measurement tells beside its time: examples and share of positions.
Told = dict[str, float]


def config() -> encoder_config.EncoderConfig:
  """Returns the size measured."""
  layers, width = miniatures.NAMED[SIZE.value]
  return encoder_config.EncoderConfig(num_layers=layers, hidden_size=width)


def sentences() -> examples_lib.Examples:
  """Returns examples of SST-2 as token ids."""
  data = pathlib.Path(os.environ["PD_TF_DATA"])
  path = str(data / "glue" / "SST-2" / "train.tsv")
  return tasks.encoded(
      tasks.read_task(task_config.TaskConfig(), path), path,
      pretrained.TaskHead("classification", ("0", "1")),
      wordpiece.WordPiece(vocabulary.read(data / "vocab.txt"), True), LENGTH,
  ).sample(EXAMPLES.value, 0, "examples")  # fmt: skip


def padded(
    examples: examples_lib.Examples, length: int | None
) -> Callable[[], tuple[np.ndarray, np.ndarray, np.ndarray]]:
  """Returns what makes the next batch: ids, mask and labels.

  Args:
    examples: In random order.
    length: Of all batches; None for the longest of each.
  """
  state = {"at": 0}

  def take() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    indices = np.arange(state["at"], state["at"] + BATCH.value) % len(examples)
    state["at"] += BATCH.value
    lengths = examples.lengths[indices]
    ids = np.zeros((BATCH.value, length or lengths.max()), np.int32)
    for row, index in enumerate(indices):
      start, end = examples.splits[index : index + 2]
      ids[row, : end - start] = examples.tokens[start:end]
    return ids, (ids > 0).astype(np.int32), examples.labels[indices]

  return take


def ours(precision: str, distils: bool) -> Callable[[], Told]:
  """Returns updates of pd_tf on packed rows."""
  import tensorflow as tf

  from pd_tf.config import precision as precision_config
  from pd_tf.config import train as train_config
  from pd_tf.modeling import bert
  from pd_tf.modeling import initialization
  from pd_tf.objectives import classification
  from pd_tf.objectives import distillation
  from pd_tf.training import optimizer as optimizer_lib
  from pd_tf.training import step
  from pd_tf.training import threads
  from pd_tf.training import update

  examples = sentences()
  objective: Any = classification.outputs
  if distils:
    examples = dataclasses.replace(
        examples, teacher_logits=np.random.default_rng(0).normal(
            size=(len(examples), 2)
        ).astype(np.float32),
    )
    objective = functools.partial(
        distillation.outputs, kind="classification", temperature=1.0,
        hard_label_weight=0.0,
    )
  shape = packing.shape_for(examples, BATCH.value, LENGTH)
  strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
  with strategy.scope():
    model = bert.build(
        config(), num_outputs=2,
        compute_dtype=precision_config.COMPUTE_DTYPES[precision],
        parts=threads.parts(),
    )
    model.load_canonical_weights(
        initialization.random_weights(model.canonical_weights(), 0.02, 0)
    )
    optimizer = optimizer_lib.create(train_config.OptimizerConfig(), 100_000)
  trainer = step.Trainer(
      strategy, iter(packing.dataset(examples, shape, 0, 0)),
      update.Update(
          functools.partial(objective, model), model.trainable_variables,
          optimizer, clip_norm=1.0, seed=0, looked_up=model.looked_up,
      ),
      model.trainable_variables, optimizer,
  )
  updates = tf.constant(UPDATES.value)
  positions = UPDATES.value * shape.rows * shape.seq_length

  def run() -> Told:
    told = trainer.train(updates)
    tokens = float(told["tokens"]) * UPDATES.value
    return {"examples": float(told["examples"]) * UPDATES.value,
            "fill": tokens / positions}

  return run


def model_gardens(precision: str) -> Callable[[], Told]:
  """Returns updates of tf-models-official on rows padded to 128."""
  from official.modeling import optimization
  from official.nlp.modeling import models
  from official.nlp.modeling import networks
  import tensorflow as tf

  sides.set_precision(precision)
  shape = config()
  encoder = networks.BertEncoderV2(
      vocab_size=shape.vocab_size,
      hidden_size=shape.hidden_size,
      num_layers=shape.num_layers,
      num_attention_heads=shape.num_heads,
      inner_dim=shape.feed_forward_size,
      max_sequence_length=shape.max_positions,
      type_vocab_size=shape.type_vocab_size,
  )
  model = models.BertClassifier(encoder, num_classes=2)
  optimizer = optimization.OptimizerFactory(
      optimization.OptimizationConfig({
          "optimizer": {"type": "adamw", "adamw": {"weight_decay_rate": 0.01}},
          "learning_rate": {"type": "constant",
                            "constant": {"learning_rate": 1e-4}},
      })
  ).build_optimizer(1e-4)

  @tf.function
  def train_step(ids: tf.Tensor, mask: tf.Tensor, labels: tf.Tensor) -> None:
    inputs = {"input_word_ids": ids, "input_mask": mask,
              "input_type_ids": tf.zeros_like(ids)}
    with tf.GradientTape() as tape:
      logits = tf.cast(model(inputs, training=True), tf.float32)
      loss = tf.reduce_mean(
          tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
      )
    optimizer.apply_gradients(zip(
        tape.gradient(loss, model.trainable_variables),
        model.trainable_variables, strict=True,
    ))

  return _repeated(
      padded(sentences(), LENGTH),
      lambda *batch: train_step(*map(tf.constant, batch)),
  )


def hugging_faces(precision: str) -> Callable[[], Told]:
  """Returns updates of transformers on rows padded to the longest."""
  import torch
  import transformers

  shape = config()
  model = transformers.BertForSequenceClassification(
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

  def train_step(ids: np.ndarray, mask: np.ndarray, labels: np.ndarray) -> None:
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast(
        "cpu", torch.bfloat16, enabled=precision == "bfloat16"
    ):
      loss = model(
          input_ids=torch.tensor(ids, dtype=torch.long),
          attention_mask=torch.tensor(mask),
          labels=torch.tensor(labels, dtype=torch.long),
      ).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()

  return _repeated(padded(sentences(), None), train_step)


def _repeated(
    take: Callable[[], tuple[np.ndarray, np.ndarray, np.ndarray]],
    train_step: Callable[..., object],
) -> Callable[[], Told]:

  def run() -> Told:
    filled, positions = 0, 0
    for _ in range(UPDATES.value):
      ids, mask, labels = take()
      train_step(ids, mask, labels)
      filled, positions = filled + int(mask.sum()), positions + mask.size
    return {"examples": float(BATCH.value * UPDATES.value),
            "fill": filled / positions}

  return run


def prepare(side: str) -> Callable[[], Callable[[], Told]]:
  """Returns what prepares a side by its name."""
  name, _, precision = side.rpartition(" ")
  if name.endswith("narrow"):
    # Operations of a few hundred tokens: side by side, each on one core.
    os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
  if name.startswith("pd_tf"):
    return lambda: ours(precision, name.endswith("distillation"))
  if name.startswith("Hugging Face"):
    return lambda: hugging_faces(precision)
  return lambda: model_gardens(precision)


def main(arguments: list[str]) -> None:
  """Prints a line for each side."""
  if SIDE.value:
    sides.serve(prepare(SIDE.value))
    return
  print(f"SST-2, {SIZE.value}, {BATCH.value} sentences an update")
  sides.compare(
      [name for name in NAMES if not ONLY.value or name in ONLY.value],
      (SIZE, BATCH, EXAMPLES, UPDATES), ROUNDS.value,
      {
          "examples/s": lambda answer: (
              f"{mean('examples', answer) / answer['seconds']:.0f}"
          ),
          "positions filled": lambda answer: f"{mean('fill', answer):.1%}",
      },
      parts=UPDATES.value, work=functools.partial(mean, "examples"), warm=2,
  )  # fmt: skip


def mean(key: str, answer: dict[str, Any]) -> float:
  """Returns that of all measurements: packed, each update holds another."""
  return statistics.fmean(told[key] for told in answer["all_told"])


if __name__ == "__main__":
  app.run(main)
