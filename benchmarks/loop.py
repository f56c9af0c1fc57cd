"""What the loop around the update costs: input, logs, checkpoints.

  python benchmarks/loop.py --segments=runs/sst2_tiny/segments

One side trains as `pd-tf train` does, on prepared segments, with a log line
each 50 updates and a checkpoint each 100; the other makes the same update of
the same model on one batch that stays in memory. Interleaved; medians.
"""

import functools
import pathlib
import statistics
import tempfile
import time

from absl import app
from absl import flags
import tensorflow as tf

from pd_tf.config import encoder as encoder_config
from pd_tf.config import train as train_config
from pd_tf.data import pretraining as pretraining_data
from pd_tf.modeling import bert
from pd_tf.modeling import miniatures
from pd_tf.objectives import pretraining
from pd_tf.training import checkpoints
from pd_tf.training import feed
from pd_tf.training import loop
from pd_tf.training import optimizer as optimizer_lib
from pd_tf.training import step
from pd_tf.training import update

SEGMENTS = flags.DEFINE_string("segments", None, "Of `pd-tf prepare`.")
SIZE = flags.DEFINE_enum("size", "tiny", list(miniatures.NAMED), "Miniature.")
ROWS = flags.DEFINE_integer("rows", 32, "Rows of a batch.")
ROUNDS = flags.DEFINE_integer("rounds", 5, "Measurements of each side.")
STEPS = flags.DEFINE_integer("steps", 100, "Updates of a measurement.")
STRATEGY = functools.cache(
    lambda: tf.distribute.OneDeviceStrategy("device:CPU:0")
)


def batches() -> tf.data.Dataset:
  """Returns what the run reads."""
  return pretraining_data.dataset(
      pathlib.Path(SEGMENTS.value), ROWS.value, 0.15, None, seed=0
  )


def trainer(dataset: tf.data.Dataset) -> tuple[step.Trainer, bert.Bert]:
  """Returns a trainer of a model of its own."""
  layers, width = miniatures.NAMED[SIZE.value]
  with STRATEGY().scope():
    model = bert.build(
        encoder_config.EncoderConfig(num_layers=layers, hidden_size=width),
        pretraining_heads=True,
    )
    optimizer = optimizer_lib.create(train_config.OptimizerConfig(), 100_000)
  made = update.Update(
      functools.partial(pretraining.outputs, model, with_pairs=True),
      model.trainable_variables, optimizer, clip_norm=1.0, seed=0,
  )
  iterator = feed.distributed(STRATEGY(), lambda: dataset)
  return step.Trainer(
      STRATEGY(), iterator, made, model.trainable_variables, optimizer
  ), model  # fmt: skip


def main(arguments: list[str]) -> None:
  """Prints both medians and what the loop adds."""
  del arguments
  one = next(iter(batches()))
  bare, _ = trainer(tf.data.Dataset.from_tensors(one).repeat())
  whole, model = trainer(batches())
  bare.train(tf.constant(2))
  seconds: dict[str, list[float]] = {"bare": [], "whole": []}
  with tempfile.TemporaryDirectory() as directory:
    place = pathlib.Path(directory)
    global_step = whole._optimizer.iterations
    manager = checkpoints.Checkpoints(
        place / "checkpoints",
        tf.train.Checkpoint(model=model, optimizer=whole._optimizer),
        global_step, checkpoint_steps=100, is_chief=True,
    )
    for number in range(ROUNDS.value + 1):
      start = time.perf_counter()
      bare.train(tf.constant(STEPS.value))
      middle = time.perf_counter()
      end = (number + 1) * STEPS.value
      loop.run(
          whole, manager, global_step, loop.Plan(end, 50, 100, end),
          loop.Records(place, {}), None,
      )
      if number:  # The first of each traces its graph.
        seconds["bare"].append(middle - start)
        seconds["whole"].append(time.perf_counter() - middle)
  medians = {
      name: statistics.median(times) / STEPS.value
      for name, times in seconds.items()
  }
  for name, median in medians.items():
    print(f"{name:6} {1000 * median:8.1f} ms an update")
  print(f"the loop adds {medians['whole'] / medians['bare'] - 1:.1%}")


if __name__ == "__main__":
  flags.mark_flag_as_required("segments")
  app.run(main)
