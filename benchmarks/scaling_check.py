"""This machine's rates, and its pre-training steps beside the predicted ones.

  python benchmarks/scaling_check.py --sizes=2/128,4/256,4/512
  python benchmarks/scaling_check.py --segments=DIR_OF_PD_TF_PREPARE

The first prints the rate of matrix products and of memory, and for each size
the measured step and what pd_tf/modeling/cost.py says of it. The second prints
what the input pipeline makes on one core. Rounds are interleaved.
"""

from collections.abc import Callable
import functools
import math
import os
import pathlib
import statistics
import time
from typing import NamedTuple

from absl import app
from absl import flags
from absl import logging
import numpy as np
import tensorflow as tf

from pd_tf.config import encoder as encoder_config
from pd_tf.config import train as train_config
from pd_tf.data import pretraining as pretraining_data
from pd_tf.modeling import bert
from pd_tf.modeling import cost
from pd_tf.objectives import pretraining
from pd_tf.training import optimizer as optimizer_lib
from pd_tf.training import step
from pd_tf.training import update

SIZES = flags.DEFINE_list("sizes", ["2/128"], "L/H, L/H, …: the miniatures.")
PRECISIONS = flags.DEFINE_list(
    "precisions", ["float32", "bfloat16"], "Of matrix products."
)
ROWS = flags.DEFINE_list("rows", ["32"], "Rows of a batch.")
ROUNDS = flags.DEFINE_integer("rounds", 10, "Steps measured of each.")
DROPOUT = flags.DEFINE_float("dropout", 0.1, "0 shows what it costs.")
PRODUCTS = flags.DEFINE_float("products", 0.45, "Share of their own rate.")
MEMORY = flags.DEFINE_float("memory", 0.7, "Share of the memory's rate.")
SEGMENTS = flags.DEFINE_string(
    "segments", None, "Directory of `pd-tf prepare`: measures the input."
)
BATCHES = flags.DEFINE_integer("batches", 4000, "Batches of input measured.")
# Large enough that nothing but the product counts.
PRODUCT = (4096, 768, 3072)
MEMORY_NUMBERS = 2**25
# A billion is 1e9 throughout.
GIGA, MILLI = 1e9, 1e-3

Run = Callable[[], object]


class Times(NamedTuple):
  """Median seconds of a run: as they went by, and of its own CPU time.

  The latter, divided by the cores, is what it would take on cores that do
  nothing else and are all busy with it.
  """

  elapsed: float
  own: float


def timed(runs: dict[str, Run], rounds: int) -> dict[str, Times]:
  """Returns the times of each, run in turn after a first time."""
  times: dict[str, list[Times]] = {name: [] for name in runs}
  cores = len(os.sched_getaffinity(0))
  for run in runs.values():
    run()
  for _ in range(rounds):
    for name, run in runs.items():
      # Once more, so that caches and freed memory are its own.
      run()
      start, own = time.perf_counter(), time.process_time()
      run()
      times[name].append(Times(
          time.perf_counter() - start, (time.process_time() - own) / cores
      ))
  return {
      name: Times(*map(statistics.median, zip(*each, strict=True)))
      for name, each in times.items()
  }


def _product(x: tf.Tensor, y: tf.Tensor) -> object:
  return tf.matmul(x, y).shape


def rate_runs() -> dict[str, Run]:
  """Returns a product in each precision, and a pass over memory."""
  rows, inner, columns = PRODUCT
  runs: dict[str, Run] = {}
  for dtype in PRECISIONS.value:
    x = tf.cast(tf.random.stateless_normal([rows, inner], [0, 1]), dtype)
    y = tf.cast(tf.random.stateless_normal([inner, columns], [0, 2]), dtype)
    runs[dtype] = functools.partial(_product, x, y)
  numbers = tf.zeros([MEMORY_NUMBERS])
  runs["memory"] = lambda: (numbers + 1.0).shape
  return runs


def batch(
    config: encoder_config.EncoderConfig, row: cost.Row, rows: int
) -> dict[str, np.ndarray]:
  """Returns rows of one example each, with masked positions."""
  generator = np.random.default_rng(0)
  shape, masked = (rows, row.seq_length), (rows, row.predictions)
  whole = {
      "input_ids": generator.integers(0, config.vocab_size, shape),
      "type_ids": np.zeros(shape),
      "position_ids": np.broadcast_to(np.arange(row.seq_length), shape),
      "example_ids": np.ones(shape),
      "cls_positions": np.zeros((rows, row.segments)),
      "masked_positions": np.sort(
          generator.integers(0, row.seq_length, masked)
      ),
      "masked_ids": generator.integers(0, config.vocab_size, masked),
  }
  arrays = {name: array.astype(np.int32) for name, array in whole.items()}
  arrays["masked_weights"] = np.ones(masked, np.float32)
  return arrays


