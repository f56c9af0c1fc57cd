"""Runs a teacher over unlabelled texts and stores its soft labels.

Reads: a teacher (a fine-tuned run, a model in any readable format, or a
SavedModel that takes strings) and transfer texts (.tsv, .csv, .jsonl, or .txt
with a text a line).

Writes a run directory: part-00000.npz, … (token ids and logits), vocab.txt,
manifest.json and result.json, last. A killed run goes on at the next part.

  pd-tf label --teacher=runs/teacher --inputs=reviews.txt --run_dir=runs/soft
"""

import hashlib
import pathlib
import time
from typing import Any

from absl import logging
import numpy as np
import tqdm

from pd_tf import predict
from pd_tf.config import errors
from pd_tf.config import label as label_config
from pd_tf.config import precision as precision_config
from pd_tf.config import run_dir as run_dir_lib
from pd_tf.data import examples as examples_lib
from pd_tf.data import tasks
from pd_tf.data import text_files
from pd_tf.data import transfer
from pd_tf.teachers import teacher as teacher_lib
from pd_tf.text import vocabulary as vocabulary_lib
from pd_tf.text import wordpiece

Columns = list[list[str]]


def run(
    settings: label_config.LabelConfig, run_dir: pathlib.Path
) -> dict[str, Any]:
  """Labels all texts, or goes on where a killed run was.

  Returns:
    What `result.json` holds: counts, seconds, share of each label.

  Raises:
    InputError: A setting or an input is not what it must be.
  """
  if settings.teacher is None:
    raise errors.InputError("teacher: expected a run or a model, got none.")
  teacher = predict.open_teacher(
      settings.teacher, settings.max_length,
      precision_config.COMPUTE_DTYPES[settings.precision],
      settings.batch_tokens,
  )
  word_piece = _student_word_piece(settings, teacher)
  columns, labels, counts = _texts(settings, teacher)
  finished = run_dir_lib.claim(run_dir, settings)
  if finished is not None:
    logging.warning("%s is finished; nothing to do.", run_dir)
    return finished
  vocabulary_lib.write(run_dir / "vocab.txt", word_piece.vocabulary.entries)
  started = time.perf_counter()
  _label_parts(settings, run_dir, teacher, word_piece, columns, labels)
  num_parts = -(-len(columns[0]) // settings.part_examples)
  transfer.finish(run_dir, {
      "num_parts": num_parts,
      "kind": teacher.task.kind,
      "label_names": list(teacher.task.label_names),
      "num_texts": teacher.task.num_texts,
      "vocab_sha256": word_piece.vocabulary.sha256,
      "teacher": settings.teacher,
      "texts_sha256": _digest(columns),
      **counts,
  })
  stored = transfer.read(run_dir, "run_dir").examples
  result = {
      **counts,
      "tokens": int(stored.lengths.sum()),
      "seconds": round(time.perf_counter() - started, 1),
      **_label_shares(teacher, stored),
  }
  run_dir_lib.finish(run_dir, result)
  return result


def _student_word_piece(
    settings: label_config.LabelConfig, teacher: teacher_lib.Teacher
) -> wordpiece.WordPiece:
  if settings.vocab_file is not None:
    return wordpiece.WordPiece(
        vocabulary_lib.read(settings.vocab_file), settings.lower_case
    )
  if not isinstance(teacher, predict.ModelTeacher):
    raise errors.InputError(
        "vocab_file: expected the students' vocab.txt; this teacher has none."
    )
  return wordpiece.WordPiece(teacher.vocabulary, teacher.lower_case)


def _texts(
    settings: label_config.LabelConfig, teacher: teacher_lib.Teacher
) -> tuple[Columns, np.ndarray | None, dict[str, int]]:
  """Returns the texts to label, their true labels, and counts."""
  columns, labels = _read(settings, teacher)
  total = len(columns[0])
  keep = _kept(settings, columns)
  counts = {"texts_read": total, "excluded": total - len(keep)}
  if settings.max_examples is not None and settings.max_examples < len(keep):
    order = np.random.default_rng(settings.seed).permutation(len(keep))
    keep = keep[np.sort(order[: settings.max_examples])]
  if not len(keep):
    raise errors.InputError("inputs: expected texts to label, found none.")
  counts["examples"] = len(keep)
  columns = [[column[i] for i in keep] for column in columns]
  return columns, None if labels is None else labels[keep], counts


def _read(
    settings: label_config.LabelConfig, teacher: teacher_lib.Teacher
) -> tuple[Columns, np.ndarray | None]:
  columns: Columns = [[] for _ in range(teacher.task.num_texts)]
  labels = []
  for path in text_files.expand(settings.inputs, "inputs"):
    if settings.label_column is None:
      read = tasks.read_texts(path, settings.text_columns)
    else:
      read = tasks.read(path, settings.text_columns, settings.label_column)
      labels.append(
          tasks.label_array(str(path), read.labels, teacher.task)
      )
    if len(read.columns) != len(columns):
      raise errors.InputError(
          f"{path}: the teacher takes {len(columns)} texts an example, got "
          f"{len(read.columns)}."
      )
    for column, more in zip(columns, read.columns, strict=True):
      column += more
  if labels:
    return columns, np.concatenate(labels)
  if teacher.task.kind == "regression":
    # Scores are told from their absence by NaN, whatever their sign.
    return columns, np.full(len(columns[0]), np.nan, np.float32)
  return columns, None


def _kept(
    settings: label_config.LabelConfig, columns: Columns
) -> np.ndarray:
  """Returns indices of the first of equal texts, none of them excluded."""
  seen: set[tuple[str, ...]] = set()
  for path in (
      text_files.expand(settings.exclude, "exclude") if settings.exclude else []
  ):
    read = tasks.read_texts(path, settings.text_columns)
    seen |= {_folded(texts) for texts in zip(*read.columns, strict=True)}
  keep = []
  for index, texts in enumerate(zip(*columns, strict=True)):
    key = _folded(texts)
    if key not in seen:
      seen.add(key)
      keep.append(index)
  return np.array(keep, int)


def _folded(texts: tuple[str, ...]) -> tuple[str, ...]:
  """Returns texts alike but for case and white space as the same key."""
  return tuple(" ".join(text.lower().split()) for text in texts)


def _label_parts(
    settings: label_config.LabelConfig,
    run_dir: pathlib.Path,
    teacher: teacher_lib.Teacher,
    word_piece: wordpiece.WordPiece,
    columns: Columns,
    labels: np.ndarray | None,
) -> None:
  size, total = settings.part_examples, len(columns[0])
  with tqdm.tqdm(total=total, unit="text", desc="label") as bar:
    for index, start in enumerate(range(0, total, size)):
      part = [column[start : start + size] for column in columns]
      if not transfer.part_path(run_dir, index).exists():
        known = None if labels is None else labels[start : start + size]
        encoded = examples_lib.encode(
            word_piece, part, settings.max_length, known
        )
        transfer.write_part(
            run_dir, index, encoded, teacher.logits(part)
        )
      bar.update(len(part[0]))


def _digest(columns: Columns) -> str:
  digest = hashlib.sha256()
  for texts in zip(*columns, strict=True):
    digest.update("\t".join(texts).encode() + b"\n")
  return digest.hexdigest()


def _label_shares(
    teacher: teacher_lib.Teacher, stored: examples_lib.Examples
) -> dict[str, Any]:
  """Returns how often the teacher chooses each label, and how often rightly."""
  if teacher.task.kind == "regression" or stored.teacher_logits is None:
    return {}
  chosen = stored.teacher_logits.argmax(-1)
  shares = {
      name: float((chosen == i).mean())
      for i, name in enumerate(teacher.task.label_names)
  }
  known = stored.is_labelled
  if not known.any():
    return {"label_shares": shares}
  right = float((chosen == stored.labels)[known].mean())
  return {"label_shares": shares, "teacher_accuracy": right}
