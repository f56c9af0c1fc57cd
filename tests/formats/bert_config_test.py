"""bert_config.json to and from the encoder's settings."""

import math
import pathlib

import pytest

from pd_tf.config import encoder
from pd_tf.config import errors
from pd_tf.formats import bert_config

_PATH = pathlib.Path("m/bert_config.json")

# The released Mini's.
_MINI = {
    "hidden_size": 256,
    "hidden_act": "gelu",
    "initializer_range": 0.02,
    "vocab_size": 30522,
    "hidden_dropout_prob": 0.1,
    "num_attention_heads": 4,
    "type_vocab_size": 2,
    "max_position_embeddings": 512,
    "num_hidden_layers": 4,
    "intermediate_size": 1024,
    "attention_probs_dropout_prob": 0.1,
}


def _read(values):
  return bert_config.from_json(
      values, _PATH, {"gelu": "gelu", "gelu_erf": "gelu_erf"}, "epsilon"
  )


def test_mini_is_written_as_released():
  config = encoder.EncoderConfig(num_layers=4, hidden_size=256)
  values = bert_config.to_json(config)
  assert list(values.items()) == list(_MINI.items())


def test_mini_is_read():
  assert _read(_MINI) == encoder.EncoderConfig(num_layers=4, hidden_size=256)


def test_other_sizes_are_kept():
  config = encoder.EncoderConfig(
      num_layers=3, hidden_size=48, head_size=12, intermediate_size=50,
      vocab_size=99, max_positions=17, type_vocab_size=3,
      hidden_act="gelu_erf", hidden_dropout=0.0, attention_dropout=0.25,
      initializer_range=0.5,
  )  # fmt: skip
  values = bert_config.to_json(config)
  assert values["num_attention_heads"] == 4
  assert values["hidden_act"] == "gelu_erf"
  assert _read(values) == config


def test_epsilon_is_written_only_where_it_differs():
  config = encoder.EncoderConfig(layer_norm_epsilon=1e-6)
  assert bert_config.to_json(config)["layer_norm_epsilon"] == 1e-6
  assert _read({**_MINI, "epsilon": 1e-5}).layer_norm_epsilon == 1e-5


def test_unknown_keys_are_ignored():
  assert _read({**_MINI, "pooler_type": "first_token"}) == _read(_MINI)


@pytest.mark.parametrize(
    "key,value,message",
    [
        ("hidden_size", "256", "hidden_size must be an integer .* '256'"),
        ("num_hidden_layers", 0, "num_hidden_layers must .* was 0"),
        ("vocab_size", True, "vocab_size must be an integer .* True"),
        ("num_attention_heads", 3, r"hidden_size \(256\) must be a multiple"),
        ("hidden_act", "relu", "hidden_act must be one of gelu, .* 'relu'"),
        ("hidden_act", ["gelu"], r"hidden_act must be one of .* \['gelu'\]"),
        ("hidden_dropout_prob", 1.5, r"hidden_dropout \(1.5\) must be in"),
        ("initializer_range", None, "initializer_range must be a number"),
        ("num_hidden_layers", 10**9, "num_hidden_layers must be at most 1000"),
        ("initializer_range", math.nan, "initializer_range must be a finite"),
        pytest.param(
            "initializer_range", 10**400, "initializer_range must be a finite",
            id="more than a float",
        ),
        ("attention_probs_dropout_prob", -1, "attention_.* must be a finite"),
    ],
)
def test_bad_value_is_named(key, value, message):
  with pytest.raises(errors.InputError, match=f"^{_PATH}: {message}"):
    _read({**_MINI, key: value})


def test_missing_key_is_named():
  values = {k: v for k, v in _MINI.items() if k != "type_vocab_size"}
  with pytest.raises(
      errors.InputError, match="type_vocab_size must .*, is not there"
  ):
    _read(values)
