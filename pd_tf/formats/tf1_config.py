"""The shape of the encoder in a TF1 TF-Hub module."""

import pathlib
import re

from absl import logging
from tensorflow.core.framework import graph_pb2

from pd_tf.config import encoder
from pd_tf.config import errors
from pd_tf.formats import canonical
from pd_tf.formats import config_file
from pd_tf.formats import saved_model
from pd_tf.formats import tf1_graph

GRAPH_NAME = "saved_model.pb"

# Modules that others export can have the configuration as one more asset.
_CONFIGS = (saved_model.CONFIG, f"assets/{config_file.NAME}")

# Of all models of google-research/bert.
_HEAD_SIZE = 64


def read(
    directory: pathlib.Path,
    graph: graph_pb2.GraphDef,
    shapes: canonical.Shapes,
    variables: pathlib.Path,
) -> encoder.EncoderConfig:
  """Returns what a bert_config.json says, or else variables and graph show.

  Args:
    directory: The module.
    graph: Its graph.
    shapes: Name to shape of its variables.
    variables: Their file, for messages.

  Raises:
    InputError: The file is damaged or describes another encoder than that of
      the graph, or neither shows an encoder.
  """
  for name in _CONFIGS:
    if (directory / name).exists():
      config = config_file.read(directory / name)
      _require_computed(config, graph, directory / name)
      return config
  return _shown(graph, shapes, directory / GRAPH_NAME, variables)


def _require_computed(
    config: encoder.EncoderConfig, graph: graph_pb2.GraphDef, path: pathlib.Path
) -> None:
  activation = tf1_graph.activation(graph)
  if activation != config.hidden_act:
    raise errors.InputError(
        f"{path}: hidden_act must be what {GRAPH_NAME} computes "
        f"({activation or 'no GELU'}), was {config.hidden_act!r}."
    )
  heads = tf1_graph.num_heads(graph, config.hidden_size)
  if heads not in (None, config.num_heads):
    raise errors.InputError(
        f"{path}: num_attention_heads must be the {heads} of {GRAPH_NAME}, "
        f"was {config.num_heads}."
    )


def _shown(
    graph: graph_pb2.GraphDef,
    shapes: canonical.Shapes,
    path: pathlib.Path,
    variables: pathlib.Path,
) -> encoder.EncoderConfig:
  """Returns what is shown; rates of dropout are those of released models."""
  activation = tf1_graph.activation(graph)
  if activation is None:
    raise errors.InputError(
        f"{path}: expected a BERT, found a graph that computes no GELU."
    )

  def sizes(name: str) -> tuple[int, ...]:
    shape = shapes.get(name, ())
    if len(shape) != 2 or not all(shape):
      raise errors.InputError(
          f"{variables}: expected a matrix {name}, found "
          + (f"shape {list(shape)}." if name in shapes else "none.")
      )
    return shape

  vocab_size, hidden = sizes("bert/embeddings/word_embeddings")
  inner = sizes("bert/encoder/layer_0/intermediate/dense/kernel")[1]
  layers = [re.match(r"bert/encoder/layer_(\d+)/", name) for name in shapes]
  return encoder.EncoderConfig(
      num_layers=len({match[1] for match in layers if match}),
      hidden_size=hidden,
      head_size=_head_size(graph, hidden, path),
      intermediate_size=None if inner == 4 * hidden else inner,
      vocab_size=vocab_size,
      max_positions=sizes("bert/embeddings/position_embeddings")[0],
      type_vocab_size=sizes("bert/embeddings/token_type_embeddings")[0],
      hidden_act=activation,
      layer_norm_epsilon=tf1_graph.layer_norm_epsilon(graph) or 1e-12,
  )


def _head_size(
    graph: graph_pb2.GraphDef, hidden_size: int, path: pathlib.Path
) -> int:
  heads = tf1_graph.num_heads(graph, hidden_size)
  if heads is not None:
    return hidden_size // heads
  if hidden_size % _HEAD_SIZE:
    raise errors.InputError(
        f"{path}: shows no number of heads, and hidden_size ({hidden_size}) "
        f"is no multiple of {_HEAD_SIZE}, the size of a released model's."
    )
  logging.warning(
      "%s: shows no number of heads; taken to be of size %d.",
      path,
      _HEAD_SIZE,
  )
  return _HEAD_SIZE
