"""Rows of labelled files: TSV as GLUE has it, CSV, JSON lines, TFDS."""

import collections
from collections.abc import Iterator
from collections.abc import Sequence
import csv
import dataclasses
import difflib
import json
import math
import pathlib
from typing import Any

from pd_tf.config import errors
from pd_tf.config import tfds_name
from pd_tf.data import text_files

# A text or number as text; of a JSON list or a sequence of TFDS its parts.
Cell = str | tuple[str, ...]
_CSV_FIELD_BYTES = 2**31 - 1
_JSON_ENDING = ".jsonl"
_SHOWN_COLUMNS = 20


@dataclasses.dataclass(frozen=True)
class Wanted:
  """What is wanted of a table.

  Attributes:
    columns: Names.
    header: Names of all columns; empty: the first line says them.
    skip_bad: Whether rows that cannot be read are counted and skipped, or end
      the reading with an error.
  """

  columns: Sequence[str]
  header: Sequence[str] = ()
  skip_bad: bool = False


class _BadRowError(Exception):
  """A row that cannot be read; says why."""


def rows(
    source: str, wanted: Wanted, skipped: collections.Counter[str]
) -> Iterator[list[Cell]]:
  """Yields the wanted columns of each row.

  Empty lines are no rows. A row is bad that has not as many columns as the
  header, or in JSON lines is no object, lacks a column or holds there what is
  neither text nor number.

  Args:
    source: .tsv, .csv or .jsonl, plain or compressed, or a name of TFDS.
    wanted: Which columns.
    skipped: Counts bad rows by what is wrong with them, if they are skipped.

  Raises:
    InputError: The source is missing, empty or not UTF-8, a column is not
      there or there twice, or a row is bad.
  """
  if tfds_name.is_one(source):
    from pd_tf.data import tfds_source

    for found in tfds_source.cells(source, wanted.columns, "task"):
      yield [found[name] for name in wanted.columns]
    return
  path = pathlib.Path(source)
  for number, row in _numbered(path, wanted):
    if isinstance(row, _BadRowError):
      if not wanted.skip_bad:
        raise errors.InputError(
            f"{path}: line {number}: {row}."
        ) from None
      skipped[str(row).partition(",")[0]] += 1
    else:
      yield row


def _numbered(
    path: pathlib.Path, wanted: Wanted
) -> Iterator[tuple[int, list[Cell] | _BadRowError]]:
  form = text_files.ending(path)
  if form == _JSON_ENDING:
    return _json_rows(path, wanted)
  if form == ".tsv":
    # GLUE's files quote nothing: a quotation mark is a character.
    lines = enumerate(text_files.lines(path), start=1)
    cells = ((n, line.split("\t")) for n, line in lines if line)
    return _table_rows(path, wanted, cells)
  if form == ".csv":
    return _table_rows(path, wanted, _csv_rows(path))
  raise errors.InputError(
      f"{path}: expected a name ending in .tsv, .csv or .jsonl (or, for texts "
      "without labels, .txt)."
  )


def _csv_rows(path: pathlib.Path) -> Iterator[tuple[int, list[str]]]:
  csv.field_size_limit(_CSV_FIELD_BYTES)
  # Strict: a quotation mark that is never closed would swallow the rest.
  reader = csv.reader(
      (line + "\n" for line in text_files.lines(path)), strict=True
  )
  try:
    for row in reader:
      if row:
        yield reader.line_num, row
  except csv.Error as error:
    raise errors.InputError(
        f"{path}: line {reader.line_num}: not CSV: {error}."
    ) from None


def _table_rows(
    path: pathlib.Path,
    wanted: Wanted,
    numbered: Iterator[tuple[int, list[str]]],
) -> Iterator[tuple[int, list[Cell] | _BadRowError]]:
  header = list(wanted.header)
  if not header:
    _, header = next(numbered, (0, []))
  if not header:
    raise errors.InputError(f"{path}: expected a header line, found none.")
  for name in wanted.columns:
    if header.count(name) != 1:
      # Else the file stays open for as long as somebody keeps the error.
      del numbered
      raise errors.InputError(f"{path}: {_no_column(name, header)}")
  places = [header.index(name) for name in wanted.columns]
  for number, row in numbered:
    if len(row) == len(header):
      yield number, [row[place] for place in places]
    else:
      yield number, _BadRowError(
          f"expected {len(header)} columns, got {len(row)}"
      )


def _no_column(name: str, header: Sequence[str]) -> str:
  if name in header:
    return f"column {name} is there {header.count(name)} times, expected once."
  near = difflib.get_close_matches(name, header, n=1, cutoff=0.5)
  hint = f" Did you mean {near[0]}?" if near else ""
  shown = ", ".join(header[:_SHOWN_COLUMNS])
  more = len(header) - _SHOWN_COLUMNS
  if more > 0:
    shown += f" and {more} more"
  return f"no column {name}; its columns are {shown}.{hint}"


def _json_rows(
    path: pathlib.Path, wanted: Wanted
) -> Iterator[tuple[int, list[Cell] | _BadRowError]]:
  for number, line in enumerate(text_files.lines(path), start=1):
    if line.strip():
      try:
        yield number, _json_row(line, wanted.columns)
      except _BadRowError as error:
        yield number, error


def _json_row(line: str, columns: Sequence[str]) -> list[Cell]:
  try:
    record = json.loads(line)
  except (ValueError, RecursionError) as error:
    # ValueError also of numbers of thousands of digits.
    reason = str(error).partition(":")[0]
    raise _BadRowError(f"not JSON, {reason}") from None
  if not isinstance(record, dict):
    raise _BadRowError(
        f"expected a JSON object, got {type(record).__name__}"
    )
  for name in columns:
    if record.get(name) is None:
      fields = list(record)
      near = difflib.get_close_matches(name, fields, n=1, cutoff=0.5)
      hint = f"; did you mean {near[0]}?" if near and near[0] != name else ""
      raise _BadRowError(
          f"no field {name}, its fields are "
          f"{', '.join(fields[:_SHOWN_COLUMNS])}{hint}"
      )
  return [_json_cell(record[name], name) for name in columns]


def _json_cell(value: Any, name: str) -> Cell:
  if isinstance(value, list):
    return tuple(_json_text(item, name) for item in value)
  return _json_text(value, name)


def _json_text(value: Any, name: str) -> str:
  if isinstance(value, bool):
    return str(value).lower()
  if not isinstance(value, (str, int, float)):
    raise _BadRowError(
        f"expected a text or number in {name}, got {type(value).__name__}"
    )
  if isinstance(value, float) and not math.isfinite(value):
    raise _BadRowError(f"expected a finite number in {name}, got {value}")
  text = str(value)
  try:
    text.encode("utf-8")
  except UnicodeEncodeError:
    raise _BadRowError(
        f"half of a surrogate pair in {name} is no text"
    ) from None
  return text
