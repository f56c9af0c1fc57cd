"""What pd_tf writes for Hugging Face computes what pd_tf computes."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from pd_tf.config import encoder
from pd_tf.config import pretrained
from pd_tf.formats import canonical
from pd_tf.formats import hugging_face
from pd_tf.modeling import bert
from pd_tf.modeling import rows as rows_lib
from pd_tf.text import vocabulary

torch = pytest.importorskip("torch", reason="pip extra: peers")
transformers = pytest.importorskip("transformers", reason="pip extra: peers")

_VOCABULARY = (*vocabulary.SPECIAL_TOKENS, *"abcdefghijklmnopqrstuvwxyz")
_HEADS = (canonical.MASKED_LM, canonical.NEXT_SENTENCE, canonical.TASK)
# Two rows, the second padded; two segments.
_IDS = np.array([[2, 7, 8, 3, 9, 3], [2, 30, 3, 11, 0, 0]])
_MASK = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])
_TYPES = np.array([[0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 0, 0]])


def _model(activation, heads):
  config = encoder.EncoderConfig(
      num_layers=2, hidden_size=16, head_size=4, intermediate_size=24,
      vocab_size=len(_VOCABULARY), max_positions=8, hidden_act=activation,
      layer_norm_epsilon=1e-6,
  )  # fmt: skip
  generator = np.random.default_rng(0)
  groups = canonical.groups(config, num_outputs=3)
  task = pretrained.TaskHead("classification", ("no", "maybe", "yes"))
  return pretrained.Pretrained(
      encoder=config,
      weights={
          # Small, so that GELU works where its two forms differ.
          name: (generator.standard_normal(shape) * 0.3).astype(np.float32)
          for part in (canonical.ENCODER, canonical.POOLER, *heads)
          for name, shape in groups[part].items()
      },
      vocabulary=_VOCABULARY,
      task=task if canonical.TASK in heads else None,
  )


def _ours(model):
  """Returns pd_tf's outputs by the names of transformers'."""
  num_outputs = len(model.task.label_names) if model.task else 0
  built = bert.build(model.encoder, True, num_outputs)
  built.load_canonical_weights(model.weights)
  rows = rows_lib.padded(
      *(tf.constant(array, tf.int32) for array in (_IDS, _MASK, _TYPES))
  )
  encoded = built.encode(rows)
  positions = tf.tile(tf.range(_IDS.shape[1])[None], [len(_IDS), 1])
  return {
      "sequence": encoded.sequence,
      "pooled": encoded.pooled[:, 0],
      canonical.MASKED_LM: built.masked_lm_logits(encoded.sequence, positions),
      canonical.NEXT_SENTENCE: built.next_sentence_logits(encoded.pooled)[:, 0],
      canonical.TASK: built.logits(rows)[:, 0] if num_outputs else None,
  }


def _theirs(path, heads):
  inputs = {
      "input_ids": torch.tensor(_IDS),
      "attention_mask": torch.tensor(_MASK),
      "token_type_ids": torch.tensor(_TYPES),
  }

  def run(kind):
    model, info = kind.from_pretrained(path, output_loading_info=True)
    assert not info["missing_keys"] and not info["mismatched_keys"]
    with torch.no_grad():
      return model.eval()(**inputs)

  encoded = run(transformers.AutoModel)
  outputs = {
      "sequence": encoded.last_hidden_state, "pooled": encoded.pooler_output,
  }  # fmt: skip
  if canonical.MASKED_LM in heads:
    outputs[canonical.MASKED_LM] = run(
        transformers.AutoModelForMaskedLM
    ).logits
  if canonical.NEXT_SENTENCE in heads:
    outputs[canonical.NEXT_SENTENCE] = run(
        transformers.AutoModelForNextSentencePrediction
    ).logits
  if canonical.TASK in heads:
    outputs[canonical.TASK] = run(
        transformers.AutoModelForSequenceClassification
    ).logits
  if {canonical.MASKED_LM, canonical.NEXT_SENTENCE} <= set(heads):
    both = run(transformers.AutoModelForPreTraining)
    for name, logits in (
        (canonical.MASKED_LM, both.prediction_logits),
        (canonical.NEXT_SENTENCE, both.seq_relationship_logits),
    ):
      assert torch.equal(logits, outputs[name])
  return outputs


@pytest.mark.parametrize("activation", ["gelu", "gelu_erf"])
@pytest.mark.parametrize(
    "heads",
    [
        heads
        for count in range(len(_HEADS) + 1)
        for heads in itertools.combinations(_HEADS, count)
    ],
    ids=lambda heads: "+".join(heads) or "none",
)
def test_outputs_are_transformers(tmp_path, activation, heads):
  model = _model(activation, heads)
  hugging_face.write(tmp_path / "m", model)
  ours = _ours(model)
  theirs = _theirs(tmp_path / "m", heads)
  assert theirs.keys() == {"sequence", "pooled", *heads}
  for name, other in theirs.items():
    mine, other = np.asarray(ours[name]), other.numpy()
    assert mine.shape == other.shape
    if mine.shape[1:2] == _IDS.shape[1:] and mine.ndim == 3:
      mine, other = mine[_MASK == 1], other[_MASK == 1]
    np.testing.assert_allclose(
        mine, other, rtol=0, atol=1e-5 * np.abs(other).max(), err_msg=name
    )


def test_the_other_activation_would_be_noticed(tmp_path):
  outputs = []
  for name in ("gelu", "gelu_erf"):
    model = _model(name, ())
    hugging_face.write(tmp_path / name, model)
    outputs.append(_theirs(tmp_path / name, ())["sequence"].numpy())
  difference = np.abs(outputs[0] - outputs[1]).max()
  assert difference > 1e-4 * np.abs(outputs[0]).max()
