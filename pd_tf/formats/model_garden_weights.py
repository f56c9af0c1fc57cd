"""Finds BERT's tensors among the variables of a Model Garden checkpoint."""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import pathlib

from absl import logging
import numpy as np

from pd_tf.config import encoder
from pd_tf.config import errors
from pd_tf.formats import canonical
from pd_tf.formats import checkpoint
from pd_tf.formats import model_garden_names
from pd_tf.formats import object_graph

NEXT_SENTENCE_HEAD = "next_sentence"

# What networks.Classification, until 2021 the head of the pretraining model
# and of the classifier alike, is taken for: its name says nothing else.
_OLD_HEAD = "transform"

_WORDS = "bert/embeddings/word_embeddings"
_MASKED_LM = "cls/predictions/output_bias"
_QUERY = "bert/encoder/layer_0/attention/self/query/kernel"

_LOGITS = {
    "cls/seq_relationship/output_weights": "kernel",
    "cls/seq_relationship/output_bias": "bias",
    canonical.TASK_WEIGHTS: "kernel",
    canonical.TASK_BIAS: "bias",
}

_Head = dict[tuple[str, str], object_graph.Variable]


@dataclasses.dataclass(frozen=True)
class Found:
  """Which variable holds which tensor of the released checkpoints.

  Attributes:
    stored: The checkpoint.
    variables: Variables by released name.
    shapes: Released name to released shape.
    num_heads: Attention heads by the kernels' shapes; None if these do not
      tell.
    spare_poolers: Poolers that belong to no head which was found, kernel and
      bias each.
    ignored: Names of all other variables.
  """

  stored: checkpoint.Checkpoint
  variables: dict[str, object_graph.Variable]
  shapes: dict[str, tuple[int, ...]]
  num_heads: int | None
  spare_poolers: list[object_graph.Variable]
  ignored: list[str]

  @property
  def num_outputs(self) -> int:
    """C of the fine-tuned head; 0 without one."""
    shape = self.shapes.get(canonical.TASK_WEIGHTS, ())
    return shape[0] if shape else 0


def find(prefix: pathlib.Path, source: object) -> Found:
  """Returns what of BERT a checkpoint holds.

  Args:
    prefix: Of its files.
    source: What the user named, for messages.

  Raises:
    InputError: It is damaged, has no object graph, no encoder, or several.
  """
  stored = checkpoint.Checkpoint(prefix)
  variables = object_graph.read(stored)
  found = _by_released_name(variables, source)
  heads = _heads(variables)
  spare = _take_heads(found, heads)
  used = {variable.key for variable in (*found.values(), *spare)}
  return Found(
      stored=stored,
      variables=found,
      shapes={
          name: _released_shape(name, stored.shapes[variable.key])
          for name, variable in found.items()
      },
      num_heads=_num_heads(found, stored),
      spare_poolers=spare,
      ignored=_ignored(variables, used, stored),
  )


def read(
    found: Found, config: encoder.EncoderConfig, source: object
) -> dict[str, np.ndarray]:
  """Returns the weights, and logs what was ignored in one line.

  Raises:
    InputError: A tensor is missing, or does not fit the configuration.
  """
  if found.num_heads not in (None, config.num_heads):
    raise errors.InputError(
        f"{source}: num_attention_heads ({config.num_heads}) must be "
        f"{found.num_heads}, as the attention kernels have it."
    )
  parts = canonical.groups(config, found.num_outputs)
  present = canonical.present(parts, found.shapes, source)
  weights = {}
  for part in present:
    for name, shape in parts[part].items():
      key = found.variables[name].key
      weights[name] = _oriented(name, found.stored.read([key])[key], shape)
  used = {found.variables[name].key for name in weights}
  ignored = [
      variable.name
      for variable in found.spare_poolers
      if not _repeats(variable, found, weights)
  ]
  ignored += [
      variable.name
      for variable in found.variables.values()
      if variable.key not in used
  ]
  ignored += found.ignored
  if ignored:
    logging.warning("%s: ignored %s.", source, ", ".join(ignored))
  return weights


