r"""Turns text into shuffled, packed rows of segments for pre-training.

Reads text (a sentence a line with a blank line between documents, a document a
line, or JSON lines; plain, .gz, .bz2, .xz or .zst) or data sets of TensorFlow
Datasets by name, and a vocab.txt. Writes to run_dir: segments-*.tfrecord,
vocab.txt, manifest.json (settings, inputs with their SHA-256, counts),
config.yaml and result.json; with validation_share also validation/, the same of
documents held out. All documents of all inputs are shuffled once, globally, so
training may read the shards in order.

An Apache Beam pipeline does it, by default in as many processes of this machine
as it has cores; what is ready before these have started, some 96 MB of text, is
done in this one. The bytes written do not follow from how many. A killed run
goes on where it stopped.

Example:
  pd-tf prepare --inputs='corpus/*.txt.xz' --vocab_file=vocab.txt \
      --run_dir=runs/segments
  pd-tf prepare --inputs='gs://corpus/*.jsonl' --vocab_file=vocab.txt \
      --run_dir=runs/segments --work_dir=gs://scratch/segments \
      --runner=DataflowRunner --beam_option=project=mine \
      --beam_option=region=europe-west4 --beam_option=temp_location=gs://scratch
"""

import json
import pathlib
from typing import Any

from absl import logging
import numpy as np

import pd_tf
from pd_tf.config import errors
from pd_tf.config import prepare as prepare_config
from pd_tf.config import processes as processes_config
from pd_tf.config import run_dir as run_dir_lib
from pd_tf.config import settings as settings_lib
from pd_tf.config import tfds_name
from pd_tf.data import inputs
from pd_tf.data import preparing
from pd_tf.data import shards
from pd_tf.data import stages
from pd_tf.data import storage
from pd_tf.text import vocabulary as vocabulary_lib

WORK_FOLDER = "unfinished"
_PLAN_FILE = "plan.json"
# As much text is ready before other processes are, or soon after.
_IN_PROCESS_BYTES = 96 << 20


def run(
    settings: prepare_config.PrepareConfig,
    run_dir: pathlib.Path | None,
    processes: processes_config.Processes = processes_config.HERE,
) -> dict[str, Any]:
  """Prepares segments.

  Args:
    settings: What is read and how it is cut.
    run_dir: Directory of the segments.
    processes: Where it runs.

  Returns:
    Counts, as in manifest.json.

  Raises:
    InputError: An input or the vocabulary is not what it must be, or run_dir
      belongs to other settings.
    StoppedError: A worker process was lost; the same call goes on.
  """
  if run_dir is None:
    raise errors.InputError("run_dir: expected a directory, got none.")
  if settings.vocab_file is None:
    raise errors.InputError("vocab_file: expected a vocab.txt, got none.")
  vocabulary = vocabulary_lib.read(settings.vocab_file)
  sources = inputs.sources(settings)
  if (result := run_dir_lib.claim(run_dir, settings)) is not None:
    _require_as_finished(run_dir, sources, vocabulary)
    logging.warning("%s is finished; nothing to do.", run_dir)
    return result
  preparation = _preparation(settings, sources, run_dir, processes)
  _require_same_inputs(preparation, run_dir, vocabulary)
  storage.write(
      preparation.vocab_file,
      [entry.encode() + b"\n" for entry in vocabulary.entries],
  )
  try:
    results = stages.run(
        preparing.stages_of(preparation), preparation.folder, processes,
        _is_for_one_process(preparation, processes),
    )
  except errors.InputError:
    # The input is another when it is mended: nothing is worth keeping.
    _remove_unfinished(preparation, run_dir)
    raise
  counts = _finished(preparation, run_dir, vocabulary, results)
  storage.remove_folder(preparation.folder)
  run_dir_lib.finish(run_dir, counts)
  return counts


