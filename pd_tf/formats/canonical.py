"""The released checkpoints' tensors, by head, and whether a file has them."""

from collections.abc import Mapping

from pd_tf.config import encoder
from pd_tf.config import errors

Shapes = dict[str, tuple[int, ...]]

ENCODER = "encoder"
POOLER = "pooler"
MASKED_LM = "masked LM head"
NEXT_SENTENCE = "next sentence head"
TASK = "task head"

TASK_WEIGHTS = "output_weights"
TASK_BIAS = "output_bias"


def groups(
    config: encoder.EncoderConfig, num_outputs: int = 0
) -> dict[str, Shapes]:
  """Returns name to shape of each part that a model can carry.

  Args:
    config: Shape of the encoder.
    num_outputs: C of the fine-tuned head; 0 leaves that part out.

  Returns:
    `encoder`, which every model has, and the parts that it may lack.
  """
  hidden, vocabulary = config.hidden_size, config.vocab_size
  parts = {
      ENCODER: _encoder(config),
      POOLER: _dense("bert/pooler/dense", hidden, hidden),
      MASKED_LM: {
          "cls/predictions/output_bias": (vocabulary,),
          **_dense("cls/predictions/transform/dense", hidden, hidden),
          **_layer_norm("cls/predictions/transform/LayerNorm", hidden),
      },
      NEXT_SENTENCE: {
          "cls/seq_relationship/output_weights": (2, hidden),
          "cls/seq_relationship/output_bias": (2,),
      },
  }
  if num_outputs:
    parts[TASK] = {
        TASK_WEIGHTS: (num_outputs, hidden),
        TASK_BIAS: (num_outputs,),
    }
  return parts


def present(
    parts: Mapping[str, Shapes],
    found: Mapping[str, tuple[int, ...]],
    source: object,
) -> list[str]:
  """Returns which parts a file has, each of them whole.

  Args:
    parts: Name to shape of each part; `encoder` must be there.
    found: Name to shape of what the file holds; more than the parts is fine.
    source: The file, for messages.

  Raises:
    InputError: A tensor of the encoder, or of a part that has some, is missing
      or has another shape.
  """
  names = []
  for part, shapes in parts.items():
    if part != ENCODER and not shapes.keys() & found.keys():
      continue
    for name, shape in shapes.items():
      _require(name, shape, found, part, source)
    names.append(part)
  return names


def _require(
    name: str,
    shape: tuple[int, ...],
    found: Mapping[str, tuple[int, ...]],
    part: str,
    source: object,
) -> None:
  if name not in found:
    raise errors.InputError(
        f"{source}: expected tensor {name} {list(shape)} of the {part}, "
        f"found none among {len(found)} tensors."
    )
  if tuple(found[name]) != shape:
    raise errors.InputError(
        f"{source}: {name} must have shape {list(shape)} after the "
        f"configuration, has {list(found[name])}."
    )


def _encoder(config: encoder.EncoderConfig) -> Shapes:
  hidden = config.hidden_size
  shapes: Shapes = {
      "bert/embeddings/word_embeddings": (config.vocab_size, hidden),
      "bert/embeddings/position_embeddings": (config.max_positions, hidden),
      "bert/embeddings/token_type_embeddings": (
          config.type_vocab_size,
          hidden,
      ),
      **_layer_norm("bert/embeddings/LayerNorm", hidden),
  }
  for index in range(config.num_layers):
    shapes |= _layer(f"bert/encoder/layer_{index}", config)
  return shapes


def _layer(scope: str, config: encoder.EncoderConfig) -> Shapes:
  hidden, inner = config.hidden_size, config.feed_forward_size
  return {
      **_dense(f"{scope}/attention/self/query", hidden, hidden),
      **_dense(f"{scope}/attention/self/key", hidden, hidden),
      **_dense(f"{scope}/attention/self/value", hidden, hidden),
      **_dense(f"{scope}/attention/output/dense", hidden, hidden),
      **_layer_norm(f"{scope}/attention/output/LayerNorm", hidden),
      **_dense(f"{scope}/intermediate/dense", hidden, inner),
      **_dense(f"{scope}/output/dense", inner, hidden),
      **_layer_norm(f"{scope}/output/LayerNorm", hidden),
  }


def _dense(scope: str, inputs: int, outputs: int) -> Shapes:
  return {f"{scope}/kernel": (inputs, outputs), f"{scope}/bias": (outputs,)}


def _layer_norm(scope: str, size: int) -> Shapes:
  return {f"{scope}/gamma": (size,), f"{scope}/beta": (size,)}
