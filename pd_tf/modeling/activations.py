"""The two forms of gelu, with gradients written out.

TensorFlow's own tanh form goes through `tf.pow`, which costs more on a CPU
than the rest of a feed-forward layer's element-wise work; x * x * x does not.
"""

from collections.abc import Callable
import math

import tensorflow as tf

_TANH_SCALE = math.sqrt(2.0 / math.pi)
_CUBIC = 0.044715


@tf.custom_gradient
def gelu_tanh(x: tf.Tensor):
  """Returns x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), any shape.

  Source: google-research/bert, modeling.py (Hendrycks and Gimpel, 2016).
  """
  square = x * x
  tanh = tf.tanh(_TANH_SCALE * x * (1.0 + _CUBIC * square))

  def gradient(upstream: tf.Tensor) -> tf.Tensor:
    inner = _TANH_SCALE * (1.0 + 3.0 * _CUBIC * square)
    slope = 0.5 * (1.0 + tanh + x * (1.0 - tanh * tanh) * inner)
    return upstream * slope

  return 0.5 * x * (1.0 + tanh), gradient


def gelu_erf(x: tf.Tensor) -> tf.Tensor:
  """Returns x Phi(x), the exact form, any shape."""
  return tf.nn.gelu(x, approximate=False)


ACTIVATIONS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "gelu": gelu_tanh,
    "gelu_erf": gelu_erf,
}