def _preparation(
    settings: prepare_config.PrepareConfig,
    sources: list[inputs.Source],
    run_dir: pathlib.Path,
    processes: processes_config.Processes,
) -> preparing.Preparation:
  preparing.forget()
  own = str(run_dir.absolute())
  folder = processes.work_dir or f"{own}/{WORK_FOLDER}"
  # Where workers do not reach run_dir the shards are fetched at the end.
  made = f"{folder}/shards" if storage.is_url(folder) else own
  shares = {preparing.TRAIN: made}
  if settings.validation_share:
    shares[preparing.VALIDATION] = f"{made}/{preparing.VALIDATION}"
  return preparing.Preparation(
      settings, tuple(sources), folder, shares, preparing.part_bytes(sources)
  )


def _is_for_one_process(
    preparation: preparing.Preparation, processes: processes_config.Processes
) -> bool:
  few = (
      processes.num_workers is None
      and preparation.text_bytes < _IN_PROCESS_BYTES
  )
  return processes.is_local and (few or processes.num_processes == 1)


def _require_as_finished(
    run_dir: pathlib.Path,
    sources: list[inputs.Source],
    vocabulary: vocabulary_lib.Vocabulary,
) -> None:
  """Raises InputError if a finished run was of other files, by their sizes."""
  manifest = shards.read_manifest(run_dir)
  before = {one["path"]: one["bytes"] for one in manifest["inputs"]}
  now = {one.path: one.state[0] for one in sources}
  for path in [*now, *before]:
    # Of a data set the state is not its bytes.
    is_file = not tfds_name.is_one(path)
    if is_file and now.get(path) != before.get(path):
      raise errors.InputError(
          f"run_dir: {run_dir} is finished, but {path} has changed since. "
          "Choose another run_dir."
      )
  if manifest["vocab_sha256"] != vocabulary.sha256:
    raise errors.InputError(
        f"run_dir: {run_dir} is finished, but the vocab_file has changed "
        "since. Choose another run_dir."
    )


def _require_same_inputs(
    preparation: preparing.Preparation,
    run_dir: pathlib.Path,
    vocabulary: vocabulary_lib.Vocabulary,
) -> None:
  """Removes what a killed run left, unless it was of the same inputs."""
  plan = json.dumps({
      "version": pd_tf.__version__,
      "sources": preparation.sources,
      "vocab_sha256": vocabulary.sha256,
  }).encode()
  path = f"{preparation.folder}/{_PLAN_FILE}"
  if storage.exists(path) and storage.read(path) == plan:
    return
  _remove_unfinished(preparation, run_dir)
  storage.make_folder(preparation.folder)
  storage.write(path, [plan])


def _remove_unfinished(
    preparation: preparing.Preparation, run_dir: pathlib.Path
) -> None:
  (run_dir / shards.MANIFEST_FILE).unlink(missing_ok=True)
  storage.remove_folder(preparation.folder)
  storage.remove_folder(str(run_dir / preparing.VALIDATION))
  for path in run_dir.glob("segments-*"):
    path.unlink()


def _finished(
    preparation: preparing.Preparation,
    run_dir: pathlib.Path,
    vocabulary: vocabulary_lib.Vocabulary,
    results: stages.Results,
) -> dict[str, Any]:
  """Writes vocabularies and manifests; returns the counts of the train share.

  The manifest of the train share is the last file.
  """
  counts: dict[str, Any] = {}
  everything = _everything(results, preparation.settings)
  for share in reversed(preparation.shards):
    folder = run_dir if share == preparing.TRAIN else run_dir / share
    folder.mkdir(exist_ok=True)
    files = [
        {name: made[name] for name in ("name", "rows", "bytes")}
        for made in results[5] if made["share"] == share
    ]
    _fetch(preparation.shards[share], folder, files)
    # Of processes that were killed.
    for path in folder.glob("segments-*.tmp"):
      path.unlink()
    vocabulary_lib.write(folder / shards.VOCAB_FILE, vocabulary.entries)
    counts = everything | _counts(
        [made for made in results[4] if made["share"] == share],
        preparation.settings,
    )
    if share == preparing.TRAIN and preparation.settings.validation_share:
      counts["num_validation_documents"] = sum(
          made["num_documents"] for made in results[4]
          if made["share"] == preparing.VALIDATION
      )
    shards.write_manifest(folder, _manifest(
        preparation.settings, vocabulary, results, counts, files
    ))
  return counts


