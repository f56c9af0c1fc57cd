"""How many threads TensorFlow has for one operation."""

import os

from absl import logging
import tensorflow as tf

VARIABLE = "TF_NUM_INTRAOP_THREADS"

# Tokens of an update times the width of a layer up to which operations run
# whole. Below, handing parts of an operation to other threads costs more than
# it saves: at 54,000 an update takes 15 to 20 % less time when none is split;
# at 108,000 it is even or loses 2 %, beyond it loses (docs/performance.md). On
# two cores, for widths of 128 and 256: of wider layers a product has more work.
WHOLE_NUMBERS = 2**16
WHOLE_WIDTH = 256


def run_whole(tokens: float, width: int) -> bool:
  """Has operations run whole, side by side, where an update is small.

  Says nothing where somebody else has: in the environment, to TensorFlow, or by
  having started it, which fixes the threads of the process.

  Args:
    tokens: About how many an update has.
    width: Of a layer.

  Returns:
    Whether it had TensorFlow do so.
  """
  threading, numbers = tf.config.threading, tokens * width
  if (
      width > WHOLE_WIDTH
      or numbers > WHOLE_NUMBERS
      or VARIABLE in os.environ
      or threading.get_intra_op_parallelism_threads()
  ):
    return False
  try:
    threading.set_intra_op_parallelism_threads(1)
  except RuntimeError:
    # TensorFlow has started.
    return False
  logging.info(
      "Operations run whole, each in one thread: an update has about %d "
      "numbers a layer. %s in the environment says otherwise.",
      numbers, VARIABLE,
  )
  return True
