"""The 24 sizes at once: finds their models, writes each, lists them."""

from collections.abc import Iterator
from collections.abc import Mapping
import gc
import hashlib
import json
import pathlib
from typing import Any

from absl import logging
import numpy as np
import tqdm

import pd_tf
from pd_tf import writing
from pd_tf.config import encoder as encoder_config
from pd_tf.config import errors
from pd_tf.config import export as export_config
from pd_tf.config import fingerprint
from pd_tf.config import model_names
from pd_tf.config import pretrained
from pd_tf.config import provenance
from pd_tf.config import run_dir
from pd_tf.formats import detect
from pd_tf.modeling import miniatures

MANIFEST = "manifest.json"
TABLE = "README.md"

# What is read of an entry of the manifest.
_KEYS = {
    "path", "format", "num_layers", "hidden_size", "num_parameters", "bytes",
    "model_sha256", "files",
}

Size = tuple[int, int]


def export(settings: export_config.ExportConfig) -> dict[str, Any]:
  """Writes each size in each form; goes on where an earlier one was stopped.

  Args:
    settings: `model` is the directory of the models, `to` is made.

  Returns:
    Path, and models: what the manifest says of each.

  Raises:
    InputError: A size is missing or there twice, a model cannot be read or
      take a form, or `to` holds something else.
  """
  to = pathlib.Path(str(settings.to))
  _require_own(to, settings.overwrite)
  sources = _sources(pathlib.Path(str(settings.model)))
  _require_sizes(sources, settings)
  to.mkdir(parents=True, exist_ok=True)
  entries = _read_manifest(to)
  _write_lists(to, entries)
  total = len(sources) * len(settings.formats)
  with tqdm.tqdm(total=total, unit="model", desc="export") as progress:
    for path in sources.values():
      model = detect.read(path)
      for form in settings.formats:
        progress.set_postfix_str(f"{path.name}, {form}")
        entry = _written(model, path, to, form, settings, entries)
        entries = [e for e in entries if e["path"] != entry["path"]] + [entry]
        _write_lists(to, entries)
        # Traced graphs refer to themselves: they would stay until the end.
        gc.collect()
        progress.update()
  return {"path": str(to), "models": entries}


def _require_own(to: pathlib.Path, overwrite: bool) -> None:
  if not to.exists() or (to / MANIFEST).is_file():
    return
  if not to.is_dir() or (any(to.iterdir()) and not overwrite):
    raise errors.InputError(
        f"to: {to} must be a new or empty directory, or one that holds a "
        f"{MANIFEST}, does not; or add to it with --overwrite."
    )


def _sources(directory: pathlib.Path) -> dict[Size, pathlib.Path]:
  """Returns the models of a directory by size, smallest first."""
  if not directory.is_dir():
    raise errors.InputError(
        f"model: expected a directory of models, got {directory}."
    )
  found: dict[Size, pathlib.Path] = {}
  for path in sorted(directory.iterdir()):
    size = _size(path)
    if size is None:
      logging.info("%s: is no model of a released size.", path)
    elif size in found:
      raise errors.InputError(
          f"model: expected one model of L={size[0]}, H={size[1]}, got "
          f"{found[size].name} and {path.name}."
      )
    else:
      found[size] = path
  return dict(sorted(found.items()))


def _size(path: pathlib.Path) -> Size | None:
  """Returns L and H of a model, None if it is none or of another shape."""
  try:
    kind = detect.detect(path)
  except errors.InputError:
    return None
  # Beside trainings there are runs of other verbs, and such as just began.
  if kind == "run" and not any(
      (path / name).is_dir() for name in detect.RUN_MODELS
  ):
    logging.warning("%s: is a run without a model, left out.", path)
    return None
  shape = detect.read(path).encoder
  size = (shape.num_layers, shape.hidden_size)
  released = encoder_config.EncoderConfig(*size)
  alike = (shape.head_size, shape.feed_forward_size) == (
      released.head_size, released.feed_forward_size
  )
  return size if alike and size in _released() else None


def _released() -> list[Size]:
  return [
      (config.num_layers, config.hidden_size)
      for config in miniatures.configs()
  ]


def _require_sizes(
    sources: Mapping[Size, pathlib.Path], settings: export_config.ExportConfig
) -> None:
  missing = [f"{n}/{h}" for n, h in _released() if (n, h) not in sources]
  if not sources or (missing and not settings.missing_ok):
    raise errors.InputError(
        f"model: expected a model of each of the 24 sizes in {settings.model}, "
        f"found none of L/H = {', '.join(missing)}; --missing_ok writes those "
        "that are there."
    )