def _fetch(
    made: str, folder: pathlib.Path, files: list[dict[str, Any]]
) -> None:
  if not storage.is_url(made):
    return
  for file in files:
    with storage.opened(f"{made}/{file['name']}") as source:
      storage.write(
          str(folder / file["name"]), iter(lambda: source.read(1 << 24), b"")
      )


def _everything(
    results: stages.Results, settings: prepare_config.PrepareConfig
) -> dict[str, Any]:
  """Returns counts of all inputs, of what was left out above all."""
  skipped: dict[str, int] = {}
  read = [one for group in results[0] for one in group]
  for made in (*results[1], *read):
    for reason, count in made["skipped"].items():
      skipped[reason] = skipped.get(reason, 0) + count
  dropped = sum(made["num_dropped"] for made in results[3])
  return {
      "skipped": skipped,
      f"duplicate_{settings.duplicate_unit}s_dropped": dropped,
      "num_input_documents": sum(made["num_documents"] for made in results[1]),
      "num_input_sentences": sum(made["num_sentences"] for made in results[1]),
  }


def _counts(
    made: list[dict[str, Any]], settings: prepare_config.PrepareConfig
) -> dict[str, Any]:
  """Returns counts of a share."""
  totals = {
      name: sum(one[name] for one in made)
      for name in (
          "num_documents", "num_sentences", "num_tokens", "num_segments",
          "num_segment_tokens", "num_rows", "num_unknown", "num_random_next",
      )
  }
  lengths = np.sum([one["lengths"] for one in made], axis=0)
  unknown, is_random = totals.pop("num_unknown"), totals.pop("num_random_next")
  if settings.next_sentence and is_random == totals["num_segments"]:
    logging.warning(
        "All pairs are random, as where each document is a single sentence: "
        "no pair is of neighbours, and next sentences teach nothing; "
        "next_sentence=false takes texts alone."
    )
  return totals | {
      "unknown_share": unknown / totals["num_tokens"],
      "random_next_share": is_random / totals["num_segments"],
      "fill_share": totals["num_segment_tokens"] / (
          totals["num_rows"] * settings.seq_length
      ),
      "length_histogram": _histogram(lengths, settings.seq_length),
  }


def _histogram(lengths: np.ndarray, seq_length: int) -> dict[str, int]:
  """Returns numbers of segments by eighths of a row, as "17-32": 5."""
  edges = np.unique(np.linspace(0, seq_length, 9).astype(int))
  return {
      f"{low + 1}-{high}": int(lengths[low + 1:high + 1].sum())
      for low, high in zip(edges[:-1], edges[1:], strict=True)
  }


def _manifest(
    settings: prepare_config.PrepareConfig,
    vocabulary: vocabulary_lib.Vocabulary,
    results: stages.Results,
    counts: dict[str, Any],
    files: list[dict[str, Any]],
) -> dict[str, Any]:
  read = [
      {name: one[name] for name in ("path", "bytes", "sha256")}
      for group in results[0] for one in group
  ]
  return {
      "settings": settings_lib.to_mapping(settings),
      "seq_length": settings.seq_length,
      "max_segments": settings.max_segments,
      "next_sentence": settings.next_sentence,
      "lower_case": settings.lower_case,
      "vocab_size": len(vocabulary),
      "vocab_sha256": vocabulary.sha256,
      "inputs": read,
      **counts,
      "shards": files,
  }
