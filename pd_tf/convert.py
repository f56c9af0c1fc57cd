"""Converts a model from one format to another.

Reads --from, whose format is told by looking at it:
  a run of `pd-tf train`         its best model, or its last
  a release directory or .zip    bert_config.json, vocab.txt, bert_model.ckpt
  a TF2 TF-Hub encoder           saved_model.pb, variables, assets
  a TF1 TF-Hub module            tfhub_module.pb beside them
  a Hugging Face directory       config.json, model.safetensors, vocab.txt
  a Keras Hub preset             config.json, model.weights.h5, assets
  a Model Garden checkpoint      object graph, with bert_config.json

Writes --to, with a model card, README.md, in the format that --format names:
  release       directory, or .zip if the name ends so, as google-research/bert
                has it; task.json beside it where the model is fine-tuned
  tfhub         TF2 SavedModel of the encoder, with its masked LM
  tf1_hub       TF1 module of the encoder, with its masked LM
  hugging_face  safetensors, for transformers
  keras_hub     preset, for keras_hub
  model_garden  TF2 checkpoint, for tf-models-official
What is at --to already is left alone, unless --overwrite. What both formats
have is carried over bit for bit; the log lists what is not.

  pd-tf convert --from=runs/sst2_tiny --to=uncased_L-2_H-128_A-2.zip
"""

import dataclasses
import pathlib
from typing import Any

from pd_tf import writing
from pd_tf.config import convert as convert_config
from pd_tf.config import errors
from pd_tf.config import pretrained
from pd_tf.config import provenance
from pd_tf.formats import detect
from pd_tf.formats import vocabulary_file


def run(
    settings: convert_config.ConvertConfig,
    run_dir: pathlib.Path | None = None,
) -> dict[str, Any]:
  """Converts a model.

  Args:
    settings: Which model, where to and as what.
    run_dir: Not used: the model is all that is written.

  Returns:
    What was read and written: from, from_format, path, format, bytes,
    num_parameters, dropped.

  Raises:
    InputError: A setting is missing, the source cannot be read, it cannot take
      the form, or the target is there.
  """
  del run_dir
  source = _required(settings.source, "from", "the model to read")
  to = pathlib.Path(_required(settings.to, "to", "where to write"))
  kind = detect.detect(source)
  # Before a large model is read for nothing.
  writing.require_free(to, settings.overwrite)
  model = with_vocabulary(detect.read(source), settings.vocab_file)
  request = writing.Request(
      settings.format, masked_lm=settings.masked_lm,
      overwrite=settings.overwrite, source=source,
      command=f"pd-tf convert --from={source} --format={settings.format} "
      f"--to={settings.to}",
      training=provenance.of(source),
  )  # fmt: skip
  written = writing.write_model(model, to, request)
  return {"from": source, "from_format": kind, **written}


def with_vocabulary(
    model: pretrained.Pretrained, vocab_file: str | None
) -> pretrained.Pretrained:
  """Returns the model with the vocabulary of a file, if it has none.

  Args:
    model: Its own vocabulary, if it has one, must be the file's.
    vocab_file: A vocab.txt; None where the model has one.

  Raises:
    InputError: There is no vocabulary, or it does not fit the model.
  """
  if vocab_file is None:
    if not model.vocabulary:
      raise errors.InputError(
          "vocab_file: expected a vocab.txt, as the model has no vocabulary, "
          "got nothing."
      )
    return model
  path = pathlib.Path(vocab_file)
  if not path.is_file():
    raise errors.InputError(f"vocab_file: {path} does not exist.")
  entries = vocabulary_file.read(path, model.encoder.vocab_size)
  if model.vocabulary == entries:
    return model
  if model.vocabulary:
    raise errors.InputError(
        f"vocab_file: {path} must be as the model's own vocabulary; differs."
    )
  return dataclasses.replace(
      model,
      vocabulary=entries,
      lower_case=(
          model.lower_case and vocabulary_file.looks_lower_case(entries)
      ),
  )


def _required(value: str | None, flag: str, meaning: str) -> str:
  if not value:
    raise errors.InputError(f"{flag}: expected {meaning}, got nothing.")
  return value
