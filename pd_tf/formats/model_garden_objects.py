"""The objects of Model Garden that restore a checkpoint, as a graph to write.

A checkpoint is restored along the names of attributes, so that one graph
serves whatever object has some of them. Two rules of TensorFlow shape it: an
object of the graph is restored into one object of the program only, and two
objects of the graph cannot share a tensor. So `model`, which may be a
pretrainer or a classifier as well as an encoder, is another object than
`encoder`, with the same layers below. And a head's pooler is another one than
the encoder's: the same numbers, stored a second time where there is a head.
"""

from collections.abc import Mapping

import numpy as np

from pd_tf.config import pretrained
from pd_tf.formats import canonical
from pd_tf.formats import model_garden_names
from pd_tf.formats import model_garden_weights
from pd_tf.formats import object_graph

TASK_HEAD = "sentence_prediction"

_POOLER = model_garden_names.POOLER_SCOPE
_MASKED_LM = "cls/predictions"
_NEXT_SENTENCE = "cls/seq_relationship"

# Attributes of TransformerEncoderBlock and of its MultiHeadAttention.
_BLOCK = {
    "_attention_layer_norm": "attention/output/LayerNorm",
    "_intermediate_dense": "intermediate/dense",
    "_output_dense": "output/dense",
    "_output_layer_norm": "output/LayerNorm",
}
_ATTENTION = {
    "_query_dense": "attention/self/query",
    "_key_dense": "attention/self/key",
    "_value_dense": "attention/self/value",
    "_output_dense": "attention/output/dense",
}


def build(model: pretrained.Pretrained) -> object_graph.Node:
  """Returns what a tf.train.Checkpoint of the model would be.

  Its attributes: `encoder`, `masked_lm`, `next_sentence.pooler_dense` and
  `sentence_prediction.pooler_dense` are those of `checkpoint_items`; `model` is
  an encoder, BertPretrainerV2 or BertClassifier.
  """
  nodes = _Nodes(model)
  encoder = nodes.encoder()
  whole = object_graph.Node(dict(encoder.children))
  # tf.train.Checkpoint.restore wants it.
  counter = object_graph.Node(
      name="save_counter", tensor=np.array(1, np.int64)
  )
  root = object_graph.Node(
      {"encoder": encoder, "model": whole, "save_counter": counter}
  )
  # Those of a functional encoder, which is what there was before BertEncoderV2.
  # Not of `model`: in a classifier, they are those of the classifier.
  encoder.children |= _numbered(encoder)
  whole.children |= {"encoder_network": encoder, "_network": encoder}
  if _MASKED_LM + "/output_bias" in model.weights:
    root.children["masked_lm"] = nodes.masked_lm()
    whole.children["masked_lm"] = root.children["masked_lm"]
  if _NEXT_SENTENCE + "/output_weights" in model.weights:
    head = nodes.head(
        "bert/" + model_garden_weights.NEXT_SENTENCE_HEAD, _NEXT_SENTENCE + "/"
    )
    whole.children["classification_heads"] = object_graph.Node({"0": head})
    _add_pooler(root, model_garden_weights.NEXT_SENTENCE_HEAD, head)
  if canonical.TASK_WEIGHTS in model.weights:
    whole.children["classifier"] = nodes.head(TASK_HEAD, "")
    _add_pooler(root, TASK_HEAD, whole.children["classifier"])
  return root


