"""bert_config.json, and the case that it keeps for the vocabulary."""

import json

import pytest

from pd_tf.config import encoder
from pd_tf.config import errors
from pd_tf.config import pretrained
from pd_tf.formats import config_file

_CONFIG = encoder.EncoderConfig(hidden_act="gelu_erf", layer_norm_epsilon=1e-6)


@pytest.mark.parametrize("lower_case", [True, False])
@pytest.mark.parametrize("vocabulary", [("[PAD]", "a"), ("[PAD]", "A"), ()])
def test_there_and_back(tmp_path, lower_case, vocabulary):
  path = tmp_path / "bert_config.json"
  model = pretrained.Pretrained(_CONFIG, {}, vocabulary, lower_case)
  config_file.write(path, model)
  assert config_file.read(path) == _CONFIG
  assert config_file.read_lower_case(path, vocabulary) == lower_case


def test_writes_the_released_keys_alone_where_the_look_is_right(tmp_path):
  path = tmp_path / "bert_config.json"
  model = pretrained.Pretrained(encoder.EncoderConfig(), {}, ("[PAD]", "a"))
  config_file.write(path, model)
  assert "do_lower_case" not in json.loads(path.read_text())


def test_takes_the_look_where_there_is_no_file(tmp_path):
  path = tmp_path / "bert_config.json"
  assert config_file.read_lower_case(path, ("[PAD]", "a"))
  assert not config_file.read_lower_case(path, ("[PAD]", "A"))


def test_refuses_what_is_no_boolean(tmp_path):
  path = tmp_path / "bert_config.json"
  path.write_text('{"do_lower_case": "yes"}')
  with pytest.raises(errors.InputError, match="json: do_lower_case must be"):
    config_file.read_lower_case(path, ())
