"""Runs a teacher over unlabelled texts and stores its soft labels.

Reads: one or several teachers (a fine-tuned run, a model in any readable
format, a SavedModel, a file of scores, a Hugging Face or Keras Hub classifier;
docs/teachers.md) and transfer texts (.tsv, .csv, .jsonl, .txt, tfds:NAME).

Writes a run directory: part-00000.npz, … (token ids and logits), vocab.txt,
plan.json (what is labelled by what), manifest.json and result.json, last. A
killed run goes on at the next part.

One process uses all cores. With --num_workers there are more, as one Apache
Beam pipeline, and with --runner on a cluster (run_dir must be where all workers
reach it); the bytes written are the same.

  pd-tf label --teacher=runs/teacher --inputs=reviews.txt --run_dir=runs/soft
"""

import dataclasses
import functools
import os
import pathlib
import shutil
import time
from typing import Any

from absl import logging
import numpy as np
import tqdm

from pd_tf import label_plan
from pd_tf import model_teacher
from pd_tf import opening
from pd_tf.config import errors
from pd_tf.config import label as label_config
from pd_tf.config import pretrained
from pd_tf.config import processes as processes_config
from pd_tf.config import run_dir as run_dir_lib
from pd_tf.config import unsaid as unsaid_config
from pd_tf.data import examples as examples_lib
from pd_tf.data import stages
from pd_tf.data import tasks
from pd_tf.data import transfer
from pd_tf.data import transfer_texts
from pd_tf.teachers import ensemble
from pd_tf.teachers import teacher as teacher_lib
from pd_tf.text import vocabulary as vocabulary_lib
from pd_tf.text import wordpiece

# Gone when the run is finished: the texts, and what a pipeline notes.
_TEXTS, _WORK = "texts", "unfinished"


def run(
    settings: label_config.LabelConfig,
    run_dir: pathlib.Path,
    processes: processes_config.Processes = processes_config.HERE,
) -> dict[str, Any]:
  """Labels all texts, or goes on where a killed run was.

  Args:
    settings: What labels what.
    run_dir: Directory of the transfer set.
    processes: Where it runs.

  Returns:
    What `result.json` holds: counts, seconds, share of each label.

  Raises:
    InputError: A setting or an input is not what it must be.
    StoppedError: A worker process was lost; the same call goes on.
  """
  _opened.cache_clear()  # The same path may hold another model since.
  teacher, word_piece = _opened(settings, None)
  plan = label_plan.plan(settings, word_piece)
  finished = run_dir_lib.claim(run_dir, settings)
  label_plan.require_same(run_dir, plan)
  if finished is not None:
    logging.warning("%s is finished; nothing to do.", run_dir)
    return finished
  started, chosen = time.perf_counter(), label_plan.chosen(settings)
  label_plan.write(run_dir, plan)
  vocabulary_lib.write(run_dir / "vocab.txt", word_piece.vocabulary.entries)
  transfer_texts.write_parts(
      run_dir / _TEXTS, label_plan.sources(settings),
      label_plan.form(settings), chosen, settings.part_examples,
  )
  total = len(chosen.indices)
  _require_labels(settings, run_dir, total, teacher.task)
  _label_parts(settings, run_dir, total, processes)
  stored = _Stored(teacher.task, run_dir, settings.num_parts(total))
  counts = {
      **chosen.counts,
      "without_scores": total - stored.examples,
      "examples": stored.examples,
      "sha256": plan["sha256"],
  }
  _finish(run_dir, stored, _described(teacher.task, word_piece) | counts)
  seconds = time.perf_counter() - started
  result = {**counts, **stored.numbers(), "seconds": round(seconds, 1)}
  run_dir_lib.finish(run_dir, result)
  _opened.cache_clear()  # A recipe goes on, and needs the memory.
  return result


def _finish(
    run_dir: pathlib.Path, stored: "_Stored", manifest: dict[str, Any]
) -> None:
  """Writes the manifest, and removes what only an unfinished set needs."""
  transfer.finish(run_dir, {
      **manifest,
      "num_parts": len(stored.digests),
      "part_sha256": stored.digests,
  })
  for name in (_TEXTS, _WORK):
    shutil.rmtree(run_dir / name, ignore_errors=True)
  for left in run_dir.glob("part-*.tmp"):
    left.unlink()  # Of a killed run.


def _described(
    task: pretrained.TaskHead, word_piece: wordpiece.WordPiece
) -> dict[str, Any]:
  """Returns what the manifest says of logits and tokens."""
  return {
      "kind": task.kind,
      "label_names": list(task.label_names),
      "num_texts": task.num_texts,
      "vocab_sha256": word_piece.vocabulary.sha256,
      "lower_case": word_piece.lower_case,
  }


