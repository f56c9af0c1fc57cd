"""Reads a JSON object, with one-line errors."""

import json
import pathlib
from typing import Any

from pd_tf.config import errors


def read(path: pathlib.Path) -> dict[str, Any]:
  """Returns the object in a JSON file.

  Raises:
    InputError: The file is missing, not UTF-8, not JSON or no object.
  """
  try:
    values = json.loads(path.read_bytes().decode("utf-8"))
  except FileNotFoundError:
    raise errors.InputError(f"{path}: no such file.") from None
  except OSError as error:
    raise errors.InputError(
        f"{path}: cannot be read: {error.strerror}."
    ) from None
  except UnicodeDecodeError as error:
    raise errors.InputError(
        f"{path}: must be UTF-8, byte {error.start} is not."
    ) from None
  except (ValueError, RecursionError) as error:
    raise errors.InputError(f"{path}: not valid JSON: {error}.") from None
  if not isinstance(values, dict):
    raise errors.InputError(
        f"{path}: expected a JSON object, got {type(values).__name__}."
    )
  return values
