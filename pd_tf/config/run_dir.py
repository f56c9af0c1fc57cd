"""The directory of one run: its settings first, its result last."""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import json
import os
import pathlib
from typing import Any

import yaml

from pd_tf.config import errors
from pd_tf.config import settings as settings_lib

CONFIG_FILE = "config.yaml"
RESULT_FILE = "result.json"
SHOWN_CHANGES = 4


def claim(run_dir: pathlib.Path, settings: Any) -> dict[str, Any] | None:
  """Makes or reopens a run directory for these settings.

  Args:
    run_dir: Made if it does not exist.
    settings: The settings of the run; written to `config.yaml`.

  Returns:
    The result if the run is finished, else None.

  Raises:
    InputError: The directory holds another run's settings, or other files.
  """
  config_path = run_dir / CONFIG_FILE
  if config_path.exists():
    _require_same(config_path, settings)
    return read_result(run_dir)
  if run_dir.exists() and not run_dir.is_dir():
    raise errors.InputError(f"run_dir: {run_dir} is a file, not a directory.")
  if run_dir.exists() and any(
      path.suffix != ".tmp" for path in run_dir.iterdir()
  ):
    raise errors.InputError(
        f"run_dir: {run_dir} holds files but no {CONFIG_FILE}; expected an "
        "empty or new directory."
    )
  run_dir.mkdir(parents=True, exist_ok=True)
  write_atomically(config_path, settings_lib.to_yaml(settings))
  return None


@contextlib.contextmanager
def given_back(run_dir: pathlib.Path | None) -> Iterator[None]:
  """Takes a claim back if the block finds its input wrong.

  What was claimed before the block, or holds more than settings, stays: only a
  run that never began must not keep its corrected successor out.
  """
  claimed = run_dir is not None and (run_dir / CONFIG_FILE).exists()
  try:
    yield
  except errors.InputError:
    if run_dir is not None and not claimed and run_dir.is_dir():
      if [path.name for path in run_dir.iterdir()] == [CONFIG_FILE]:
        (run_dir / CONFIG_FILE).unlink()
    raise


def read_result(run_dir: pathlib.Path) -> dict[str, Any] | None:
  """Returns `result.json` of a finished run, or None."""
  path = run_dir / RESULT_FILE
  if not path.exists():
    return None
  return json.loads(path.read_text(encoding="utf-8"))


def finish(run_dir: pathlib.Path, result: dict[str, Any]) -> None:
  """Writes `result.json`; its presence means that the run is finished."""
  write_atomically(
      run_dir / RESULT_FILE, json.dumps(result, indent=2, allow_nan=False)
  )


def write_atomically(path: pathlib.Path, text: str) -> None:
  """Writes a file so that it is there whole or not at all."""
  temporary = path.with_name(path.name + ".tmp")
  with open(temporary, "w", encoding="utf-8") as file:
    file.write(text)
    file.flush()
    os.fsync(file.fileno())
  os.replace(temporary, path)


def _require_same(config_path: pathlib.Path, settings: Any) -> None:
  old = yaml.safe_load(config_path.read_text(encoding="utf-8")) or {}
  changes = list(differences(old, settings_lib.to_mapping(settings)))
  if changes:
    raise errors.InputError(
        f"run_dir: {config_path.parent} belongs to a run with other settings: "
        f"{summary(changes)}. Choose another run_dir."
    )


def summary(changes: Sequence[str]) -> str:
  """Returns the first few of the changes and how many more there are."""
  more = len(changes) - SHOWN_CHANGES
  text = "; ".join(changes[:SHOWN_CHANGES])
  return f"{text}; and {more} more" if more > 0 else text


def differences(old: Any, new: Any, name: str = "") -> Iterator[str]:
  """Yields a line for every setting that differs between two mappings."""
  if isinstance(old, dict) and isinstance(new, dict):
    for key in sorted(old.keys() | new.keys()):
      dotted = f"{name}.{key}" if name else key
      yield from differences(old.get(key), new.get(key), dotted)
  elif old != new:
    yield f"{name} was {old!r}, is now {new!r}"
