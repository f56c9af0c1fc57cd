"""What holds for every test: quiet TensorFlow, two CPUs, the same draws."""

import os
import pathlib
import sys

import hypothesis
import pytest

DATA_VARIABLE = "PD_TF_DATA"

# Read by TensorFlow when it is imported: errors only, and no GPU, on which
# results would differ from machine to machine.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
# Read by matplotlib: draws without a screen.
os.environ.setdefault("MPLBACKEND", "Agg")

# The same examples every time, and no limit of time: the machine may be busy.
hypothesis.settings.register_profile(
    "pd_tf", deadline=None, derandomize=True, database=None, max_examples=50
)
hypothesis.settings.load_profile("pd_tf")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
  """Skips tests on real data where there is none."""
  if os.environ.get(DATA_VARIABLE):
    return
  skip = pytest.mark.skip(reason=f"{DATA_VARIABLE} is not set; it names a "
                          "folder of real data.")
  for item in items:
    if item.get_closest_marker("real_data"):
      item.add_marker(skip)


def pytest_collection_finish() -> None:
  """Splits the CPU into two devices, for tests of more than one replica.

  It must be done before TensorFlow's first operation. Tests that do not import
  TensorFlow do not wait for it.
  """
  tf = sys.modules.get("tensorflow")
  if tf is None:
    return
  cpu = tf.config.list_physical_devices("CPU")[0]
  try:
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * 2
    )
  except RuntimeError:
    # A test file ran an operation while it was imported.
    pass


@pytest.fixture(scope="session")
def two_replicas():
  """A strategy over the two CPUs: one for all tests.

  A second one over the same devices would number its sums between replicas as
  the first did, and TensorFlow would take one's for the other's.
  """
  import tensorflow as tf

  assert len(tf.config.list_logical_devices("CPU")) == 2
  return tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])


@pytest.fixture
def real_data() -> pathlib.Path:
  """The folder of real data; its tests carry the mark real_data."""
  return pathlib.Path(os.environ[DATA_VARIABLE])
