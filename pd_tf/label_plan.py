"""What `pd-tf label` labels by what, and the hash of it.

The hash follows from the teachers' files, the input files and the settings; a
directory that was begun with another is not gone on with.
"""

from collections.abc import Sequence
import json
import pathlib
from typing import Any

from pd_tf import foreign_teachers
from pd_tf.config import errors
from pd_tf.config import fingerprint
from pd_tf.config import label as label_config
from pd_tf.config import run_dir as run_dir_lib
from pd_tf.config import settings as settings_lib
from pd_tf.config import tfds_name
from pd_tf.data import transfer_sources
from pd_tf.data import transfer_texts
from pd_tf.formats import detect
from pd_tf.text import wordpiece

_NAME = "plan.json"
# Parts of the hash, by the names that a message gives them.
_SHOWN = {
    "teacher": "teacher", "inputs": "texts", "exclude": "texts to exclude",
    "vocabulary": "vocabulary", "settings": "settings",
}


def sources(
    settings: label_config.LabelConfig,
) -> list[transfer_sources.Source]:
  """Returns where the transfer texts are.

  Raises:
    InputError: There are none, or one does not exist.
  """
  if settings.inputs:
    return transfer_sources.expand(settings.inputs, "inputs")
  scored = list(filter(foreign_teachers.is_scores, settings.teacher))
  if not scored:
    return transfer_sources.expand((), "inputs")
  return [transfer_sources.Source(scored[0], has_scores=True)]


def form(settings: label_config.LabelConfig) -> transfer_sources.Form:
  """Returns how the transfer texts lie in their files."""
  return transfer_sources.Form(
      settings.text_columns, settings.label_column,
      settings.text_form == "sentences",
  )


def has_scores(settings: label_config.LabelConfig) -> bool:
  """Returns whether the teacher may know nothing of a text."""
  return any(map(foreign_teachers.is_scores, settings.teacher))


def chosen(settings: label_config.LabelConfig) -> transfer_texts.Chosen:
  """Reads all texts and returns which are labelled.

  Raises:
    InputError: As `transfer_texts.choose`.
  """
  excluded = transfer_texts.excluded_keys(
      _excluded(settings),
      transfer_sources.Form(settings.exclude_columns or settings.text_columns),
  )
  return transfer_texts.choose(
      sources(settings), form(settings), excluded, settings.input_weights,
      settings.max_examples, settings.seed,
  )


def plan(
    settings: label_config.LabelConfig, word_piece: wordpiece.WordPiece
) -> dict[str, Any]:
  """Returns the digests of all that the transfer set follows from.

  `sha256` is the digest of the others.
  """
  plain = settings_lib.to_mapping(settings)
  # Where files lie is no matter: what they hold is.
  for name in ("teacher", "inputs", "exclude", "vocab_file"):
    del plain[name]
  digests: dict[str, Any] = {
      "teacher": [_of_teacher(path) for path in settings.teacher],
      "inputs": _of_sources(sources(settings)),
      "exclude": _of_sources(_excluded(settings)),
      "vocabulary": word_piece.vocabulary.sha256,
      "settings": plain,
  }
  return {**digests, "sha256": fingerprint.of_value(digests)}


def require_same(run_dir: pathlib.Path, plan: dict[str, Any]) -> None:
  """Raises InputError if a directory was begun with another plan."""
  path = run_dir / _NAME
  if not path.exists():
    return
  try:
    old = json.loads(path.read_text(encoding="utf-8"))
  except ValueError as error:
    raise errors.InputError(f"{path}: not valid JSON: {error}.") from None
  if not isinstance(old, dict):
    raise errors.InputError(f"{path}: expected an object.")
  changed = [
      shown for name, shown in _SHOWN.items() if old.get(name) != plan[name]
  ]
  if changed:
    raise errors.InputError(
        f"run_dir: {run_dir} was begun with another {' and '.join(changed)}: "
        "the content has changed since. Choose another run_dir."
    )


def write(run_dir: pathlib.Path, plan: dict[str, Any]) -> None:
  """Writes what `require_same` compares with."""
  run_dir_lib.write_atomically(run_dir / _NAME, json.dumps(plan, indent=2))


def remove(run_dir: pathlib.Path) -> None:
  """Removes the plan, and the vocabulary beside it."""
  (run_dir / _NAME).unlink()
  (run_dir / "vocab.txt").unlink()


def _excluded(
    settings: label_config.LabelConfig,
) -> Sequence[transfer_sources.Source]:
  if not settings.exclude:
    return []
  return transfer_sources.expand(settings.exclude, "exclude")


def _of_teacher(path: str) -> str:
  """Returns the digest of a teacher's files; of a TF-Hub handle itself."""
  if path.startswith("https://"):
    return path
  folder = pathlib.Path(path)
  if (folder / run_dir_lib.CONFIG_FILE).is_file():
    # Logs and checkpoints of a run are no part of its model.
    for name in detect.RUN_MODELS:
      if (folder / name).is_dir():
        return _digest(folder / name)
  if not folder.exists():
    # A checkpoint by the prefix of its files.
    return fingerprint.of_value([
        fingerprint.sha256_of_file(file)
        for file in sorted(folder.parent.glob(folder.name + ".*"))
    ])
  return _digest(folder)


def _of_sources(
    sources: Sequence[transfer_sources.Source],
) -> list[list[Any]]:
  return [[source.entry, _of_source(source.path)] for source in sources]


def _of_source(path: str) -> str:
  if tfds_name.is_one(path):
    from pd_tf.data import tfds_source

    # TFDS checks what it downloads; a version has the same rows for ever.
    return f"{path} {tfds_source.num_rows(path, 'inputs')}"
  return _digest(pathlib.Path(path))


def _digest(path: pathlib.Path) -> str:
  if path.is_file():
    return fingerprint.sha256_of_file(path)
  return fingerprint.of_value([
      [str(file.relative_to(path)), fingerprint.sha256_of_file(file)]
      for file in sorted(path.rglob("*"))
      if file.is_file()
  ])