class _Nodes:
  """Makes nodes of a model's weights, each variable once."""

  def __init__(self, model: pretrained.Pretrained):
    self._config = model.encoder
    self._weights: Mapping[str, np.ndarray] = model.weights
    self._names = {
        stored.released: stored.name
        for part in (canonical.ENCODER, canonical.POOLER, canonical.MASKED_LM)
        for stored in model_garden_names.layout(model.encoder, part)
    }
    self._made: dict[str, object_graph.Node] = {}
    # No model has two heads that share it.
    self._head_pooler: object_graph.Node | None = None

  def encoder(self) -> object_graph.Node:
    """Returns the attributes of BertEncoderV2, which BertEncoder has too."""
    positions = self._variable("bert/embeddings/position_embeddings")
    layers = {
        str(index): self._block(f"bert/encoder/layer_{index}")
        for index in range(self._config.num_layers)
    }
    children = {
        "_embedding_layer": self._table("bert/embeddings/word_embeddings"),
        "_position_embedding_layer": object_graph.Node(
            {"embeddings": positions, "_position_embeddings": positions}
        ),
        "_type_embedding_layer": self._table(
            "bert/embeddings/token_type_embeddings"
        ),
        "_embedding_norm_layer": self._layer("bert/embeddings/LayerNorm"),
        "_transformer_layers": object_graph.Node(layers),
    }
    if f"{_POOLER}/kernel" in self._weights:
      children["_pooler_layer"] = self._layer(_POOLER)
    return object_graph.Node(children)

  def masked_lm(self) -> object_graph.Node:
    """Returns the attributes of layers.MaskedLM."""
    bias = self._variable(f"{_MASKED_LM}/output_bias")
    return object_graph.Node({
        "embedding_table": self._variable("bert/embeddings/word_embeddings"),
        "dense": self._layer(f"{_MASKED_LM}/transform/dense"),
        "layer_norm": self._layer(f"{_MASKED_LM}/transform/LayerNorm"),
        "output_bias/bias": bias,
        "bias": bias,
    })

  def head(self, name: str, scope: str) -> object_graph.Node:
    """Returns the attributes of layers.ClassificationHead.

    Args:
      name: What the variables' names begin with.
      scope: What the released names of its weights begin with.
    """
    kernel = np.ascontiguousarray(self._weights[f"{scope}output_weights"].T)
    bias = self._weights[f"{scope}output_bias"]
    children = {
        "out_proj": _dense(f"{name}/logits", kernel, bias)
    }
    if self._head_pooler is None and f"{_POOLER}/kernel" in self._weights:
      self._head_pooler = _dense(
          f"{name}/pooler_dense",
          self._weights[f"{_POOLER}/kernel"],
          self._weights[f"{_POOLER}/bias"],
      )
    if self._head_pooler is not None:
      children["dense"] = self._head_pooler
    return object_graph.Node(children)

  def _block(self, scope: str) -> object_graph.Node:
    attention = {
        attribute: self._layer(f"{scope}/{name}")
        for attribute, name in _ATTENTION.items()
    }
    return object_graph.Node({
        "_attention_layer": object_graph.Node(attention),
        **{
            attribute: self._layer(f"{scope}/{name}")
            for attribute, name in _BLOCK.items()
        },
    })

  def _table(self, name: str) -> object_graph.Node:
    return object_graph.Node({"embeddings": self._variable(name)})

  def _layer(self, scope: str) -> object_graph.Node:
    return object_graph.Node({
        leaf: self._variable(f"{scope}/{leaf}")
        for leaf in ("kernel", "bias", "gamma", "beta")
        if f"{scope}/{leaf}" in self._weights
    })

  def _variable(self, name: str) -> object_graph.Node:
    if name not in self._made:
      tensor = model_garden_names.stored(
          name, self._weights[name], self._config
      )
      self._made[name] = object_graph.Node(
          name=self._names[name], tensor=tensor
      )
    return self._made[name]


def _dense(
    name: str, kernel: np.ndarray, bias: np.ndarray
) -> object_graph.Node:
  return object_graph.Node({
      "kernel": object_graph.Node(name=f"{name}/kernel", tensor=kernel),
      "bias": object_graph.Node(name=f"{name}/bias", tensor=bias),
  })


def _numbered(encoder: object_graph.Node) -> dict[str, object_graph.Node]:
  """Returns the layers as a functional model numbers them."""
  layers = [
      encoder.children[name]
      for name in (
          "_embedding_layer", "_position_embedding_layer",
          "_type_embedding_layer", "_embedding_norm_layer",
      )
  ]
  layers += encoder.children["_transformer_layers"].children.values()
  if "_pooler_layer" in encoder.children:
    layers.append(encoder.children["_pooler_layer"])
  return {
      f"layer_with_weights-{index}": layer for index, layer in enumerate(layers)
  }


def _add_pooler(
    root: object_graph.Node, head_name: str, head: object_graph.Node
) -> None:
  if "dense" in head.children:
    pooler = head.children["dense"]
    root.children[f"{head_name}.pooler_dense"] = pooler
