"""Where transfer texts come from: files and TFDS, one text or pair a time."""

from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import pathlib

from pd_tf.config import errors
from pd_tf.config import tfds_name
from pd_tf.data import tasks
from pd_tf.data import text_files
from pd_tf.text import scored


@dataclasses.dataclass(frozen=True)
class Source:
  """A file or a split of TFDS.

  Attributes:
    path: The file, or the name `tfds:…`.
    entry: Which of the inputs, as the user gave them, it belongs to.
    has_scores: Whether it is a file of scores, whose texts are `text`.
  """

  path: str
  entry: int = 0
  has_scores: bool = False


@dataclasses.dataclass(frozen=True)
class Form:
  """How texts lie in files.

  Attributes:
    columns: Of the text, or of the two of a pair.
    label_column: Of the true label; None leaves labels out.
    documents: Whether blank lines, not line ends, divide a .txt into texts.
  """

  columns: tuple[str, ...]
  label_column: str | None = None
  documents: bool = False


Row = tuple[tuple[str, ...], tasks.Label | None]


def expand(patterns: Sequence[str], setting_name: str) -> list[Source]:
  """Returns the sources that paths, globs and names stand for, each once.

  Raises:
    InputError: As `text_files.expand`.
  """
  found: dict[str, Source] = {}
  if not patterns:
    text_files.expand(patterns, setting_name)
  for entry, pattern in enumerate(patterns):
    if tfds_name.is_one(pattern):
      found.setdefault(pattern, Source(pattern, entry))
    else:
      for path in text_files.expand([pattern], setting_name):
        found.setdefault(str(path), Source(str(path), entry))
  return list(found.values())


def rows(source: Source, form: Form, setting_name: str) -> Iterator[Row]:
  """Yields texts, one or two, and the true label or None.

  Args:
    source: Where from.
    form: How they lie there.
    setting_name: The setting it comes from; errors start with it.

  Raises:
    InputError: It cannot be read, or has not what `form` says.
  """
  if tfds_name.is_one(source.path):
    yield from _tfds_rows(source.path, form, setting_name)
    return
  path = pathlib.Path(source.path)
  if source.has_scores:
    yield from _scored_rows(path, form)
  elif text_files.ending(path) == ".txt":
    if form.label_column is not None:
      raise errors.InputError(
          f"label_column: {path} has no columns; expected .tsv, .csv or .jsonl."
      )
    if len(form.columns) != 1:
      raise errors.InputError(
          f"text_columns: {path} has one text a line; pairs must be in .tsv, "
          ".csv or .jsonl."
      )
    yield from _plain_rows(path, form)
  else:
    yield from _table_rows(path, form)


def _tfds_rows(source: str, form: Form, setting_name: str) -> Iterator[Row]:
  from pd_tf.data import tfds_source

  wanted = [*form.columns]
  if form.label_column is not None:
    wanted.append(form.label_column)
  for row in tfds_source.rows(source, wanted, setting_name):
    label = None if form.label_column is None else row[form.label_column]
    # The data set hides it: GLUE's test sets.
    yield tuple(row[name] for name in form.columns), label or None


def _plain_rows(path: pathlib.Path, form: Form) -> Iterator[Row]:
  if not form.documents:
    for line in text_files.lines(path):
      yield (line,), None
    return
  sentences: list[str] = []
  for line in text_files.lines(path):
    if line.strip():
      sentences.append(line.strip())
    elif sentences:
      yield (" ".join(sentences),), None
      sentences = []
  if sentences:
    yield (" ".join(sentences),), None


def _table_rows(path: pathlib.Path, form: Form) -> Iterator[Row]:
  return tasks.rows(str(path), form.columns, form.label_column)


def _scored_rows(path: pathlib.Path, form: Form) -> Iterator[Row]:
  for number, line in enumerate(text_files.lines(path), start=1):
    if not line.strip():
      continue
    place = f"{path}: line {number}"
    record = scored.parsed(line, place)
    label = None if form.label_column is None else record.get(form.label_column)
    texts = scored.texts_of(record, form.columns, place)
    yield texts, None if label is None else str(label)