def _written(
    model: pretrained.Pretrained,
    source: pathlib.Path,
    to: pathlib.Path,
    form: export_config.Format,
    settings: export_config.ExportConfig,
    entries: list[dict[str, Any]],
) -> dict[str, Any]:
  """Returns the manifest's entry of a written model, new or as it was."""
  path = _place(model, form)
  digest = _sha256(model, form, settings)
  for entry in entries:
    if entry["path"] == str(path) and _is_whole(entry, digest, to):
      return entry
  request = writing.Request(
      form, settings.seq_length, settings.masked_lm, overwrite=True,
      source=str(source),
      command=f"pd-tf export --all_miniatures --model={settings.model} "
      f"--formats={','.join(settings.formats)} --to={settings.to}",
      training=provenance.of(source),
  )  # fmt: skip
  result = writing.write_model(model, to / path, request)
  return {
      "path": str(path),
      "format": form,
      "num_layers": model.encoder.num_layers,
      "hidden_size": model.encoder.hidden_size,
      "num_parameters": result["num_parameters"],
      "bytes": result["bytes"],
      "dropped": result["dropped"],
      "source": str(source),
      "model_sha256": digest,
      "files": list(_files(to, path)),
  }


def _place(
    model: pretrained.Pretrained, form: export_config.Format
) -> pathlib.Path:
  name = model_names.OF_FORMAT[form](model.encoder, model.lower_case)
  return pathlib.Path(form, name + (".zip" if form == "release" else ""))


def _is_whole(
    entry: Mapping[str, Any], model_sha256: str, to: pathlib.Path
) -> bool:
  return entry["model_sha256"] == model_sha256 and all(
      (to / file["path"]).is_file()
      and (to / file["path"]).stat().st_size == file["bytes"]
      for file in entry["files"]
  )


def _sha256(
    model: pretrained.Pretrained,
    form: export_config.Format,
    settings: export_config.ExportConfig,
) -> str:
  """Returns the digest of all that a written model follows from."""
  digest = hashlib.sha256()
  digest.update(
      repr((
          pd_tf.__version__, settings.seq_length, settings.masked_lm,
          model.lower_case, model.vocabulary,
      )).encode()
  )  # fmt: skip
  # Preprocessing is the same for all sizes.
  if form != "preprocess":
    digest.update(repr((model.encoder, model.task)).encode())
    for name in sorted(model.weights):
      digest.update(name.encode())
      digest.update(np.ascontiguousarray(model.weights[name]).data)
  return digest.hexdigest()


def _files(to: pathlib.Path, path: pathlib.Path) -> Iterator[dict[str, Any]]:
  place = to / path
  for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
    if file.is_file():
      yield {
          "path": file.relative_to(to).as_posix(),
          "bytes": file.stat().st_size,
          "sha256": fingerprint.sha256_of_file(file),
      }


def _read_manifest(to: pathlib.Path) -> list[dict[str, Any]]:
  path = to / MANIFEST
  if not path.is_file():
    return []
  try:
    entries = json.loads(path.read_text(encoding="utf-8"))["models"]
    whole = all(_KEYS <= entry.keys() for entry in entries)
  except (ValueError, KeyError, TypeError, AttributeError):
    whole = False
  if not whole:
    raise errors.InputError(
        f"{path}: expected the list of an earlier export, is damaged; remove "
        "it to write all models anew."
    )
  return entries


def _write_lists(to: pathlib.Path, entries: list[dict[str, Any]]) -> None:
  """Writes what there is so far, for people and for programs."""
  manifest = {"pd_tf": pd_tf.__version__, "models": entries}
  run_dir.write_atomically(to / TABLE, _table(entries))
  run_dir.write_atomically(to / MANIFEST, json.dumps(manifest, indent=2))


def _table(entries: list[dict[str, Any]]) -> str:
  rows = "".join(
      f"| {entry['num_layers']} | {entry['hidden_size']} | {entry['format']} "
      f"| {entry['num_parameters']:,} | {entry['bytes']:,} "
      f"| `{entry['path']}` |\n"
      for entry in sorted(
          entries,
          key=lambda e: (e["num_layers"], e["hidden_size"], e["format"]),
      )
  )
  return (
      "# Miniatures of BERT\n\n"
      f"Written by pd_tf {pd_tf.__version__}; `{MANIFEST}` has the sha256 of "
      "each file.\n\n"
      "| L | H | format | parameters | bytes | path |\n"
      "|--:|--:|---|--:|--:|---|\n" + rows
  )
