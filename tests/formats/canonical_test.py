"""Names and shapes of the released tensors, and which parts a file has."""

import math

import pytest

from pd_tf.config import encoder
from pd_tf.config import errors
from pd_tf.formats import canonical

_MINI = encoder.EncoderConfig(num_layers=4, hidden_size=256)

# As the release is described, spelled out here once more.
_LAYER = """attention/self/query/kernel attention/self/query/bias
attention/self/key/kernel attention/self/key/bias
attention/self/value/kernel attention/self/value/bias
attention/output/dense/kernel attention/output/dense/bias
attention/output/LayerNorm/beta attention/output/LayerNorm/gamma
intermediate/dense/kernel intermediate/dense/bias
output/dense/kernel output/dense/bias
output/LayerNorm/beta output/LayerNorm/gamma""".split()
_REST = """bert/embeddings/word_embeddings bert/embeddings/position_embeddings
bert/embeddings/token_type_embeddings
bert/embeddings/LayerNorm/beta bert/embeddings/LayerNorm/gamma
bert/pooler/dense/kernel bert/pooler/dense/bias
cls/predictions/output_bias
cls/predictions/transform/dense/kernel cls/predictions/transform/dense/bias
cls/predictions/transform/LayerNorm/beta
cls/predictions/transform/LayerNorm/gamma
cls/seq_relationship/output_weights cls/seq_relationship/output_bias""".split()


def _all(config, num_outputs=0):
  parts = canonical.groups(config, num_outputs)
  return {
      name: shape for part in parts.values() for name, shape in part.items()
  }


def test_mini_has_the_78_released_names():
  expected = set(_REST) | {
      f"bert/encoder/layer_{index}/{name}"
      for index in range(4)
      for name in _LAYER
  }
  assert len(expected) == 78
  assert _all(_MINI).keys() == expected


def test_shapes_of_mini():
  shapes = _all(_MINI)
  assert shapes["bert/embeddings/word_embeddings"] == (30522, 256)
  assert shapes["bert/embeddings/position_embeddings"] == (512, 256)
  layer = "bert/encoder/layer_3/"
  assert shapes[layer + "intermediate/dense/kernel"] == (256, 1024)
  assert shapes[layer + "intermediate/dense/bias"] == (1024,)
  assert shapes[layer + "output/dense/kernel"] == (1024, 256)
  assert shapes["cls/predictions/output_bias"] == (30522,)
  assert shapes["cls/seq_relationship/output_weights"] == (2, 256)


@pytest.mark.parametrize("layers", [2, 4, 6, 8, 10, 12])
@pytest.mark.parametrize("hidden", [128, 256, 512, 768])
def test_counts_of_the_24(layers, hidden):
  config = encoder.EncoderConfig(num_layers=layers, hidden_size=hidden)
  assert len(_all(config)) == 14 + 16 * layers


@pytest.mark.parametrize(
    "layers,hidden,millions",
    [(2, 128, 4.4), (4, 256, 11.3), (4, 512, 29.1), (8, 512, 41.7),
     (12, 768, 110.1)],
)  # fmt: skip
def test_parameters_of_the_named_sizes(layers, hidden, millions):
  parts = canonical.groups(
      encoder.EncoderConfig(num_layers=layers, hidden_size=hidden)
  )
  del parts[canonical.NEXT_SENTENCE]
  total = sum(math.prod(s) for part in parts.values() for s in part.values())
  assert round(total / 1e6, 1) == millions


def test_present_lists_whole_parts_and_ignores_the_rest():
  found = {**_all(_MINI, 3), "global_step": ()}
  del found["bert/pooler/dense/kernel"]
  del found["bert/pooler/dense/bias"]
  names = canonical.present(canonical.groups(_MINI, 3), found, "m.ckpt")
  assert names == [
      "encoder", "masked LM head", "next sentence head", "task head",
  ]  # fmt: skip


@pytest.mark.parametrize(
    "name,part",
    [
        ("bert/encoder/layer_2/attention/self/key/bias", "encoder"),
        ("bert/pooler/dense/bias", "pooler"),
        ("cls/predictions/transform/LayerNorm/beta", "masked LM head"),
        ("output_bias", "task head"),
    ],
)
def test_missing_tensor_is_named(name, part):
  found = _all(_MINI, 2)
  del found[name]
  with pytest.raises(
      errors.InputError, match=f"^m.ckpt: expected tensor {name} .* {part}"
  ):
    canonical.present(canonical.groups(_MINI, 2), found, "m.ckpt")


def test_misshapen_tensor_is_named():
  found = {**_all(_MINI), "bert/embeddings/word_embeddings": (30000, 256)}
  with pytest.raises(
      errors.InputError,
      match=r"^m.ckpt: bert/embeddings/word_embeddings must have shape "
      r"\[30522, 256\] .* has \[30000, 256\]",
  ):
    canonical.present(canonical.groups(_MINI), found, "m.ckpt")
