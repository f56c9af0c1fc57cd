"""The same weights give the same outputs as tf-models-official's BERT."""

import re

import numpy as np
from official.nlp.modeling import models
from official.nlp.modeling import networks
import pytest
import tensorflow as tf
import tf_keras

from pd_tf.config import encoder as encoder_config
from pd_tf.modeling import bert
from pd_tf.modeling import initialization
from pd_tf.modeling import rows as rows_lib


def _config(**changes):
  values = {
      "num_layers": 3, "hidden_size": 32, "head_size": 8, "vocab_size": 50,
      "max_positions": 24,
  }
  return encoder_config.EncoderConfig(**(values | changes))


def _ours(config, seed=0):
  model = bert.build(config, pretraining_heads=True)
  weights = initialization.random_weights(model.canonical_weights(), 0.2, seed)
  generator = np.random.default_rng(seed)
  for name, array in weights.items():
    if array.ndim == 1:
      weights[name] = array + generator.normal(0, 0.1, array.shape)
  assert model.load_canonical_weights(weights) == []
  return model, model.canonical_weights()


def _inputs(config, batch=3, length=16, seed=1):
  generator = np.random.default_rng(seed)
  ids = generator.integers(0, config.vocab_size, (batch, length))
  mask = np.ones_like(ids)
  mask[0, length // 2 :] = 0
  types = np.zeros_like(ids)
  types[:, length // 3 :] = 1
  return tuple(tf.constant(a, tf.int32) for a in (ids, mask, types))


def _theirs(config, weights):
  activation = {
      "gelu": lambda x: tf_keras.activations.gelu(x, approximate=True),
      "gelu_erf": lambda x: tf_keras.activations.gelu(x, approximate=False),
  }[config.hidden_act]
  encoder = networks.BertEncoderV2(
      vocab_size=config.vocab_size,
      hidden_size=config.hidden_size,
      num_layers=config.num_layers,
      num_attention_heads=config.num_heads,
      inner_dim=config.feed_forward_size,
      inner_activation=activation,
      max_sequence_length=config.max_positions,
      type_vocab_size=config.type_vocab_size,
  )
  encoder(encoder.inputs)
  for variable in encoder.trainable_variables:
    variable.assign(
        np.reshape(weights[_canonical(variable.name)], variable.shape)
    )
  return encoder


def _canonical(name):
  """Model Garden's variable name to the released one."""
  name = re.sub(r"^bert_encoder_v2(_\d+)?/", "", name.split(":")[0])
  for old, new in (
      ("word_embeddings/embeddings", "bert/embeddings/word_embeddings"),
      ("position_embedding/embeddings", "bert/embeddings/position_embeddings"),
      ("type_embeddings/embeddings", "bert/embeddings/token_type_embeddings"),
      ("embeddings/layer_norm", "bert/embeddings/LayerNorm"),
      ("pooler_transform", "bert/pooler/dense"),
      ("transformer/layer_", "bert/encoder/layer_"),
      ("self_attention/attention_output", "attention/output/dense"),
      ("self_attention_layer_norm", "attention/output/LayerNorm"),
      ("self_attention/", "attention/self/"),
      ("output_layer_norm", "output/LayerNorm"),
  ):
    if old in name:
      name = name.replace(old, new)
  if "layer_" in name and "attention" not in name:
    name = name.replace("/intermediate/", "/intermediate/dense/")
    if "LayerNorm" not in name:
      name = name.replace("/output/", "/output/dense/")
  return name


def _assert_close(ours, theirs):
  ours, theirs = np.asarray(ours), np.asarray(theirs)
  scale = np.abs(theirs).max()
  np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize(
    "changes",
    [{}, {"hidden_act": "gelu_erf"}, {"intermediate_size": 40},
     {"head_size": 16, "num_layers": 1}],
)
def test_encoder_is_bert_encoder_v2(changes):
  config = _config(**changes)
  model, weights = _ours(config)
  ids, mask, types = _inputs(config)
  encoded = model.encode(rows_lib.padded(ids, mask, types))
  theirs = _theirs(config, weights)(
      {"input_word_ids": ids, "input_mask": mask, "input_type_ids": types}
  )
  _assert_close(encoded.sequence, theirs["sequence_output"])
  _assert_close(encoded.pooled[:, 0], theirs["pooled_output"])
  for ours, other in zip(
      encoded.layers, theirs["encoder_outputs"], strict=True
  ):
    _assert_close(ours, other)


def test_masked_lm_logits_are_bert_pretrainer_v2s():
  config = _config()
  model, weights = _ours(config)
  ids, mask, types = _inputs(config)
  positions = tf.constant([[1, 3], [0, 9], [2, 15]])
  encoder = _theirs(config, weights)
  head = models.BertPretrainerV2(
      encoder,
      mlm_activation=lambda x: tf_keras.activations.gelu(x, approximate=True),
  )
  inputs = {
      "input_word_ids": ids, "input_mask": mask, "input_type_ids": types,
      "masked_lm_positions": positions,
  }
  head(inputs)
  prefix = "cls/predictions/"
  for variable in head.masked_lm.trainable_variables:
    name = variable.name.split(":")[0]
    for old, new in (
        ("output_bias/bias", "output_bias"),
        ("transform/dense/", "transform/dense/"),
        ("transform/LayerNorm/", "transform/LayerNorm/"),
    ):
      if old in name:
        variable.assign(weights[prefix + new + name.split(old)[1]])
  sequence = model.encode(rows_lib.padded(ids, mask, types)).sequence
  _assert_close(
      model.masked_lm_logits(sequence, positions),
      head(inputs)["mlm_logits"],
  )