def label_part(
    index: int,
    settings: label_config.LabelConfig,
    run_dir: pathlib.Path,
    threads: int | None = None,
) -> int:
  """Labels one part, unless that was done; returns how many texts it has.

  What it writes follows from its arguments and the files they name only, so
  parts can be labelled by any process in any order.

  Args:
    index: Number of the part.
    settings: What labels what.
    run_dir: Directory of the transfer set.
    threads: Batches at a time; None: as many as cores.
  """
  part = transfer_texts.read_part(run_dir / _TEXTS, index)
  if transfer.part_path(run_dir, index).exists():
    return len(part.labels)
  teacher, word_piece = _opened(settings, threads)
  logits = teacher.logits(part.columns)
  known = ~np.isnan(logits).any(-1)
  if not known.all() and not label_plan.has_scores(settings):
    raise errors.InputError(
        f"teacher: expected finite logits, got NaN for "
        f"{part.columns[0][int(np.argmin(known))]!r:.80}."
    )
  encoded = examples_lib.encode(
      word_piece, part.columns, settings.max_length,
      _labels(settings, part, teacher.task),
  )
  places = np.flatnonzero(known)
  transfer.write_part(
      run_dir, index, encoded.take(places),
      _stored_logits(logits[places], teacher.task),
  )
  return len(part.labels)


def _label_parts(
    settings: label_config.LabelConfig,
    run_dir: pathlib.Path,
    total: int,
    processes: processes_config.Processes,
) -> None:
  num_parts = settings.num_parts(total)
  if processes.is_local and processes.num_workers in (None, 1):
    # The threads of one process keep all cores busy.
    with tqdm.tqdm(total=total, unit="text", desc="label") as bar:
      for index in range(num_parts):
        bar.update(label_part(index, settings, run_dir))
    return
  stage = stages.Stage(
      "label",
      functools.partial(_indices, num_parts=num_parts),
      functools.partial(
          _label_part_in_worker, settings=_absolute(settings),
          run_dir=run_dir.absolute(),
      ),
  )
  folder = processes.work_dir or str(run_dir.absolute() / _WORK)
  stages.run([stage], folder, processes)


def _indices(results: stages.Results, num_parts: int) -> list[int]:
  del results
  return list(range(num_parts))


def _label_part_in_worker(
    index: int, settings: label_config.LabelConfig, run_dir: pathlib.Path
) -> int:
  """Labels a part on one core, as each has a process of its own."""
  # Heeded by whatever of TensorFlow runs first in this process.
  os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
  return label_part(index, settings, run_dir, threads=1)


def _absolute(
    settings: label_config.LabelConfig,
) -> label_config.LabelConfig:
  """Returns settings whose teachers a process elsewhere finds as well."""
  def absolute(path: str) -> str:
    return path if "://" in path else os.path.abspath(path)

  vocab_file = settings.vocab_file
  return dataclasses.replace(
      settings, teacher=tuple(map(absolute, settings.teacher)),
      vocab_file=None if vocab_file is None else absolute(vocab_file),
  )


@functools.lru_cache(maxsize=1)
def _opened(
    settings: label_config.LabelConfig, threads: int | None
) -> tuple[teacher_lib.Teacher, wordpiece.WordPiece]:
  """Returns the teacher and the students' tokenizer, made once a process."""
  if not settings.teacher:
    raise errors.InputError("teacher: expected a run or a model, got none.")
  teachers = [_teacher(settings, path, threads) for path in settings.teacher]
  word_piece = _student_word_piece(settings, teachers)
  one = teachers[0]
  if len(teachers) > 1:
    one = ensemble.EnsembleTeacher(
        teachers, settings.teacher_weights, settings.average == "logits",
        settings.teacher,
    )
  if settings.label_names and settings.label_names != one.task.label_names:
    one = ensemble.OrderedTeacher(
        one, settings.label_names, settings.teacher[0]
    )
  if one.task.num_texts != len(settings.text_columns):
    raise errors.InputError(
        f"text_columns: the teacher takes {one.task.num_texts} texts an "
        f"example, got {len(settings.text_columns)}."
    )
  return one, word_piece


def _teacher(
    settings: label_config.LabelConfig, path: str, threads: int | None
) -> teacher_lib.Teacher:
  return opening.open_teacher(
      path, settings.max_length, settings.compute_dtype, settings.batch_tokens,
      unsaid_config.Unsaid(
          settings.kind, settings.label_names, settings.text_columns,
          settings.vocab_file, settings.lower_case,
      ),
      threads,
  )


