import pytest

from pd_tf.config import encoder
from pd_tf.config import errors


def test_what_follows_from_the_sizes():
  config = encoder.EncoderConfig(num_layers=4, hidden_size=256)
  assert config.num_heads == 4
  assert config.feed_forward_size == 1024
  assert encoder.EncoderConfig(intermediate_size=7).feed_forward_size == 7


@pytest.mark.parametrize("sizes, message", [
    (
        {"hidden_size": 100},
        "hidden_size (100) must be a multiple of head_size (64).",
    ),
    ({"num_layers": 0}, "num_layers (0) must be at least 1."),
    ({"head_size": 0}, "head_size (0) must be at least 1."),
    ({"hidden_dropout": 1.0}, "hidden_dropout (1.0) must be in [0, 1)."),
])
def test_wrong_sizes(sizes, message):
  with pytest.raises(errors.InputError) as raised:
    encoder.EncoderConfig(**sizes)
  assert str(raised.value) == message
