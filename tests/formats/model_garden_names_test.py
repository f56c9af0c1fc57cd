"""Names and shapes of Model Garden's variables, there and back."""

import hypothesis
from hypothesis import strategies
import numpy as np
import pytest

from pd_tf.config import encoder
from pd_tf.formats import canonical
from pd_tf.formats import model_garden_names

_CONFIG = encoder.EncoderConfig(
    num_layers=1, hidden_size=6, head_size=3, intermediate_size=5,
    vocab_size=7, max_positions=4,
)

# Of tf-models-official 2.20: `variables` of an export with with_mlm=True, in
# its order.
_VARIABLES = [
    ("word_embeddings/embeddings", (7, 6)),
    ("position_embedding/embeddings", (4, 6)),
    ("type_embeddings/embeddings", (2, 6)),
    ("embeddings/layer_norm/gamma", (6,)),
    ("embeddings/layer_norm/beta", (6,)),
    ("transformer/layer_0/self_attention/query/kernel", (6, 2, 3)),
    ("transformer/layer_0/self_attention/query/bias", (2, 3)),
    ("transformer/layer_0/self_attention/key/kernel", (6, 2, 3)),
    ("transformer/layer_0/self_attention/key/bias", (2, 3)),
    ("transformer/layer_0/self_attention/value/kernel", (6, 2, 3)),
    ("transformer/layer_0/self_attention/value/bias", (2, 3)),
    ("transformer/layer_0/self_attention/attention_output/kernel", (2, 3, 6)),
    ("transformer/layer_0/self_attention/attention_output/bias", (6,)),
    ("transformer/layer_0/self_attention_layer_norm/gamma", (6,)),
    ("transformer/layer_0/self_attention_layer_norm/beta", (6,)),
    ("transformer/layer_0/intermediate/kernel", (6, 5)),
    ("transformer/layer_0/intermediate/bias", (5,)),
    ("transformer/layer_0/output/kernel", (5, 6)),
    ("transformer/layer_0/output/bias", (6,)),
    ("transformer/layer_0/output_layer_norm/gamma", (6,)),
    ("transformer/layer_0/output_layer_norm/beta", (6,)),
    ("pooler_transform/kernel", (6, 6)),
    ("pooler_transform/bias", (6,)),
    ("bert/cls/predictions/output_bias/bias", (7,)),
    ("bert/cls/predictions/transform/dense/kernel", (6, 6)),
    ("bert/cls/predictions/transform/dense/bias", (6,)),
    ("bert/cls/predictions/transform/LayerNorm/gamma", (6,)),
    ("bert/cls/predictions/transform/LayerNorm/beta", (6,)),
]
_PARTS = (canonical.ENCODER, canonical.POOLER, canonical.MASKED_LM)


def _layout(config):
  return [
      stored
      for part in _PARTS
      for stored in model_garden_names.layout(config, part)
  ]


def test_layout_is_model_gardens():
  assert [
      (stored.name, stored.shape) for stored in _layout(_CONFIG)
  ] == _VARIABLES


@hypothesis.given(
    heads=strategies.integers(1, 4),
    head_size=strategies.integers(1, 4),
    layers=strategies.integers(1, 12),
)
def test_there_and_back(heads, head_size, layers):
  config = encoder.EncoderConfig(
      num_layers=layers, hidden_size=heads * head_size, head_size=head_size,
      vocab_size=7, max_positions=4,
  )
  shapes = {
      name: shape
      for part in _PARTS
      for name, shape in canonical.groups(config)[part].items()
  }
  found = {
      model_garden_names.released_name(f"prefix/{stored.name}:0"):
          model_garden_names.released_shape(stored.released, stored.shape)
      for stored in _layout(config)
  }
  assert found == shapes
  assert [stored.released for stored in _layout(config)] == list(shapes)


def test_stored_keeps_the_order_of_numbers():
  # Head 1, its last unit, of input 4.
  name = "bert/encoder/layer_0/attention/self/query/kernel"
  kernel = np.arange(36, dtype=np.float32).reshape(6, 6)
  stored = model_garden_names.stored(name, kernel, _CONFIG)
  assert stored[4, 1, 2] == kernel[4, 1 * 3 + 2]
  name = "bert/encoder/layer_0/attention/output/dense/kernel"
  stored = model_garden_names.stored(name, kernel, _CONFIG)
  assert stored[1, 2, 4] == kernel[1 * 3 + 2, 4]


@pytest.mark.parametrize(("variable", "released"), [
    ("bert_model/embedding_postprocessor/position_embeddings:0",
     "bert/embeddings/position_embeddings"),
    ("bert_model/embedding_postprocessor/layer_norm/gamma",
     "bert/embeddings/LayerNorm/gamma"),
    ("bert_model/encoder/layer_11/self_attention_output/kernel",
     "bert/encoder/layer_11/attention/output/dense/kernel"),
    ("transformer/layer_3/self_attention_output/bias",
     "bert/encoder/layer_3/attention/output/dense/bias"),
    ("bert_encoder_v2_1/transformer/layer_0/output/kernel",
     "bert/encoder/layer_0/output/dense/kernel"),
    ("a/b/word_embeddings/embeddings_2:0", "bert/embeddings/word_embeddings"),
    ("cls/predictions/output_bias", "cls/predictions/output_bias"),
    ("bert/cls/predictions/output_bias/bias", "cls/predictions/output_bias/x"),
    ("cls_transform/kernel", "bert/pooler/dense/kernel"),
    ("my_word_embeddings/embeddings", None),
    ("transformer/layer_0/output/kernel/m", None),
    ("transformer/layer_x/output/kernel", None),
    ("layer_0/output/kernel", None),
    ("output/kernel", None),
    ("", None),
])
def test_released_name(variable, released):
  found = model_garden_names.released_name(variable)
  assert found == (released and released.removesuffix("/x"))


@pytest.mark.parametrize(("variable", "expected"), [
    ("bert/next_sentence/pooler_dense/kernel:0",
     ("next_sentence", "pooler_dense", "kernel")),
    ("sentence_prediction/logits/bias",
     ("sentence_prediction", "logits", "bias")),
    ("predictions/transform/logits/kernel", ("transform", "logits", "kernel")),
    ("logits/kernel", None),
    ("pooler_transform/kernel", None),
])
def test_head_variable(variable, expected):
  assert model_garden_names.head_variable(variable) == expected


@pytest.mark.parametrize(("variable", "expected"), [
    ("transformer/layer_0/gate/kernel", True),
    ("a/transformer/layer_0/self_attention/pre_softmax_weight", True),
    ("embedding_projection/kernel", True),
    ("transformer/layer_0/output/kernel", False),
    ("score/kernel", False),
    ("layer_0/kernel", False),
])
def test_is_foreign(variable, expected):
  assert model_garden_names.is_foreign(variable) == expected
