"""Random starting weights that follow from a seed and a name alone."""

from collections.abc import Mapping
import zlib

import numpy as np


def random_weights(
    like: Mapping[str, np.ndarray], standard_deviation: float, seed: int
) -> dict[str, np.ndarray]:
  """Returns starting weights (google-research/bert, modeling.py).

  Args:
    like: Arrays by canonical name, for names and shapes.
    standard_deviation: Of the normal, cut at two standard deviations.
    seed: Any whole number; each name draws from a stream of its own, so that
      a tensor's start does not depend on what else the model has.

  Returns:
    Float32 arrays: gamma 1, beta and biases 0, all else drawn.
  """
  return {
      name: _start(name, array.shape, standard_deviation, seed)
      for name, array in like.items()
  }


def _start(
    name: str, shape: tuple[int, ...], standard_deviation: float, seed: int
) -> np.ndarray:
  if name.endswith("gamma"):
    return np.ones(shape, np.float32)
  if name.endswith(("beta", "bias")):
    return np.zeros(shape, np.float32)
  generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
  draw = generator.standard_normal(shape, np.float32)
  while (outside := np.abs(draw) > 2).any():
    draw[outside] = generator.standard_normal(outside.sum(), np.float32)
  return draw * np.float32(standard_deviation)
