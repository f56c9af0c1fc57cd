"""Runs pytest on the file of one Bazel target."""

import os
import sys

import pytest

# Bazel starts a test without a home; matplotlib, for one, wants to write there.
os.environ.setdefault("HOME", os.environ["TEST_TMPDIR"])


def main() -> int:
  """Returns pytest's exit code."""
  code = pytest.main([
      "--config-file=pyproject.toml",
      f"--basetemp={os.environ['TEST_TMPDIR']}/pytest",
      f"--junitxml={os.environ['XML_OUTPUT_FILE']}",
      "-pno:cacheprovider",
      *sys.argv[1:],
  ])
  # Every test of a file may be one of those that are left out.
  return 0 if code == pytest.ExitCode.NO_TESTS_COLLECTED else int(code)


if __name__ == "__main__":
  sys.exit(main())
