"""What is known of how a model was trained, for the card of a written one."""

import json
import pathlib
from typing import Any

from pd_tf.config import run_dir

CARD = "README.md"
HEADING = "## Training"

# A card is a page; what is longer is no card of ours.
_MAX_CHARACTERS = 100_000


def of(source: str | pathlib.Path) -> str:
  """Returns what is known of a model's training, Markdown; may be empty.

  Args:
    source: A run of `pd-tf train`, or a model with a card that says it.
  """
  path = pathlib.Path(source)
  if (path / run_dir.CONFIG_FILE).is_file():
    return _of_run(path)
  if (path / CARD).is_file():
    return _of_card(path / CARD)
  return ""


def _of_run(path: pathlib.Path) -> str:
  result = run_dir.read_result(path)
  config = (path / run_dir.CONFIG_FILE).read_text(encoding="utf-8")
  table = _table(_figures(result)) if result else ""
  return (
      f"{table}Data and settings, which `pd-tf train --config=…` repeats:\n\n"
      f"```yaml\n{config.strip()}\n```"
  )


def _figures(result: dict[str, Any]) -> dict[str, Any]:
  """Returns name to value of a result, nested ones by dotted names."""
  figures: dict[str, Any] = {}
  for name, value in result.items():
    if isinstance(value, dict):
      figures |= {f"{name}.{key}": item for key, item in value.items()}
    elif isinstance(value, (str, int, float)):
      figures[name] = value
  return figures


def _table(figures: dict[str, Any]) -> str:
  rows = [
      f"| {name} | {value if isinstance(value, str) else _number(value)} |"
      for name, value in figures.items()
  ]
  return "\n".join(["| | |", "|---|---|", *rows, "", ""])


def _number(value: Any) -> str:
  return f"{value:.4f}" if isinstance(value, float) else json.dumps(value)


def _of_card(path: pathlib.Path) -> str:
  with path.open(encoding="utf-8", errors="replace") as file:
    text = file.read(_MAX_CHARACTERS)
  _, found, section = text.partition(f"\n{HEADING}\n")
  return section.partition("\n## ")[0].strip() if found else ""
