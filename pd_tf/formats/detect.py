"""Which format a model has, told by looking at what is there."""

import pathlib
from typing import Literal
import zipfile

from pd_tf.config import errors
from pd_tf.config import pretrained
from pd_tf.config import run_dir
from pd_tf.formats import hugging_face
from pd_tf.formats import release
from pd_tf.formats import replacement

Format = Literal["run", "release", "hugging_face"]

# A run keeps the best model by the dev metric, and the last.
RUN_MODELS = ("best", "last")

_LOOKED_FOR = (
    f"a run ({run_dir.CONFIG_FILE} with {' or '.join(RUN_MODELS)}), a release "
    f"directory or .zip ({release.CONFIG_NAME}), or a Hugging Face directory "
    f"({hugging_face.CONFIG_NAME})"
)


def read(path: str | pathlib.Path) -> pretrained.Pretrained:
  """Returns a model, whichever of the known formats it has.

  Args:
    path: The run, directory or zip.

  Raises:
    InputError: There is no such path, it has no known format, or what it has
      cannot be read.
  """
  path = pathlib.Path(path)
  kind = detect(path)
  if kind == "run":
    return release.read(_run_model(path))
  if kind == "release":
    return release.read(path)
  return hugging_face.read(path)


def detect(path: str | pathlib.Path) -> Format:
  """Returns the format of what is at a path, without reading the weights.

  Raises:
    InputError: There is no such path, or it has no known format.
  """
  path = pathlib.Path(path)
  if not path.exists():
    raise errors.InputError(f"{path}: no such model; expected {_LOOKED_FOR}.")
  if path.is_file() and (path.suffix == ".zip" or zipfile.is_zipfile(path)):
    return "release"
  if (path / run_dir.CONFIG_FILE).is_file():
    return "run"
  if (path / release.CONFIG_NAME).is_file():
    return "release"
  if (path / hugging_face.CONFIG_NAME).is_file():
    return "hugging_face"
  raise errors.InputError(f"{path}: expected {_LOOKED_FOR}; found none.")


def _run_model(path: pathlib.Path) -> pathlib.Path:
  if run_dir.read_result(path) is None:
    raise errors.InputError(
        f"{path}: the run must be finished, has no {run_dir.RESULT_FILE} yet."
    )
  for name in RUN_MODELS:
    replacement.recover(path / name)
    if (path / name).is_dir():
      return path / name
  raise errors.InputError(
      f"{path}: expected the run of a training, with a model in "
      f"{' or '.join(RUN_MODELS)}; found none."
  )
