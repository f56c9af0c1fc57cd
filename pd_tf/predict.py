r"""Classifies texts with a trained or exported model, as they come.

Reads: a model (a run of `pd-tf train`, any readable format, or what `pd-tf
export` wrote) and texts, of files or stdin: a text a line (two, tab-separated,
for pairs), columns under a header, or JSON lines. A line that arrives alone is
answered at once.

Writes: a line a text, in order: the label and each label's probability, or the
score, as TSV or JSON lines. A line that cannot be answered has its reason in
its place (column or field `error`), and stderr says how many there were; with
--strict the first one ends it. A file is there whole, or as it was before.

  echo "a warm and funny film" | pd-tf predict --model=runs/sst2
  pd-tf predict --model=exported/sst2 'reviews/*.jsonl.gz' --output=answers.tsv
"""

import collections
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import os
import pathlib
import select
import sys
from typing import Any
from typing import BinaryIO

from absl import logging
import numpy as np
import tqdm

from pd_tf import opening
from pd_tf.config import errors
from pd_tf.config import predict as predict_config
from pd_tf.data import answer_lines
from pd_tf.data import line_stream
from pd_tf.data import line_texts
from pd_tf.data import text_files
from pd_tf.teachers import teacher as teacher_lib

# What the model is asked first: what is wrong with it, and not with a text,
# shows before a line is read.
_PROBE = "a"
# Of the last warning; the others are counted.
_NAMED_REASONS = 3
_MOST_CHARACTERS = 300


def run(
    settings: predict_config.PredictConfig, run_dir: pathlib.Path | None = None
) -> dict[str, Any]:
  """Classifies files or standard input.

  Args:
    settings: Which model, which texts and where to.
    run_dir: Not used: the answers are all that is written.

  Returns:
    Numbers of lines: `texts`, and of them `errors` that have no answer.

  Raises:
    InputError: A setting, the model or a file is not what it must be; with
      `settings.strict` also a line.
  """
  del run_dir
  if settings.model is None:
    raise errors.InputError("model: expected a run or a model, got none.")
  paths = line_stream.expand(settings.input, "input")
  reasons: collections.Counter[str] = collections.Counter()
  count = 0
  try:
    with _target(settings.output) as target:
      for rows in _answered(settings, settings.model, paths, target):
        count += len(rows)
        reasons.update(_kind(row.error) for row in rows if row.error)
  except BrokenPipeError:
    # As in `pd-tf predict … | head`, which has all that it wants.
    return {"texts": count, "errors": reasons.total()}
  if reasons:
    named = "; ".join(
        f"{n} × {reason}" for reason, n in reasons.most_common(_NAMED_REASONS)
    )
    logging.warning(
        "%d of %d lines have no answer: %s.", reasons.total(), count, named
    )
  return {"texts": count, "errors": reasons.total()}


def _answered(
    settings: predict_config.PredictConfig,
    name: str,
    paths: Sequence[str],
    target: BinaryIO,
) -> Iterator[list[line_texts.Row]]:
  """Answers chunk by chunk; yields the rows of each when they are written."""
  model = opening.open_teacher(name, settings.seq_length)
  forms = [_form(settings, path) for path in paths]
  readers = [
      line_texts.Reader(form, settings.text_columns, model.task.num_texts)
      for form in forms
  ]
  model.logits([[_PROBE]] * model.task.num_texts)
  form = answer_lines.Form(
      settings.output_format, model.task, has_ids=set(forms) != {"text"},
      has_files=len(paths) > 1,
  )
  _write(target, form.header())
  with _bar(settings) as bar:
    for path, reader in zip(paths, readers, strict=True):
      for lines in line_stream.chunks(path):
        rows, logits = _logits(model, name, reader.rows(lines))
        wrong = [i for i, row in enumerate(rows) if row.error]
        until = wrong[0] if wrong and settings.strict else len(rows)
        _write(target, form.lines(rows[:until], logits[:until]))
        if until < len(rows):
          raise errors.InputError(answer_lines.place(rows[until]) + ".")
        bar.update(len(rows))
        yield rows