def _by_released_name(
    variables: Iterable[object_graph.Variable], source: object
) -> dict[str, object_graph.Variable]:
  found: dict[str, object_graph.Variable] = {}
  for variable in variables:
    if model_garden_names.is_foreign(variable.name):
      raise errors.InputError(
          f"{source}: expected an encoder of BERT's form, found a variable "
          f"that it has not: {variable.name}."
      )
    name = model_garden_names.released_name(variable.name)
    if name is None:
      continue
    if name in found:
      raise errors.InputError(
          f"{source}: expected one BERT encoder, found several: there are both "
          f"{found[name].name} and {variable.name}."
      )
    found[name] = variable
  if _WORDS not in found:
    raise errors.InputError(
        f"{source}: expected a BERT encoder of tf-models-official, found no "
        "variable word_embeddings/embeddings."
    )
  return found


def _heads(
    variables: Iterable[object_graph.Variable],
) -> dict[str, _Head]:
  heads: dict[str, _Head] = {}
  for variable in variables:
    if found := model_garden_names.head_variable(variable.name):
      head = heads.setdefault(found.head, {})
      head[found.dense, found.leaf] = variable
  return heads


def _take_heads(
    found: dict[str, object_graph.Variable], heads: dict[str, _Head]
) -> list[object_graph.Variable]:
  """Adds the heads that are known to `found`; returns poolers left over."""
  next_sentence = heads.pop(NEXT_SENTENCE_HEAD, {})
  if not next_sentence and _MASKED_LM in found:
    next_sentence = heads.pop(_OLD_HEAD, {})
  # Which of several is the task's, nothing tells.
  (task,) = heads.values() if len(heads) == 1 else ({},)
  for name, leaf in _LOGITS.items():
    head = task if name.startswith("output_") else next_sentence
    if ("logits", leaf) in head:
      found[name] = head["logits", leaf]
  return _take_pooler(found, task if task else next_sentence, next_sentence)


def _take_pooler(
    found: dict[str, object_graph.Variable], owner: _Head, other: _Head
) -> list[object_graph.Variable]:
  """Makes the pooler that the head was trained with the one of `found`.

  A ClassificationHead has a pooler of its own, beside the encoder's, which
  pretraining then leaves as it was at the start; copy_pooler_dense_to_encoder
  of export_tfhub_lib.py is there for that.
  """
  spare = []
  for leaf in ("kernel", "bias"):
    name = f"{model_garden_names.POOLER_SCOPE}/{leaf}"
    poolers = [
        variable
        for variable in (
            owner.get(("pooler_dense", leaf)),
            found.get(name),
            other.get(("pooler_dense", leaf)),
        )
        if variable is not None
    ]
    if poolers:
      found[name] = poolers[0]
      spare += [each for each in poolers[1:] if each is not poolers[0]]
  return spare


def _released_shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
  if _LOGITS.get(name) == "kernel":
    return shape[::-1]
  return model_garden_names.released_shape(name, shape)


def _oriented(
    name: str, tensor: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
  if _LOGITS.get(name) == "kernel":
    return np.ascontiguousarray(tensor.T)
  return tensor.reshape(shape)


def _num_heads(
    found: Mapping[str, object_graph.Variable], stored: checkpoint.Checkpoint
) -> int | None:
  if _QUERY not in found:
    return None
  shape = stored.shapes[found[_QUERY].key]
  return shape[1] if len(shape) == 3 else None


def _repeats(
    variable: object_graph.Variable,
    found: Found,
    weights: Mapping[str, np.ndarray],
) -> bool:
  """Returns whether a spare pooler is the same as the one that is read."""
  leaf = variable.name.split(":")[0].rpartition("/")[2]
  taken = weights.get(f"{model_garden_names.POOLER_SCOPE}/{leaf}")
  spare = found.stored.read([variable.key])[variable.key]
  return taken is not None and np.array_equal(taken, spare)


def _ignored(
    variables: Sequence[object_graph.Variable],
    used: set[str],
    stored: checkpoint.Checkpoint,
) -> list[str]:
  """Returns names of variables, those of optimizers as one item."""
  known = {variable.key for variable in variables}
  ignored = sorted(
      variable.name or variable.key
      for variable in variables
      # What tf.train.Checkpoint counts, and TF-Hub's note on the vocabulary.
      if variable.key not in used
      and not variable.attributes & {"save_counter", "do_lower_case"}
  )
  others = stored.shapes.keys() - known - {object_graph.KEY}
  if others:
    ignored.append(f"optimizer state of {len(others)} tensors")
  return ignored
