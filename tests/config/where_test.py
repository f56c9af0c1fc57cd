import pytest

from pd_tf.config import errors
from pd_tf.config import settings
from pd_tf.config import where


def test_default_is_one_device():
  assert where.ONE_DEVICE.strategy == "one_device"


@pytest.mark.parametrize("values, message", [
    ({"num_gpus": -1}, "num_gpus (-1) must not be negative."),
    (
        {"tpu": "local"},
        "tpu (local) goes with --strategy=tpu, the strategy was one_device.",
    ),
])
def test_wrong_places(values, message):
  with pytest.raises(errors.InputError) as raised:
    settings.from_mapping(where.Where, values)
  assert str(raised.value) == message