def _student_word_piece(
    settings: label_config.LabelConfig, teachers: list[teacher_lib.Teacher]
) -> wordpiece.WordPiece:
  if settings.vocab_file is not None:
    return wordpiece.WordPiece(
        vocabulary_lib.read(settings.vocab_file), settings.lower_case
    )
  for one in teachers:
    if isinstance(one, model_teacher.ModelTeacher):
      return wordpiece.WordPiece(one.vocabulary, one.lower_case)
  raise errors.InputError(
      "vocab_file: expected the students' vocab.txt; this teacher has none."
  )


def _require_labels(
    settings: label_config.LabelConfig,
    run_dir: pathlib.Path,
    total: int,
    task: pretrained.TaskHead,
) -> None:
  """Raises InputError before anything is labelled if a true label is none."""
  parts = settings.num_parts(total) if settings.label_column else 0
  try:
    for text, label in transfer_texts.labelled(run_dir / _TEXTS, parts):
      name = f"label_column {settings.label_column}: {text!r:.80}"
      tasks.label_array(name, [label], task)
  except errors.InputError:
    # Mended settings or files may have the same directory.
    shutil.rmtree(run_dir / _TEXTS)
    label_plan.remove(run_dir)
    raise


def _labels(
    settings: label_config.LabelConfig,
    part: transfer_texts.Part,
    task: pretrained.TaskHead,
) -> np.ndarray | None:
  """Returns true labels, unknown ones as `Examples` has them."""
  total = len(part.labels)
  known = np.array([label is not None for label in part.labels])
  given = tasks.label_array(
      f"label_column {settings.label_column}",
      [label for label in part.labels if label is not None], task,
  )
  if task.kind == "classification":
    labels = np.full(total, -1, np.int32)
  else:
    # NaN, as scores may have any sign.
    labels = np.full((total, *given.shape[1:]), np.nan, np.float32)
  labels[known] = given
  return labels


def _stored_logits(
    logits: np.ndarray, task: pretrained.TaskHead
) -> np.ndarray:
  """Returns what the transfer set keeps: 16 bits, of scores 32.

  Raises:
    InputError: A logit is beyond what 16 bits hold.
  """
  if task.kind == "regression":
    return logits.astype(np.float32)
  largest = float(np.abs(logits).max(initial=0.0))
  if not largest <= float(np.finfo(np.float16).max):
    raise errors.InputError(
        f"teacher: expected logits within 65504, got {largest:g}."
    )
  return logits.astype(np.float16)


class _Stored:
  """What lies in the parts, gathered from one after another.

  Attributes:
    digests: SHA-256 of each part.
    examples: How many there are.
    tokens: Of all of them.
    bytes: Of all parts.
  """

  def __init__(
      self, task: pretrained.TaskHead, run_dir: pathlib.Path, num_parts: int
  ):
    self.digests = [
        transfer.sha256_of_part(run_dir, index) for index in range(num_parts)
    ]
    self.bytes = sum(
        transfer.part_path(run_dir, index).stat().st_size
        for index in range(num_parts)
    )
    self.examples, self.tokens = 0, 0
    self._task = task
    self._chosen = np.zeros(len(task.label_names), np.int64)
    self._known, self._right = 0, 0
    for part in transfer.each_part(run_dir, num_parts):
      self.examples += len(part)
      self.tokens += len(part.tokens)
      if task.kind == "classification":
        self._count(part)
    if not self.examples:
      raise errors.InputError(
          "teacher: the file of scores has none of the texts of inputs."
      )

  def numbers(self) -> dict[str, Any]:
    """Returns sizes, how often each label is chosen, and how often rightly."""
    out: dict[str, Any] = {
        "tokens": self.tokens,
        "bytes_per_token": round(self.bytes / self.tokens, 3),
    }
    if self._task.kind != "classification":
      return out
    out["label_shares"] = {
        name: float(count / self.examples)
        for name, count in zip(
            self._task.label_names, self._chosen, strict=True
        )
    }
    if self._known:
      out["teacher_accuracy"] = self._right / self._known
    return out

  def _count(self, part: examples_lib.Examples) -> None:
    assert part.teacher_logits is not None
    chosen = part.teacher_logits.argmax(-1)
    self._chosen += np.bincount(chosen, minlength=len(self._chosen))
    known = part.is_labelled
    self._known += int(known.sum())
    self._right += int((chosen == part.labels)[known].sum())
