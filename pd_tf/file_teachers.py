"""Opens the teachers that are one file for a runtime of its own: TFLite, ONNX.

What runs a kind of file is imported where one of that kind is opened.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import functools
import pathlib
import tempfile
from typing import TYPE_CHECKING
import zipfile

from pd_tf.config import errors
from pd_tf.config import pretrained
from pd_tf.config import unsaid as unsaid_config
from pd_tf.formats import config_file
from pd_tf.formats import task_file
from pd_tf.teachers import one_file
from pd_tf.teachers import teacher as teacher_lib

if TYPE_CHECKING:
  import numpy as np

  from pd_tf.text import tokenizer as tokenizer_lib
  from pd_tf.text import vocabulary as vocabulary_lib

_ENDINGS = (".tflite", ".onnx")
_VOCABULARY = "vocab.txt"
# What tells how to call a file.
_COMPANIONS = (_VOCABULARY, task_file.NAME, config_file.NAME)


def opened(
    path: str,
    seq_length: int,
    unsaid: unsaid_config.Unsaid,
    threads: int | None = None,
) -> teacher_lib.Teacher | None:
  """Returns the teacher; None if a path is of no such file.

  Args:
    path: The file, or its directory.
    seq_length: Tokens of an example at the most.
    unsaid: What the model does not say of itself.
    threads: Batches at a time; None: as many as cores.

  Raises:
    InputError: It cannot be read.
  """
  file = found(pathlib.Path(path))
  if file is None:
    return None
  if not file.exists():
    raise errors.InputError(f"{file}: no such model.")
  with _companions(file) as directory:
    task: pretrained.TaskHead | None = None
    if (directory / task_file.NAME).exists():
      task = teacher_lib.named(
          task_file.read(directory / task_file.NAME), unsaid.label_names
      )
    encode = _encoder_beside(directory, file, seq_length, unsaid)
  if file.suffix == ".onnx":
    from pd_tf.teachers import onnx_runtime

    return onnx_runtime.OnnxTeacher(str(file), encode, task, unsaid, threads)
  from pd_tf.teachers import tflite

  return tflite.TfliteTeacher(str(file), encode, task, unsaid, threads)


def found(path: pathlib.Path) -> pathlib.Path | None:
  """Returns the TFLite or ONNX file of a path, its own or its directory's."""
  if path.suffix in _ENDINGS and not path.is_dir():
    return path
  # Directories of Hugging Face may have an ONNX file beside the weights.
  if (path / "config.json").exists():
    return None
  files = (path / f"model{ending}" for ending in _ENDINGS)
  return next((file for file in files if file.exists()), None)


@contextlib.contextmanager
def _companions(file: pathlib.Path) -> Iterator[pathlib.Path]:
  """Yields the directory of what lies in a file's archive, or beside it."""
  # As TFLite's metadata has it, an archive follows the model.
  if not zipfile.is_zipfile(file):
    yield file.parent
    return
  with tempfile.TemporaryDirectory() as directory:
    with zipfile.ZipFile(file) as archive:
      for name in set(_COMPANIONS) & set(archive.namelist()):
        pathlib.Path(directory, name).write_bytes(archive.read(name))
    yield pathlib.Path(directory)


def _encoder_beside(
    directory: pathlib.Path,
    file: pathlib.Path,
    seq_length: int,
    unsaid: unsaid_config.Unsaid,
) -> one_file.Encode | None:
  """Returns what makes the inputs of a file; None without a vocabulary."""
  from pd_tf.text import vocabulary as vocabulary_lib

  vocab_file, config = directory / _VOCABULARY, directory / config_file.NAME
  if not vocab_file.exists():
    if unsaid.vocab_file is None:
      return None
    vocabulary = vocabulary_lib.read(unsaid.vocab_file)
    return _encoder(vocabulary, unsaid.lower_case, seq_length)
  vocabulary, lower_case = vocabulary_lib.read(vocab_file), unsaid.lower_case
  if config.exists():
    _require_positions(config, seq_length, file)
    lower_case = config_file.read_lower_case(config, vocabulary.entries)
  return _encoder(vocabulary, lower_case, seq_length)


def _require_positions(
    config: pathlib.Path, seq_length: int, file: pathlib.Path
) -> None:
  positions = config_file.read(config).max_positions
  if seq_length > positions:
    raise errors.InputError(
        f"seq_length ({seq_length}) must be at most {file}'s {positions} "
        "positions."
    )


def _encoder(
    vocabulary: "vocabulary_lib.Vocabulary", lower_case: bool, seq_length: int
) -> one_file.Encode:
  # A file with its tokenizer inside never asks for it.
  @functools.cache
  def word_piece() -> "tokenizer_lib.Tokenizer":
    from pd_tf.text import light_wordpiece

    return light_wordpiece.tokenizer(vocabulary, lower_case)

  return encoder(one_file.INPUTS, word_piece, seq_length)


def encoder(
    names: Sequence[str],
    word_piece: "Callable[[], tokenizer_lib.Tokenizer]",
    seq_length: int,
) -> one_file.Encode:
  """Returns what makes a BERT's inputs of columns of texts.

  Args:
    names: Of ids, mask and type ids, as the model has them.
    word_piece: Returns the tokenizer; called with each batch.
    seq_length: Tokens of an example at the most.
  """

  def encode(columns: Sequence[Sequence[str]]) -> "dict[str, np.ndarray]":
    from pd_tf.data import examples
    from pd_tf.data import packing

    encoded = examples.encode(word_piece(), columns, seq_length)
    shape = packing.Shape(len(encoded), int(encoded.lengths.max()), 1)
    rows = packing.batch(encoded, [[i] for i in range(len(encoded))], shape)
    arrays = (rows["input_ids"], rows["example_ids"], rows["type_ids"])
    return dict(zip(names, arrays, strict=True))

  return encode
