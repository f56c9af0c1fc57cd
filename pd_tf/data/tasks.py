"""Labelled examples of a task: texts, labels, what its head predicts."""

import collections
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import json
import pathlib

from absl import logging
import numpy as np

from pd_tf.config import errors
from pd_tf.config import glue
from pd_tf.config import pretrained
from pd_tf.config import run_dir
from pd_tf.config import task as task_config
from pd_tf.config import tfds_name
from pd_tf.data import examples as examples_lib
from pd_tf.data import held_out
from pd_tf.data import labels as labels_lib
from pd_tf.data import tables
from pd_tf.data import text_files
from pd_tf.text import tokenizer

Label = labels_lib.Label

# What MNLI's kin have where people did not agree on a label.
_NO_GOLD_LABEL = "-"
# More labels than this, and than half the examples: no labels, but texts or
# scores.
_MANY_LABELS = 100


@dataclasses.dataclass(frozen=True)
class Labelled:
  """Texts with labels.

  Attributes:
    columns: One or two lists of N texts.
    labels: N labels as they stand in the file; empty where not read.
    skipped: Rows that could not be read.
  """

  columns: tuple[list[str], ...]
  labels: list[Label]
  skipped: int = 0

  def take(self, indices: np.ndarray) -> "Labelled":
    """Returns the examples at indices."""
    return Labelled(
        tuple([column[i] for i in indices] for column in self.columns),
        [self.labels[i] for i in indices],
    )


def read(
    path: str | pathlib.Path,
    text_columns: Sequence[str],
    label_column: str | None,
    max_rows: int | None = None,
) -> Labelled:
  """Reads one file; its ending says how.

  Args:
    path: .tsv, .csv or .jsonl, plain or compressed, or a name of TFDS.
    text_columns: One or two names.
    label_column: Name, or None to leave labels out.
    max_rows: Read no more rows than this.

  Raises:
    InputError: As `tables.rows`, or there are no rows.
  """
  columns = [*text_columns] + ([label_column] if label_column else [])
  return _read(
      str(path), tables.Wanted(columns), len(text_columns), max_rows
  )


def rows(
    source: str, text_columns: Sequence[str], label_column: str | None
) -> Iterator[tuple[tuple[str, ...], Label | None]]:
  """Yields the texts of each example, and its label if a column is named.

  Raises:
    InputError: As `read`, but there may be no rows.
  """
  columns = [*text_columns] + ([label_column] if label_column else [])
  for row in tables.rows(
      source, tables.Wanted(columns), collections.Counter()
  ):
    texts = row[: len(text_columns)]
    yield (
        tuple(
            _text(source, name, cell)
            for name, cell in zip(text_columns, texts, strict=True)
        ),
        row[-1] if label_column else None,
    )


def read_texts(path: pathlib.Path, text_columns: Sequence[str]) -> Labelled:
  """Reads unlabelled texts: also .txt, a text a line, blank lines skipped."""
  if not tfds_name.is_one(str(path)) and text_files.ending(path) == ".txt":
    texts = [line for line in text_files.lines(path) if line.strip()]
    return Labelled((texts,), [])
  return read(path, text_columns, None)


def read_task(config: task_config.TaskConfig, path: str) -> Labelled:
  """Reads labelled examples of a task.

  Args:
    config: Resolved; names columns and says what labels look like.
    path: A file or a name of TFDS.

  Raises:
    InputError: As `tables.rows`; or a label is missing, or several or a list
      where the kind of task has one.
  """
  columns = [
      *config.text_columns, *(config.label_columns or (config.label_column,))
  ]
  wanted = tables.Wanted(columns, config.columns, config.bad_rows == "skip")
  got = _read(path, wanted, len(config.text_columns), None)
  labels: list[Label] = []
  keep: list[int] = []
  renamed = _renamed(config)
  for row, cells in enumerate(got.labels):
    label = _label(config, path, row, cells)
    if isinstance(label, str) and label == _NO_GOLD_LABEL and config.name:
      continue
    keep.append(row)
    labels.append(renamed.get(label, label) if renamed else label)
  if len(keep) == len(got.labels):
    return dataclasses.replace(got, labels=labels)
  logging.warning(
      "%s: skipped %d rows without a gold label.",
      path, len(got.labels) - len(keep),
  )
  kept = got.take(np.array(keep, int))
  skipped = got.skipped + len(got.labels) - len(keep)
  return dataclasses.replace(kept, labels=labels, skipped=skipped)


