"""TensorFlow 2 SavedModels of BERT encoders, as TF-Hub serves them.

Those that tf-models-official exports (`export_tfhub_lib.export_model`), in
2019 as today, those of pd_tf, and Keras models around one of them. Variables
are found by name, the graph is not run. serving/encoder.py writes them.
"""

from collections.abc import Collection
import pathlib

from pd_tf.config import encoder
from pd_tf.config import errors
from pd_tf.config import pretrained
from pd_tf.formats import canonical
from pd_tf.formats import config_file
from pd_tf.formats import model_garden_config
from pd_tf.formats import model_garden_weights
from pd_tf.formats import object_graph
from pd_tf.formats import saved_model
from pd_tf.formats import saved_model_graph
from pd_tf.formats import task_file
from pd_tf.formats import vocabulary_file

OWN_FILES = saved_model.OWN_FILES

_VARIABLES = "variables/variables"

_CARRIED = (canonical.ENCODER, canonical.POOLER, canonical.MASKED_LM)


def found_in(path: pathlib.Path) -> bool:
  """Returns whether a directory has a SavedModel that is no TF1 module."""
  return (
      (path / saved_model_graph.NAME).is_file()
      and not (path / saved_model.TF1_MODULE).exists()
  )


def carried(parts: Collection[str]) -> list[str]:
  """Returns which parts of a model the format keeps."""
  return [part for part in parts if part in _CARRIED]


def read(path: str | pathlib.Path) -> pretrained.Pretrained:
  """Returns the encoder of a SavedModel.

  Its configuration is that of pd_tf's own assets.extra/bert_config.json, or
  what variables and graph tell. Other variables are listed in the log.

  Args:
    path: The directory.

  Raises:
    InputError: A file is missing or damaged, or there is no encoder, or more
      than one.
  """
  path = pathlib.Path(path)
  graph = saved_model_graph.Graph(path)
  found = model_garden_weights.find(path / _VARIABLES, path)
  config = _config(path, graph, found)
  weights = model_garden_weights.read(found, config, path)
  vocabulary = _vocabulary(graph, config)
  return pretrained.Pretrained(
      encoder=config,
      weights=weights,
      vocabulary=vocabulary,
      lower_case=_lower_case(path, found, vocabulary),
      task=task_file.read_if_there(
          path / task_file.NAME, found.num_outputs, path
      ),
  )


def _config(
    path: pathlib.Path,
    graph: saved_model_graph.Graph,
    found: model_garden_weights.Found,
) -> encoder.EncoderConfig:
  if (path / saved_model.CONFIG).exists():
    return config_file.read(path / saved_model.CONFIG)
  graph.require_norm_last()
  return model_garden_config.from_shapes(
      found, path, graph.hidden_act(), graph.layer_norm_epsilon()
  )


def _vocabulary(
    graph: saved_model_graph.Graph, config: encoder.EncoderConfig
) -> tuple[str, ...]:
  vocab_file = graph.vocab_file()
  if vocab_file is None:
    return ()
  return vocabulary_file.read(vocab_file, config.vocab_size)


def _lower_case(
    path: pathlib.Path,
    found: model_garden_weights.Found,
    vocabulary: tuple[str, ...],
) -> bool:
  for variable in object_graph.read(found.stored):
    if "do_lower_case" in variable.attributes:
      value = found.stored.read_as_is(variable.key)
      if value.dtype != bool or value.shape:
        raise errors.InputError(
            f"{path}: do_lower_case must be one boolean, is {value.dtype} "
            f"{list(value.shape)}."
        )
      return bool(value)
  return config_file.read_lower_case(path / saved_model.CONFIG, vocabulary)