def one_step(
    config: encoder_config.EncoderConfig,
    row: cost.Row,
    precision: str,
    rows: int,
) -> Run:
  """Returns a training step as a run makes it, on data that is there."""
  strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
  with strategy.scope():
    model = bert.build(config, pretraining_heads=True, compute_dtype=precision)
    optimizer = optimizer_lib.create(train_config.OptimizerConfig(), 100_000)
  trainer = step.Trainer(
      strategy,
      iter(tf.data.Dataset.from_tensors(batch(config, row, rows)).repeat()),
      update.Update(
          lambda data, seed: pretraining.outputs(model, data, seed, False),
          model.trainable_variables, optimizer, clip_norm=1.0, seed=0,
      ),
      model.trainable_variables, optimizer,
  )
  one = tf.constant(1)
  return lambda: trainer.train(one)


def check_steps() -> None:
  """Prints the table of steps, each size with the rates of its time."""
  print(f"Load: {os.getloadavg()[0]:.1f}\n")
  print("| L/H | products | GFLOP/s | memory, GB/s | rows | elapsed, ms "
        "| CPU time / cores, ms | predicted, ms | of it products "
        "| activations | update | ratio |")
  print("|---" * 2 + "|---:" * 10 + "|")
  for size in SIZES.value:
    layers, width = map(int, size.split("/"))
    check_size(size, encoder_config.EncoderConfig(
        num_layers=layers, hidden_size=width, hidden_dropout=DROPOUT.value,
        attention_dropout=DROPOUT.value,
    ))


def check_size(size: str, config: encoder_config.EncoderConfig) -> None:
  """Prints the lines of one size."""
  # Without XLA casts are kernels of their own, to and from float32.
  row = cost.Row(number_bytes=cost.FLOAT32_BYTES)
  steps = {
      f"{precision} {rows}": one_step(config, row, precision, int(rows))
      for precision in PRECISIONS.value
      for rows in ROWS.value
  }
  seconds = timed({**rate_runs(), **steps}, ROUNDS.value)
  memory = 2 * cost.FLOAT32_BYTES * MEMORY_NUMBERS / seconds["memory"].own
  for name in steps:
    precision, rows = name.split()
    flops = 2 * math.prod(PRODUCT) / seconds[precision].own
    device = cost.Device(flops, memory, math.inf)
    said = cost.step_seconds(
        config, row, device.used(PRODUCTS.value, MEMORY.value, 1.0), int(rows)
    )
    measured = seconds[name].elapsed, seconds[name].own
    parts = said.total, said.products, said.activations, said.update
    print(
        f"| {size} | {precision} | {flops / GIGA:.0f} | {memory / GIGA:.0f} "
        f"| {rows} | "
        + " | ".join(f"{part / MILLI:.0f}" for part in measured + parts)
        + f" | {seconds[name].own / said.total:.2f} |", flush=True,
    )


def check_input(segments: pathlib.Path) -> None:
  """Prints what the input pipeline makes on one core."""
  # Before TensorFlow has threads: they inherit it.
  os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
  manifest = pretraining_data.manifest(segments)
  batch_size = int(ROWS.value[0])
  record_bytes = sum(shard["bytes"] for shard in manifest["shards"])
  iterator = iter(
      pretraining_data.dataset(segments, batch_size, 0.15, None, seed=0)
  )
  # What the pipeline holds ready is not to be counted.
  for _ in range(BATCHES.value // 10):
    next(iterator)
  # Of its own CPU time: it has but one core, and shares it.
  start = time.process_time()
  for _ in range(BATCHES.value):
    next(iterator)
  rows = batch_size * BATCHES.value / (time.process_time() - start)
  tokens = rows * manifest["seq_length"]
  each = record_bytes / manifest["num_rows"]
  print(
      f"{rows:.0f} rows/s, {tokens / 1e6:.2f} M tokens/s, "
      f"{rows * each / 1e6:.2f} MB/s of records of {each:.0f} bytes"
  )


def main(arguments: list[str]) -> None:
  """Prints what was measured."""
  del arguments
  logging.set_verbosity(logging.ERROR)
  if SEGMENTS.value:
    check_input(pathlib.Path(SEGMENTS.value))
  else:
    check_steps()


if __name__ == "__main__":
  app.run(main)
