"""The form in which google-research/bert and the 24 miniatures are released.

A directory, or a zip of its files: `bert_config.json`, `vocab.txt`,
`bert_model.ckpt.index` and `bert_model.ckpt.data-00000-of-00001`. A fine-tuned
model has `task.json` beside them, which is pd_tf's own.
"""

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
import pathlib

from absl import logging
import numpy as np

from pd_tf.config import encoder
from pd_tf.config import errors
from pd_tf.config import pretrained
from pd_tf.formats import archive
from pd_tf.formats import canonical
from pd_tf.formats import checkpoint
from pd_tf.formats import config_file
from pd_tf.formats import replacement
from pd_tf.formats import task_file
from pd_tf.formats import vocabulary_file

CONFIG_NAME = config_file.NAME
CHECKPOINT_NAME = "bert_model.ckpt"

OWN_FILES = (
    CONFIG_NAME, vocabulary_file.NAME, CHECKPOINT_NAME + ".*", task_file.NAME,
)

_SLOTS = ("adam_m", "adam_v")


def found_in(path: pathlib.Path) -> bool:
  """Returns whether a directory, or a checkpoint's, is of this form."""
  directory = path if path.is_dir() else path.parent
  return (directory / CONFIG_NAME).is_file() and (
      path.is_dir() or _index(path).is_file()
  )


def carried(parts: Collection[str]) -> list[str]:
  """Returns which of a model's parts the format keeps: all."""
  return list(parts)


def read(path: str | pathlib.Path) -> pretrained.Pretrained:
  """Returns the model in a release directory or zip.

  Optimizer slots, the step and other models' heads are left out; one line of
  the log lists them.

  Args:
    path: The directory or zip, or one of several checkpoints in a directory,
      by the path of its files without `.index`.

  Raises:
    InputError: A file is missing or damaged, a tensor of the encoder is
      missing, or files do not fit each other.
  """
  path = pathlib.Path(path)
  if path.is_dir():
    return _read_files(path, _checkpoint_prefix(path), path)
  if _index(path).is_file():
    return _read_files(path.parent, path, path)
  with archive.unpacked(path, CONFIG_NAME) as directory:
    try:
      return _read_files(directory, _checkpoint_prefix(directory), path)
    except errors.InputError as error:
      # Whoever gave a zip knows nothing of where it was unpacked.
      message = str(error).replace(str(directory), str(path))
      raise errors.InputError(message) from None


def read_config(path: pathlib.Path) -> encoder.EncoderConfig:
  """Returns the shape of a model, of whatever path but a zip `read` takes.

  Raises:
    InputError: There is no such file, or it describes no encoder.
  """
  directory = path if path.is_dir() else path.parent
  return config_file.read(directory / CONFIG_NAME)


def write(
    path: str | pathlib.Path,
    model: pretrained.Pretrained,
    overwrite: bool = False,
) -> None:
  """Writes a release directory, or a zip if the path ends in `.zip`.

  The target is there whole or not at all.

  Args:
    path: Where to; its parents are made.
    model: Its vocabulary must fit its encoder.
    overwrite: Whether a model that is there is replaced.

  Raises:
    InputError: Something is there already or the place cannot be written to,
      or the model lacks a vocabulary, or its parts do not fit each other.
  """
  path = pathlib.Path(path)
  _require_whole(model)
  with replacement.replacing(path, overwrite, OWN_FILES) as target:
    if path.suffix != ".zip":
      _write_files(target, model)
      return
    files = target.with_name("files")
    _write_files(files, model)
    archive.pack(files, target)


def _read_files(
    directory: pathlib.Path, prefix: pathlib.Path, source: pathlib.Path
) -> pretrained.Pretrained:
  config = config_file.read(directory / CONFIG_NAME)
  vocabulary = vocabulary_file.read(
      directory / vocabulary_file.NAME, config.vocab_size
  )
  weights = _read_weights(prefix, config, source)
  return pretrained.Pretrained(
      encoder=config,
      weights=weights,
      vocabulary=vocabulary,
      lower_case=config_file.read_lower_case(
          directory / CONFIG_NAME, vocabulary
      ),
      task=task_file.read_if_there(
          directory / task_file.NAME,
          len(weights.get(canonical.TASK_BIAS, ())), source,
      ),
  )


def _checkpoint_prefix(directory: pathlib.Path) -> pathlib.Path:
  usual = directory / CHECKPOINT_NAME
  found = sorted(directory.glob("*.index"))
  if _index(usual) in found:
    return usual
  if len(found) != 1:
    raise errors.InputError(
        f"{directory}: expected {CHECKPOINT_NAME}.index, or a single "
        f"checkpoint of another name, found {len(found)} .index files."
    )
  return found[0].with_suffix("")


def _index(prefix: pathlib.Path) -> pathlib.Path:
  return prefix.with_name(prefix.name + ".index")


def _read_weights(
    prefix: pathlib.Path, config: encoder.EncoderConfig, source: pathlib.Path
) -> dict[str, np.ndarray]:
  stored = checkpoint.Checkpoint(prefix)
  parts = canonical.groups(
      config, _num_outputs(stored.shapes, config.hidden_size)
  )
  present = canonical.present(parts, stored.shapes, prefix)
  wanted = [name for part in present for name in parts[part]]
  ignored = stored.shapes.keys() - set(wanted)
  if ignored:
    logging.warning("%s: ignored %s.", source, ", ".join(_listed(ignored)))
  return stored.read(wanted)


def _num_outputs(
    shapes: Mapping[str, tuple[int, ...]], hidden_size: int
) -> int:
  """Returns C of the fine-tuned head; 0 without one, or with another kind."""
  shape = shapes.get(canonical.TASK_WEIGHTS, ())
  return shape[0] if shape[1:] == (hidden_size,) else 0


def _listed(names: Iterable[str]) -> list[str]:
  """Returns names in order, those of optimizer slots as one item a slot."""
  names = sorted(names)
  listed = [name for name in names if name.split("/")[-1] not in _SLOTS]
  for slot in _SLOTS:
    count = sum(name.endswith("/" + slot) for name in names)
    if count:
      listed.append(f"*/{slot} of {count} tensors")
  return listed


def _require_whole(model: pretrained.Pretrained) -> None:
  """Raises InputError unless what is written can be read back."""
  shapes = {name: array.shape for name, array in model.weights.items()}
  num_outputs = _num_outputs(shapes, model.encoder.hidden_size)
  parts = canonical.groups(model.encoder, num_outputs)
  present = canonical.present(parts, shapes, "model")
  extra = shapes.keys() - {name for part in present for name in parts[part]}
  if extra:
    raise errors.InputError(
        f"model: {min(extra)} is no tensor of a released checkpoint."
    )
  for name, array in model.weights.items():
    if array.dtype != np.float32:
      raise errors.InputError(
          f"model: {name} must be float32, is {array.dtype}."
      )
  if bool(num_outputs) != (model.task is not None):
    raise errors.InputError(
        f"model: task and {canonical.TASK_WEIGHTS} must come together."
    )
  if model.task is not None:
    task_file.require_outputs(model.task, num_outputs, "model")
  vocabulary_file.require_size(
      model.vocabulary, model.encoder.vocab_size, "vocabulary"
  )


def _write_files(
    directory: pathlib.Path, model: pretrained.Pretrained
) -> None:
  directory.mkdir()
  config_file.write(directory / CONFIG_NAME, model)
  vocabulary_file.write(directory / vocabulary_file.NAME, model.vocabulary)
  if model.task is not None:
    task_file.write(directory / task_file.NAME, model.task)
  checkpoint.write(directory / CHECKPOINT_NAME, model.weights)
