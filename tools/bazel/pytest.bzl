"""Bazel targets for files of pytest tests, which have no main of their own."""

load("@rules_python//python:defs.bzl", "py_test")

_MAIN = "//tools/bazel:pytest_main.py"

def pytest_test(name, deps, data = []):
    """Makes the test target of the file `<name>.py`.

    Args:
      name: Name of the target and, with .py, of its file.
      deps: What the test imports.
      data: Files that the test reads.
    """
    source = name + ".py"
    py_test(
        name = name,
        size = "medium",
        # No test is to fail because the machine is busy.
        timeout = "long",
        srcs = [source, _MAIN],
        args = [
            "-m 'not slow and not real_data'",
            "$(rootpath %s)" % source,
        ],
        data = data + ["//:pyproject.toml"],
        main = _MAIN,
        deps = deps + [
            "//tests:conftest",
            "//tools/bazel:expect_pytest_installed",
        ],
    )

def pytest_tests(deps, data = []):
    """Makes a target of every `*_test.py` in the package.

    Args:
      deps: What the tests import.
      data: Files that the tests read.
    """
    for source in native.glob(["*_test.py"], allow_empty = True):
        pytest_test(name = source[:-len(".py")], deps = deps, data = data)