def read_parts(
    config: task_config.TaskConfig,
) -> tuple[Labelled, Labelled | None]:
  """Returns the examples to train on, and those to score on.

  Without a dev_file a part of train_file is held out: stratified by label,
  the same for the same examples whatever their order, and never a text that
  also stays in the other part.

  Args:
    config: Resolved; has a train_file.

  Returns:
    The second is None where nothing is held out.
  """
  if config.train_file is None:
    raise errors.InputError(
        "task.train_file: expected a file of labelled examples, got none."
    )
  train = read_task(config, config.train_file)
  if config.dev_file is not None:
    return train, read_task(config, config.dev_file)
  if not config.held_out:
    return train, None
  strata = held_out.strata(train.labels, config.kind)
  is_held = held_out.choose(
      list(zip(*train.columns, strict=True)), strata, config.held_out,
      config.held_out_seed,
  )
  if not is_held.any() or is_held.all():
    raise errors.InputError(
        f"task.held_out ({config.held_out}) leaves no examples of "
        f"{config.train_file} on one side; expected a dev_file, or 0."
    )
  return (
      train.take(np.flatnonzero(~is_held)), train.take(np.flatnonzero(is_held))
  )


def write(
    path: pathlib.Path, config: task_config.TaskConfig, labelled: Labelled
) -> None:
  """Writes examples as JSON lines, which `read_task` reads with `of_file`."""
  lines = []
  for texts, label in zip(
      zip(*labelled.columns, strict=True), labelled.labels, strict=True
  ):
    record = dict(zip(config.text_columns, texts, strict=True))
    record[config.label_column] = label
    lines.append(json.dumps(record, ensure_ascii=False))
  run_dir.write_atomically(path, "\n".join(lines) + "\n")


def of_file(
    config: task_config.TaskConfig, path: pathlib.Path
) -> task_config.TaskConfig:
  """Returns a resolved task with a dev_file that `write` wrote."""
  return dataclasses.replace(
      config, name=None, glue_dir=None, dev_file=str(path),
      label_columns=(), columns=(),
  )


def head(
    config: task_config.TaskConfig, labels: Sequence[Label]
) -> pretrained.TaskHead:
  """Returns what a model of this task predicts.

  Args:
    config: The task, resolved.
    labels: Those of the training examples.

  Raises:
    InputError: There are too few labels, or as many as if they were texts.
  """
  texts = len(config.text_columns)
  if config.kind == "regression":
    return pretrained.TaskHead("regression", (config.label_column,), texts)
  found = {name for label in labels for name in labels_lib.names(label)}
  if not config.label_names and len(found) > max(
      _MANY_LABELS, len(labels) / 2
  ):
    raise errors.InputError(
        f"task.label_column: {config.label_column} has {len(found)} different "
        f"labels in {len(labels)} examples; expected labels that recur, or "
        "kind=regression."
    )
  names = (
      config.label_names or config.label_columns or labels_lib.in_order(found)
  )
  least = 1 if config.kind == "multilabel" else 2
  if len(names) < least or len(set(names)) < len(names):
    different = "two different labels" if least == 2 else "one label"
    raise errors.InputError(
        f"task.label_names: expected at least {different}, got "
        f"{', '.join(names) or 'none'}."
    )
  return pretrained.TaskHead(config.kind, tuple(names), texts)


