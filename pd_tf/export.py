"""Writes a model in the form in which others use it.

Reads --model: a run of `pd-tf train`, or a model in any readable format.

Writes --to, in the form that --format names, with a model card, README.md:
  serving     SavedModel, raw texts to probabilities; of a fine-tuned model
  tfhub       SavedModel of the encoder, for hub.load and hub.KerasLayer
  preprocess  SavedModel, raw texts to the encoder's inputs
  release     directory, or .zip if the name ends so, as google-research/bert
What is at --to already is left alone, unless --overwrite.

  pd-tf export --model=runs/sst2_tiny --format=serving --to=exported/sst2_tiny
"""

import pathlib
import tempfile
from typing import Any

import tensorflow as tf

from pd_tf.config import errors
from pd_tf.config import export as export_config
from pd_tf.config import pretrained
from pd_tf.formats import archive
from pd_tf.formats import detect
from pd_tf.formats import release
from pd_tf.formats import replacement
from pd_tf.modeling import bert
from pd_tf.modeling import rows
from pd_tf.serving import classifier
from pd_tf.serving import encoder
from pd_tf.serving import model_card
from pd_tf.serving import preprocessing
from pd_tf.text import vocabulary as vocabulary_lib

_SAVED_MODEL_FILES = (
    "saved_model.pb", "keras_metadata.pb", "fingerprint.pb", "variables",
    "assets",
)
# Whatever form a written model has, another may take its place.
_OWN_FILES = (*release.OWN_FILES, *_SAVED_MODEL_FILES, model_card.NAME)


def run(
    settings: export_config.ExportConfig,
    run_dir: pathlib.Path | None = None,
) -> dict[str, Any]:
  """Exports a model.

  Args:
    settings: Which model, where to and as what.
    run_dir: Not used: the model is all that is written.

  Returns:
    What was written: path, format, bytes, num_parameters.

  Raises:
    InputError: A setting is missing or does not fit the model, the model
      cannot be read, or the target is there.
  """
  del run_dir
  if not settings.model:
    raise errors.InputError("model: expected a run or a model, got nothing.")
  if not settings.to:
    raise errors.InputError("to: expected where to write, got nothing.")
  to = pathlib.Path(settings.to)
  # Before a large model is read for nothing.
  replacement.require_free(to, settings.overwrite, _OWN_FILES)
  return write_model(
      detect.read(settings.model), to, settings.format, settings.seq_length,
      settings.overwrite, settings.model,
  )


def write_model(
    model_on_disk: pretrained.Pretrained,
    to: pathlib.Path,
    format: export_config.Format,
    seq_length: int,
    overwrite: bool,
    source: str = "",
) -> dict[str, Any]:
  """Writes a model with its card; the target is there whole or not at all.

  Args:
    model_on_disk: The model.
    to: Directory to make, or a .zip for the release format.
    format: Form to write.
    seq_length: Tokens of an example (serving and preprocess).
    overwrite: Whether a model that is there is replaced.
    source: What the model was read from, for its card.

  Returns:
    What was written: path, format, bytes, num_parameters.

  Raises:
    InputError: The model cannot take the form, or the target is there.
  """
  _require_fit(model_on_disk, to, format, seq_length)
  with replacement.replacing(to, overwrite, _OWN_FILES) as target:
    files = target.with_name("files")
    num_parameters = _WRITERS[format](files, model_on_disk, seq_length)
    card = model_card.Card(
        format, to.name, source, model_on_disk.encoder, num_parameters,
        model_on_disk.lower_case,
        seq_length if format in ("serving", "preprocess") else None,
        model_on_disk.task if format in ("serving", "release") else None,
    )
    (files / model_card.NAME).write_text(
        model_card.text(card), encoding="utf-8"
    )
    if to.suffix == ".zip":
      archive.pack(files, target)
    else:
      files.rename(target)
  return {
      "path": str(to),
      "format": format,
      "bytes": _bytes(to),
      "num_parameters": num_parameters,
  }


