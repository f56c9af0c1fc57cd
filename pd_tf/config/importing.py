"""How TensorFlow is imported where the process is pd_tf's own."""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import importlib.abc
import importlib.machinery
import os
import sys
import types

# TensorFlow and tf_keras import them, if they are installed, only to know their
# tables, matrices and files when they are given one, as pd_tf does not. They
# are a fifth of the time of the import and 100 MB.
_NOT_NEEDED = ("pandas", "scipy", "h5py")


def small() -> None:
  """Has TensorFlow be imported without what pd_tf does not use of it.

  The import itself may come at any time later, or never. What is left out can
  be imported by others afterwards. Does nothing where TensorFlow is imported
  already.
  """
  # Else TensorFlow imports Keras 3, which few need, with all that it can plot.
  os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
  found = any(isinstance(finder, _Finder) for finder in sys.meta_path)
  if not found and "tensorflow" not in sys.modules:
    sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
  """Finds TensorFlow, and has it not find what it does not need."""

  def find_spec(
      self,
      fullname: str,
      path: Sequence[str] | None,
      target: types.ModuleType | None = None,
  ) -> importlib.machinery.ModuleSpec | None:
    """Returns where TensorFlow is; None for every other module."""
    if fullname != "tensorflow":
      return None
    spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
    if spec is None or spec.loader is None:
      return None
    execute = spec.loader.exec_module

    def execute_alone(module: types.ModuleType) -> None:
      with _absent(_NOT_NEEDED):
        execute(module)

    # Of this one loader, which is TensorFlow's alone.
    setattr(spec.loader, "exec_module", execute_alone)  # noqa: B010
    return spec


@contextlib.contextmanager
def _absent(names: Sequence[str]) -> Iterator[None]:
  """Has imports of modules fail as if they were not installed."""
  missing = [name for name in names if name not in sys.modules]
  for name in missing:
    # What Python's import system takes for "not there".
    sys.modules[name] = None  # type: ignore[assignment]
  try:
    yield
  finally:
    for name in missing:
      del sys.modules[name]
