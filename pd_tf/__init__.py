"""pd_tf: Pre-trained Distillation for TensorFlow (Turc et al., 2019)."""

__version__ = "0.1.0"
