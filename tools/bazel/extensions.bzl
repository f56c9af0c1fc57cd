"""What MODULE.bazel uses (Bazel 7 and later)."""

load("//tools/bazel:venv.bzl", "venv_python")

def _venv_impl(_module_ctx):
    venv_python(name = "venv_python")

venv = module_extension(implementation = _venv_impl)