def _require_fit(
    model: pretrained.Pretrained,
    to: pathlib.Path,
    format: export_config.Format,
    seq_length: int,
) -> None:
  """Raises InputError unless the model can be written so."""
  if format == "release":
    return
  if to.suffix == ".zip":
    raise errors.InputError(
        f"to: expected a directory for format {format}, got {to}."
    )
  if not model.vocabulary:
    raise errors.InputError(
        f"model: expected one with a vocabulary for format {format}, got one "
        "without; `pd-tf convert --vocab_file=vocab.txt` adds it."
    )
  if format == "serving" and model.task is None:
    raise errors.InputError(
        "model: expected a fine-tuned one for format serving, got one without "
        "a task head."
    )
  if format in ("serving", "preprocess"):
    _require_length(model, seq_length)


def _require_length(model: pretrained.Pretrained, seq_length: int) -> None:
  texts = model.task.num_texts if model.task else 1
  # [CLS], and of each text one token and [SEP].
  least, most = 1 + 2 * texts, model.encoder.max_positions
  if not least <= seq_length <= most:
    raise errors.InputError(
        f"seq_length ({seq_length}) must be at least {least}, and at most "
        f"{most}, the model's positions."
    )


def _write_serving(
    path: pathlib.Path, model: pretrained.Pretrained, seq_length: int
) -> int:
  assert model.task is not None
  built = _built(model, num_outputs=len(model.task.label_names))

  def logits(ids: tf.Tensor, mask: tf.Tensor, type_ids: tf.Tensor):
    return built.logits(rows.padded(ids, mask, type_ids))[:, 0]

  with tempfile.TemporaryDirectory() as directory:
    classifier.write(
        path, logits, built.trainable_variables,
        _vocab_file(directory, model), model.lower_case, model.task,
        seq_length,
    )
  return built.num_parameters


def _write_tfhub(
    path: pathlib.Path, model: pretrained.Pretrained, seq_length: int
) -> int:
  del seq_length
  built = _built(model, num_outputs=0)

  def encode(
      ids: tf.Tensor,
      mask: tf.Tensor,
      type_ids: tf.Tensor,
      seed: tf.Tensor | None,
  ):
    return built.encode(rows.padded(ids, mask, type_ids), seed)

  with tempfile.TemporaryDirectory() as directory:
    encoder.write(
        path, encode, built.trainable_variables,
        _vocab_file(directory, model), model.lower_case,
    )
  return built.num_parameters


def _write_preprocess(
    path: pathlib.Path, model: pretrained.Pretrained, seq_length: int
) -> int:
  with tempfile.TemporaryDirectory() as directory:
    preprocessing.write(
        path, _vocab_file(directory, model), model.lower_case, seq_length
    )
  return 0


def _write_release(
    path: pathlib.Path, model: pretrained.Pretrained, seq_length: int
) -> int:
  del seq_length
  release.write(path, model)
  return sum(array.size for array in model.weights.values())


_WRITERS = {
    "serving": _write_serving,
    "tfhub": _write_tfhub,
    "preprocess": _write_preprocess,
    "release": _write_release,
}


def _built(model: pretrained.Pretrained, num_outputs: int) -> bert.Bert:
  built = bert.build(model.encoder, num_outputs=num_outputs)
  missing = built.load_canonical_weights(model.weights)
  if missing:
    raise errors.InputError(
        f"model: expected the weight {missing[0]}, found it not among "
        f"{len(model.weights)} ({len(missing)} are missing)."
    )
  return built


def _vocab_file(directory: str, model: pretrained.Pretrained) -> pathlib.Path:
  path = pathlib.Path(directory, "vocab.txt")
  vocabulary_lib.write(path, model.vocabulary)
  return path


def _bytes(path: pathlib.Path) -> int:
  files = path.rglob("*") if path.is_dir() else [path]
  return sum(file.stat().st_size for file in files if file.is_file())
