"""What a verb does not need, it does not import."""

import subprocess
import sys

import pytest

UNNEEDED = ("pandas", "scipy", "h5py", "tensorflow_datasets")


@pytest.mark.parametrize("module", ["pd_tf.train", "pd_tf.label"])
def test_verbs_import_no_library_that_few_runs_need(module):
  """Else nothing is saved by TensorFlow's import without them."""
  code = f"""
import importlib, sys
from pd_tf.config import importing
importing.small()
importlib.import_module({module!r})
print([name for name in {UNNEEDED} if name in sys.modules])
"""
  run = subprocess.run(
      [sys.executable, "-c", code], check=True, capture_output=True, text=True
  )
  assert run.stdout == "[]\n"
