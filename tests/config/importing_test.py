"""TensorFlow is imported without what it only looks for."""

import subprocess
import sys

LIBRARIES = ("pandas", "scipy", "h5py")


def _said(code: str) -> list[str]:
  """Returns the lines that a process of its own prints."""
  run = subprocess.run(
      [sys.executable, "-c", code], check=True, capture_output=True, text=True
  )
  return run.stdout.splitlines()


def test_what_is_not_needed_is_not_imported_but_can_be_later():
  lines = _said(f"""
import sys
from pd_tf.config import importing
importing.small()
importing.small()
import tensorflow as tf
print([name for name in {LIBRARIES} if name in sys.modules])
print(tf.__spec__.loader.get_resource_reader("tensorflow") is not None)
for name in {LIBRARIES}:
  print(__import__(name).__version__ != "")
print(float(tf.reduce_sum(tf.keras.layers.Dense(2)(tf.ones([1, 3]))) ** 0))
print("keras.src.layers" in sys.modules)
""")
  assert lines == ["[]", "True", "True", "True", "True", "1.0", "False"]


def test_what_was_imported_before_stays():
  lines = _said("""
import sys
import scipy
from pd_tf.config import importing
importing.small()
import tensorflow as tf
print(sys.modules["scipy"] is scipy, "pandas" in sys.modules)
""")
  assert lines == ["True False"]


def test_an_import_that_fails_says_so():
  """TensorFlow's absence is no other error than without this."""
  lines = _said("""
import sys
from pd_tf.config import importing
sys.path[:] = [path for path in sys.path if "site-packages" not in path]
importing.small()
try:
  import tensorflow
except ModuleNotFoundError as error:
  print(error.name)
""")
  assert lines == ["tensorflow"]
