"""How many threads TensorFlow has for one operation."""

import os

from absl import logging
import tensorflow as tf

VARIABLE = "TF_NUM_INTRAOP_THREADS"

# Tokens of an update times the width of a layer, up to which operations run
# whole. Below, handing parts of an operation to other threads costs more than
# it saves. Two cores have half of a batch each then (`parts`), and gain as far
# as was measured; of more it is not known what they would gain so, and they
# split sooner (docs/performance.md). For widths of 128 and 256: of wider layers
# a product has more work.
WHOLE_NUMBERS_OF_TWO_CORES = 2**19
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
      or numbers > _most_numbers()
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


def parts() -> int:
  """Returns into how many parts training is to split a batch's rows.

  Two where operations run whole: each then has a core of its own, where one
  part would mostly wait for itself.
  """
  told = tf.config.threading.get_intra_op_parallelism_threads()
  whole = told == 1 or not told and os.environ.get(VARIABLE) == "1"
  return 2 if whole and _num_cores() > 1 else 1


def _most_numbers() -> int:
  return WHOLE_NUMBERS if _num_cores() > 2 else WHOLE_NUMBERS_OF_TWO_CORES


def _num_cores() -> int:
  return len(os.sched_getaffinity(0))
