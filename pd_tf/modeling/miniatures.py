"""The 24 sizes of the release (Turc et al., 2019; google-research/bert)."""

from pd_tf.config import encoder

NUM_LAYERS = (2, 4, 6, 8, 10, 12)
HIDDEN_SIZES = (128, 256, 512, 768)
NAMED = {
    "tiny": (2, 128),
    "mini": (4, 256),
    "small": (4, 512),
    "medium": (8, 512),
    "base": (12, 768),
}


def configs() -> list[encoder.EncoderConfig]:
  """Returns the 24 encoders, by layers, then by width."""
  return [
      encoder.EncoderConfig(num_layers=layers, hidden_size=size)
      for layers in NUM_LAYERS
      for size in HIDDEN_SIZES
  ]
