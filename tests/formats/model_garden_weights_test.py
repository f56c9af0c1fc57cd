"""Which variable of a Model Garden checkpoint is which tensor of BERT."""

import logging

import numpy as np
import pytest

from pd_tf.config import encoder
from pd_tf.config import errors
from pd_tf.formats import canonical
from pd_tf.formats import model_garden_names
from pd_tf.formats import model_garden_weights
from pd_tf.formats import object_graph

_TINY = encoder.EncoderConfig(
    num_layers=1, hidden_size=4, head_size=2, vocab_size=7, max_positions=3
)
_POOLER = "bert/pooler/dense/kernel"


def _write(prefix, parts, others):
  """Writes variables of parts of an encoder, and others by full name."""
  generator = np.random.default_rng(0)
  variables = {
      stored.name: generator.standard_normal(stored.shape)
      for part in parts
      for stored in model_garden_names.layout(_TINY, part)
  } | others
  nodes = {
      str(number): object_graph.Node(
          name=name, tensor=np.asarray(value, np.float32)
      )
      for number, (name, value) in enumerate(variables.items())
  }
  object_graph.write(prefix, object_graph.Node(nodes))


def _head(name, num_outputs, pooler=None):
  head = {
      f"{name}/logits/kernel": np.full([4, num_outputs], 5),
      f"{name}/logits/bias": np.full([num_outputs], 6),
  }
  if pooler is not None:
    head[f"{name}/pooler_dense/kernel"] = np.full([4, 4], pooler)
    head[f"{name}/pooler_dense/bias"] = np.full([4], pooler)
  return head


def _read(tmp_path, others, parts=(canonical.ENCODER, canonical.POOLER)):
  _write(tmp_path / "ckpt", parts, others)
  found = model_garden_weights.find(tmp_path / "ckpt", "here")
  return found, model_garden_weights.read(found, _TINY, "here")


def test_the_old_head_is_the_tasks_where_nothing_is_pretrained(tmp_path):
  found, weights = _read(tmp_path, _head("predictions/transform", 2))
  assert found.num_outputs == 2
  assert weights["output_weights"].tolist() == [[5] * 4] * 2
  assert "cls/seq_relationship/output_weights" not in weights


def test_the_old_head_is_next_sentence_beside_a_masked_lm(tmp_path):
  parts = (canonical.ENCODER, canonical.POOLER, canonical.MASKED_LM)
  found, weights = _read(tmp_path, _head("predictions/transform", 2), parts)
  assert found.num_outputs == 0
  assert weights["cls/seq_relationship/output_bias"].tolist() == [6, 6]
  assert "output_weights" not in weights


def test_takes_the_pooler_of_the_tasks_head(tmp_path, caplog):
  heads = _head("next_sentence", 2, 8) | _head("my_task", 3, 9)
  with caplog.at_level(logging.WARNING):
    found, weights = _read(tmp_path, heads)
  assert found.num_outputs == 3
  assert weights[_POOLER].tolist() == [[9] * 4] * 4
  assert weights["cls/seq_relationship/output_weights"].shape == (2, 4)
  (line,) = caplog.messages
  assert line == (
      "here: ignored pooler_transform/kernel, next_sentence/pooler_dense/"
      "kernel, pooler_transform/bias, next_sentence/pooler_dense/bias."
  )


def test_a_task_without_pooler_of_its_own_has_the_encoders(tmp_path):
  heads = _head("next_sentence", 2, 8) | _head("my_task", 3)
  _, weights = _read(tmp_path, heads)
  assert not (weights[_POOLER] == 8).any()


def test_takes_next_sentences_pooler_where_there_is_no_task(tmp_path):
  # All that `checkpoint_items` holds of the head.
  pooler = {
      name: value
      for name, value in _head("next_sentence", 2, 8).items()
      if "pooler" in name
  }
  found, weights = _read(tmp_path, pooler)
  assert weights[_POOLER].tolist() == [[8] * 4] * 4
  assert "cls/seq_relationship/output_weights" not in weights
  assert found.num_heads == 2


def test_ignores_the_heads_of_several_tasks(tmp_path, caplog):
  with caplog.at_level(logging.WARNING):
    found, weights = _read(tmp_path, _head("one", 2) | _head("two", 3))
  assert found.num_outputs == 0
  assert not any("output_weights" in name for name in weights)
  assert caplog.messages == [
      "here: ignored one/logits/bias, one/logits/kernel, two/logits/bias, "
      "two/logits/kernel."
  ]


def test_refuses_half_a_head(tmp_path):
  half = {"my_task/logits/kernel": np.ones([4, 3])}
  with pytest.raises(errors.InputError, match="here: .*output_bias"):
    _read(tmp_path, half)


def test_refuses_an_encoder_with_more_to_it(tmp_path):
  with pytest.raises(errors.InputError, match="here: .*layer_0/gate/kernel"):
    _read(tmp_path, {"transformer/layer_0/gate/kernel": np.ones([4])})