def label_array(
    path: str, labels: Sequence[Label], task: pretrained.TaskHead
) -> np.ndarray:
  """Returns label indices, Int32 [N], or scores, Float32 [N].

  For multilabel it is Float32 [N, C], 1 where a label is given, else 0. A
  number that is no label's name stands for the label of the same number: 1.0
  for 1.

  Raises:
    InputError: A label is outside the task's set, or no number.
  """
  if task.kind == "regression":
    return np.array(
        [labels_lib.score(path, i, label) for i, label in enumerate(labels, 1)],
        np.float32,
    )
  index = {name: i for i, name in enumerate(task.label_names)}
  places = [
      [
          labels_lib.place(index, name, path, row)
          for name in labels_lib.names(label)
      ]
      for row, label in enumerate(labels, start=1)
  ]
  if task.kind == "multilabel":
    given = np.zeros((len(labels), len(index)), np.float32)
    for row, some in enumerate(places):
      given[row, some] = 1
    return given
  for row, some in enumerate(places, start=1):
    if len(some) != 1:
      raise errors.InputError(
          f"{path}: example {row}: expected one label, got {len(some)}."
      )
  return np.array([some[0] for some in places], np.int32)


def encoded(
    labelled: Labelled,
    path: str,
    task: pretrained.TaskHead,
    word_piece: tokenizer.Tokenizer,
    seq_length: int,
) -> examples_lib.Examples:
  """Returns tokenized examples.

  Args:
    labelled: Texts and labels.
    path: Where they are from, for messages.
    task: Names the labels.
    word_piece: The tokenizer.
    seq_length: Tokens of an example at the most.

  Raises:
    InputError: As `label_array`, or there are more or fewer texts an example
      than the task has.
  """
  if len(labelled.columns) != task.num_texts:
    raise errors.InputError(
        f"task.text_columns: expected {task.num_texts} columns, the texts of "
        f"an example, got {len(labelled.columns)}."
    )
  return examples_lib.encode(
      word_piece, labelled.columns, seq_length,
      label_array(path, labelled.labels, task),
  )


def _read(
    path: str, wanted: tables.Wanted, num_texts: int, max_rows: int | None
) -> Labelled:
  """Reads rows; labels are the cell behind the texts, or all of them."""
  skipped: collections.Counter[str] = collections.Counter()
  columns: tuple[list[str], ...] = tuple([] for _ in range(num_texts))
  labels: list[Label] = []
  one_label = len(wanted.columns) == num_texts + 1
  for row in tables.rows(path, wanted, skipped):
    for name, column, cell in zip(wanted.columns, columns, row, strict=False):
      column.append(_text(path, name, cell))
    if one_label:
      labels.append(row[-1])
    elif len(row) > num_texts:
      labels.append(tuple(map(str, row[num_texts:])))
    if max_rows is not None and len(columns[0]) == max_rows:
      break
  if skipped:
    logging.warning(
        "%s: skipped %d rows that cannot be read: %s.", path, skipped.total(),
        "; ".join(f"{n} × {reason}" for reason, n in skipped.most_common(3)),
    )
  if not columns[0]:
    raise errors.InputError(f"{path}: expected examples, found none.")
  return Labelled(columns, labels, skipped.total())


def _text(path: str, name: str, cell: tables.Cell) -> str:
  if isinstance(cell, str):
    return cell
  raise errors.InputError(f"{path}: expected a text in {name}, got a list.")


def _label(
    config: task_config.TaskConfig, path: str, row: int, cells: Label
) -> Label:
  """Returns the label of a row as the kind of task has it."""
  if config.label_columns:
    return tuple(
        name
        for name, cell in zip(config.label_columns, cells, strict=True)
        if labels_lib.is_given(path, row + 1, name, cell)
    )
  if config.kind == "multilabel":
    names = (
        cells.split(config.label_separator) if isinstance(cells, str) else cells
    )
    return tuple(name.strip() for name in names if name.strip())
  if not isinstance(cells, str):
    raise errors.InputError(
        f"{path}: example {row + 1}: expected one label in "
        f"{config.label_column}, got a list; task.kind=multilabel takes lists."
    )
  label = cells.strip()
  if not label:
    raise errors.InputError(
        f"{path}: example {row + 1}: expected a label in "
        f"{config.label_column}, got none."
    )
  return label


def _renamed(config: task_config.TaskConfig) -> dict[Label, str]:
  """Returns GLUE's own name of each label that TFDS names otherwise."""
  if config.name is None:
    return {}
  spec = glue.find(config.name, "task.name")
  return dict(zip(spec.tfds_names, spec.label_names, strict=True))
