"""Reads a JSON object, with one-line errors."""

import json
import pathlib
from typing import Any

from pd_tf.config import errors

# The largest that there are, tokenizer.json of 250,000 entries, have 17 MB; as
# objects they take ten times as much.
MAX_BYTES = 64 * 2**20


def read(path: pathlib.Path) -> dict[str, Any]:
  """Returns the object in a JSON file.

  Raises:
    InputError: The file is missing, too large, not UTF-8, not JSON or no
      object.
  """
  try:
    values = json.loads(_content(path).decode("utf-8"))
  except errors.InputError:
    raise
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


def _content(path: pathlib.Path) -> bytes:
  with path.open("rb") as file:
    content = file.read(MAX_BYTES + 1)
  if len(content) > MAX_BYTES:
    raise errors.InputError(
        f"{path}: must have at most {MAX_BYTES} bytes, has more."
    )
  return content
