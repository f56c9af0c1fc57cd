"""A BERT as a TF1 TF-Hub module, as google/small_bert/…/1 on TF-Hub is.

`tfhub_module.pb`, `saved_model.pb`, `variables` and `assets/vocab.txt`; those
that pd_tf wrote have `assets.extra/bert_config.json` besides. The graph is not
run. serving/hub_module.py writes them.
"""

from collections.abc import Collection
from collections.abc import Mapping
import pathlib

from absl import logging
import numpy as np
from tensorflow.core.protobuf import meta_graph_pb2

from pd_tf.config import encoder
from pd_tf.config import errors
from pd_tf.config import pretrained
from pd_tf.formats import canonical
from pd_tf.formats import checkpoint
from pd_tf.formats import config_file
from pd_tf.formats import saved_model
from pd_tf.formats import tf1_config
from pd_tf.formats import tf1_graph
from pd_tf.formats import vocabulary_file

MODULE_NAME = saved_model.TF1_MODULE
OWN_FILES = saved_model.OWN_FILES

# A ModuleDef of tensorflow-hub: `format: FORMAT_V3`, no required features.
_MODULE_DEF = b"\x08\x03"

_VARIABLES = "variables/variables"

_WORD_EMBEDDINGS = "bert/embeddings/word_embeddings"


def found_in(path: pathlib.Path) -> bool:
  """Returns whether a directory holds a TF1 TF-Hub module."""
  names = (MODULE_NAME, tf1_config.GRAPH_NAME)
  return all((path / name).is_file() for name in names)


def carried(parts: Collection[str]) -> list[str]:
  """Returns those of a model's parts that a module keeps.

  No signature of the original modules has use for the other heads.
  """
  kept = (canonical.ENCODER, canonical.POOLER, canonical.MASKED_LM)
  return [part for part in parts if part in kept]


def read(path: str | pathlib.Path) -> pretrained.Pretrained:
  """Returns the model in a TF1 TF-Hub module.

  Args:
    path: The directory.

  Raises:
    InputError: A file is missing or damaged, a tensor of the encoder is
      missing, or files do not fit each other.
  """
  directory = pathlib.Path(path)
  _require_module(directory / MODULE_NAME)
  graph = tf1_graph.read(directory / tf1_config.GRAPH_NAME)
  stored = checkpoint.Checkpoint(directory / _VARIABLES)
  names = _stored_names(stored)
  shapes = {name: stored.shapes[old] for name, old in names.items()}
  config = tf1_config.read(
      directory, graph.graph_def, shapes, directory / _VARIABLES
  )
  weights = _read_weights(stored, names, config, directory)
  vocabulary = vocabulary_file.read(
      directory / "assets" / _vocabulary_name(graph, directory),
      config.vocab_size,
  )
  return pretrained.Pretrained(
      encoder=config,
      weights=weights,
      vocabulary=vocabulary,
      lower_case=_lower_case(graph, directory, vocabulary),
  )


def _require_module(path: pathlib.Path) -> None:
  try:
    content = path.read_bytes()
  except OSError as error:
    raise errors.InputError(
        f"{path}: cannot be read: {error.strerror}."
    ) from None
  if content != _MODULE_DEF:
    raise errors.InputError(
        f"{path}: expected the two bytes {_MODULE_DEF.hex(' ')} of a TF1 "
        f"TF-Hub module, got {content[:8].hex(' ') or 'an empty file'}."
    )


def _stored_names(stored: checkpoint.Checkpoint) -> dict[str, str]:
  """Returns the name in the file of each tensor below the BERT's scope.

  There is none in the original modules; where a module was made of another
  one, it is `module/`.
  """
  tables = [name for name in stored.shapes if name.endswith(_WORD_EMBEDDINGS)]
  if len(tables) != 1:
    raise errors.InputError(
        f"{stored.prefix}: expected one tensor {_WORD_EMBEDDINGS}, found "
        f"{len(tables)} among {len(stored.shapes)} tensors."
    )
  scope = tables[0].removesuffix(_WORD_EMBEDDINGS)
  return {
      name.removeprefix(scope): name
      for name in stored.shapes
      if name.startswith(scope)
  }


def _read_weights(
    stored: checkpoint.Checkpoint,
    names: Mapping[str, str],
    config: encoder.EncoderConfig,
    directory: pathlib.Path,
) -> dict[str, np.ndarray]:
  parts = canonical.groups(config)
  present = canonical.present(
      parts,
      {name: stored.shapes[old] for name, old in names.items()},
      stored.prefix,
  )
  wanted = [name for part in present for name in parts[part]]
  used = {name: names[name] for name in wanted}
  ignored = sorted(stored.shapes.keys() - set(used.values()))
  if ignored:
    logging.warning("%s: ignored %s.", directory, ", ".join(ignored))
  tensors = stored.read(used.values())
  return {name: tensors[old] for name, old in used.items()}


def _vocabulary_name(
    graph: meta_graph_pb2.MetaGraphDef, directory: pathlib.Path
) -> str:
  outputs = graph.signature_def["tokenization_info"].outputs
  names = tf1_graph.asset_names(graph)
  name = names.get(outputs["vocab_file"].name, vocabulary_file.NAME)
  if pathlib.PurePath(name).name != name or name in ("", ".."):
    raise errors.InputError(
        f"{directory / tf1_config.GRAPH_NAME}: the vocabulary must be a file "
        f"in assets, is {name!r}."
    )
  return name


def _lower_case(
    graph: meta_graph_pb2.MetaGraphDef,
    directory: pathlib.Path,
    vocabulary: tuple[str, ...],
) -> bool:
  outputs = graph.signature_def["tokenization_info"].outputs
  value = tf1_graph.constant(graph.graph_def, outputs["do_lower_case"].name)
  if value is None or value.dtype != bool:
    return config_file.read_lower_case(
        directory / saved_model.CONFIG, vocabulary
    )
  return bool(value)
