"""What every teacher can do."""

import abc
from collections.abc import Sequence

import numpy as np

from pd_tf.config import pretrained


class Teacher(abc.ABC):
  """Turns texts into logits.

  Attributes:
    task: What the logits mean.
  """

  def __init__(self, task: pretrained.TaskHead):
    self.task = task

  @abc.abstractmethod
  def logits(self, columns: Sequence[Sequence[str]]) -> np.ndarray:
    """Returns logits, Float32 [N, C].

    Args:
      columns: One sequence of N texts, or two of pairs.
    """