def _logits(
    model: teacher_lib.Teacher, name: str, rows: Sequence[line_texts.Row]
) -> tuple[list[line_texts.Row], np.ndarray]:
  """Asks the model.

  Returns:
    The rows, with an error where the model has no answer, and Float32 [N, C],
    0 where there is an error.
  """
  made = list(rows)
  out = np.zeros((len(rows), len(model.task.label_names)), np.float32)
  good = [index for index, row in enumerate(rows) if not row.error]
  try:
    out[good] = _of_rows(model, [rows[index] for index in good])
  except Exception:
    # Whatever a model raises: it is asked again for one text at a time, as it
    # has answered the probe.
    for index in good:
      try:
        out[index] = _of_rows(model, [rows[index]])[0]
      except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        made[index] = rows[index]._replace(error=f"{reason:.200}")
  for index in np.flatnonzero(np.isnan(out).any(-1)).tolist():
    out[index] = 0
    made[index] = rows[index]._replace(
        error=f"{name} says nothing of this text"
    )
  return [
      row._replace(error=row.error[:_MOST_CHARACTERS]) for row in made
  ], out


def _of_rows(
    model: teacher_lib.Teacher, rows: Sequence[line_texts.Row]
) -> np.ndarray:
  """Returns Float32 [N, C]."""
  if not rows:
    return np.zeros((0, len(model.task.label_names)), np.float32)
  return model.logits(list(zip(*(row.texts for row in rows), strict=True)))


def _kind(error: str) -> str:
  """Returns an error without its details, which differ from line to line."""
  return error.partition(", ")[0]


def _form(
    settings: predict_config.PredictConfig, path: str
) -> line_texts.Form:
  if settings.input_format != "auto":
    return settings.input_format
  if text_files.ending(pathlib.Path(path)) == ".jsonl":
    return "jsonl"
  return "tsv" if settings.text_columns else "text"


@contextlib.contextmanager
def _target(path: str) -> Iterator[BinaryIO]:
  """Opens what is written to; a file is there whole or as it was."""
  if path == line_stream.STDIN:
    if sys.stdout is None:
      raise errors.InputError(f"output: {path}: stdout is closed.")
    sys.stdout.flush()
    with open(sys.stdout.fileno(), "wb", buffering=0, closefd=False) as file:
      yield file
    return
  place = pathlib.Path(os.path.realpath(path))
  # A pipe or a device has nothing to be kept.
  is_replaced = place.is_file() or not place.exists()
  name = f"{place.name}.{os.getpid()}.tmp" if is_replaced else place.name
  written = place.with_name(name)
  try:
    # Inside, as Ctrl-C may come as soon as there is a file.
    with _opened(written, path) as file:
      yield file
    if is_replaced:
      written.replace(place)
  finally:
    if is_replaced:
      with contextlib.suppress(OSError):
        written.unlink()


def _opened(place: pathlib.Path, name: str) -> BinaryIO:
  try:
    return open(place, "wb", buffering=0)
  except OSError as error:
    raise errors.InputError(f"output: {name}: {error.strerror}.") from None


def _write(target: BinaryIO, lines: Sequence[str]) -> None:
  text = "".join(line + "\n" for line in lines)
  # Half of a surrogate pair, which JSON may escape and UTF-8 has no form for.
  left = memoryview(text.encode("utf-8", "backslashreplace"))
  while left:
    # None of a pipe that is full and not to be waited for.
    count = target.write(left)
    if count is None:
      select.select([], [target], [])
    left = left[count or 0 :]


def _bar(settings: predict_config.PredictConfig) -> tqdm.tqdm:
  """Shows progress on a terminal, unless the answers are written to it."""
  is_mixed = settings.output == line_stream.STDIN and sys.stdout.isatty()
  return tqdm.tqdm(
      unit="text", desc="predict", disable=True if is_mixed else None
  )
