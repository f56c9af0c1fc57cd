"""Puts a new file or directory in place whole, or not at all."""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import fnmatch
import os
import pathlib
import shutil

from pd_tf.config import errors


@contextlib.contextmanager
def replacing(
    target: pathlib.Path, overwrite: bool, own_files: Sequence[str]
) -> Iterator[pathlib.Path]:
  """Makes `target` out of what the body writes beside it.

  Args:
    target: File or directory to make; its parents are made too.
    overwrite: Whether one that is there is replaced.
    own_files: Patterns of the names that a directory of this format holds. One
      that holds anything else is not replaced, overwrite or not: `--to=~` must
      not cost a home.

  Yields:
    Path of the same name in a temporary sibling directory. The body makes it;
    it becomes `target` when the body ends without an exception.

  Raises:
    InputError: The target is there and must not be replaced, or the place
      cannot be written to.
  """
  place = pathlib.Path(os.path.realpath(target))
  workspace = _sibling(place, ".tmp")
  try:
    recover(place)
    require_free(target, overwrite, own_files)
    shutil.rmtree(workspace, ignore_errors=True)
    workspace.mkdir(parents=True)
    yield workspace / place.name
    _move(workspace / place.name, place)
  except OSError as error:
    raise errors.InputError(
        f"{target}: cannot be written: {error.strerror or error}."
    ) from None
  finally:
    shutil.rmtree(workspace, ignore_errors=True)


def require_free(
    target: pathlib.Path, overwrite: bool, own_files: Sequence[str]
) -> None:
  """Raises InputError unless `target` may be written."""
  if not target.exists():
    return
  if not overwrite:
    raise errors.InputError(
        f"{target}: is already there; choose another place, or replace it "
        "with --overwrite."
    )
  if not target.is_dir():
    return
  for path in sorted(target.iterdir()):
    if not any(fnmatch.fnmatch(path.name, own) for own in own_files):
      raise errors.InputError(
          f"{target}: is not replaced, as it holds {path.name}, which is not "
          "part of such a model."
      )


def recover(target: pathlib.Path) -> None:
  """Takes back the old target where a replacement was killed halfway."""
  aside = _sibling(target, ".old.tmp")
  if aside.exists():
    if target.exists():
      shutil.rmtree(aside)
    else:
      os.rename(aside, target)


def _move(new: pathlib.Path, target: pathlib.Path) -> None:
  if not target.is_dir():
    os.replace(new, target)
    return
  # A directory that is not empty cannot be renamed over.
  aside = _sibling(target, ".old.tmp")
  os.rename(target, aside)
  os.rename(new, target)
  shutil.rmtree(aside, ignore_errors=True)


def _sibling(target: pathlib.Path, suffix: str) -> pathlib.Path:
  return target.with_name(f".{target.name}{suffix}")
