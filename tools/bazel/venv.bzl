"""The Python of the virtual environment, as Bazel's toolchain."""

_BUILD = """
load("@rules_python//python:defs.bzl", "py_runtime", "py_runtime_pair")

py_runtime(
    name = "runtime",
    interpreter_path = "{python}",
    python_version = "PY3",
)

py_runtime_pair(
    name = "runtime_pair",
    py3_runtime = ":runtime",
)

toolchain(
    name = "toolchain",
    toolchain = ":runtime_pair",
    toolchain_type = "@bazel_tools//tools/python:toolchain_type",
)
"""

def _venv_python_impl(repository_ctx):
    root = repository_ctx.path(Label("//:pyproject.toml")).dirname
    python = repository_ctx.os.environ.get("PD_TF_PYTHON")
    python = python or str(root.get_child(".venv", "bin", "python"))
    if not python.startswith("/"):
        fail("PD_TF_PYTHON: expected an absolute path, got " + python + ".")
    if not repository_ctx.path(python).exists:
        fail(python + ": no such Python. `make install` makes it; " +
             "PD_TF_PYTHON names one elsewhere.")
    repository_ctx.file("BUILD", _BUILD.format(python = python))

venv_python = repository_rule(
    implementation = _venv_python_impl,
    doc = """A repository with a Python toolchain, `:toolchain`.

    It is the Python that the environment variable PD_TF_PYTHON names, else that
    of .venv in the checkout, which has the packages of requirements.lock.
    """,
    environ = ["PD_TF_PYTHON"],
    local = True,
)
