"""README.md of a written model: what it is, and how to load it."""

import dataclasses

import pd_tf
from pd_tf.config import encoder
from pd_tf.config import pretrained

NAME = "README.md"


@dataclasses.dataclass(frozen=True)
class Card:
  """What a model card says.

  Attributes:
    format: Form of the model: serving, tfhub, preprocess or release.
    directory: Name of what was written, for the example.
    source: What it was made from, as the user named it; may be empty.
    encoder: Shape of the encoder.
    num_parameters: Numbers written; 0 for a model without weights.
    lower_case: Whether texts are lower-cased.
    seq_length: Tokens of an example at the most, or None where any may come.
    task: What the model predicts; None without a head.
  """

  format: str
  directory: str
  source: str
  encoder: encoder.EncoderConfig
  num_parameters: int
  lower_case: bool
  seq_length: int | None
  task: pretrained.TaskHead | None


def text(card: Card) -> str:
  """Returns the card in Markdown."""
  rows = "\n".join(f"| {name} | {value} |" for name, value in _rows(card))
  return f"""# {_name(card)}

{_SUMMARIES[card.format]}

It was written by pd_tf, the procedure of "Well-Read Students Learn Better"
(Turc et al., 2019) as a library.

| | |
|---|---|
{rows}

## Use

```python
{_example(card)}
```

## Licence

Apache-2.0.

## Citation

```bibtex
{_CITATION}
```
"""


_SUMMARIES = {
    "serving": "A fine-tuned BERT as a SavedModel that takes raw texts.",
    "tfhub": "A BERT encoder as a TF2 SavedModel, as TF-Hub has them.",
    "preprocess": "Raw texts to the inputs of a BERT encoder, a SavedModel.",
    "release": "A BERT in the form of google-research/bert's checkpoints.",
}

_CITATION = """@article{turc2019,
  title={Well-Read Students Learn Better: On the Importance of Pre-training \
Compact Models},
  author={Turc, Iulia and Chang, Ming-Wei and Lee, Kenton and \
Toutanova, Kristina},
  journal={arXiv preprint arXiv:1908.08962v2},
  year={2019}
}"""


def _name(card: Card) -> str:
  """Returns the name by which the miniatures were released."""
  case = "uncased" if card.lower_case else "cased"
  shape = card.encoder
  return (
      f"{case}_L-{shape.num_layers}_H-{shape.hidden_size}_A-{shape.num_heads}"
  )


def _rows(card: Card) -> list[tuple[str, str]]:
  shape = card.encoder
  case = "lower-cased" if card.lower_case else "case kept"
  rows = [
      ("Layers, L", f"{shape.num_layers}"),
      ("Hidden size, H", f"{shape.hidden_size}"),
      ("Attention heads, A", f"{shape.num_heads}"),
      ("Activation", f"`{shape.hidden_act}`"),
      ("Positions", f"{shape.max_positions}"),
      ("Vocabulary", f"{shape.vocab_size:,} WordPieces, {case}"),
  ]
  if card.num_parameters:
    rows.append(("Parameters", f"{card.num_parameters:,}"))
  if card.task is not None:
    rows += _task_rows(card.task)
  if card.seq_length is not None:
    rows.append(("Longest input", f"{card.seq_length} tokens"))
  if card.source:
    rows.append(("Made from", f"`{card.source}`"))
  rows.append(("Written by", f"pd_tf {pd_tf.__version__}, `{card.format}`"))
  return rows


def _task_rows(task: pretrained.TaskHead) -> list[tuple[str, str]]:
  of = "a text" if task.num_texts == 1 else "a pair of texts"
  rows = [("Task", f"{task.kind} of {of}")]
  if task.kind == "classification":
    # A bar would end the cell of the table.
    names = [name.replace("|", "\\|") for name in task.label_names]
    rows.append(("Labels", ", ".join(f"`{name}`" for name in names)))
  return rows


def _example(card: Card) -> str:
  if card.format == "serving":
    return _serving_example(card)
  return _EXAMPLES[card.format].format(directory=card.directory)


def _serving_example(card: Card) -> str:
  pair = card.task is not None and card.task.num_texts == 2
  texts = 'tf.constant(["a warm and funny film"])'
  if pair:
    texts = '[tf.constant(["a warm film"]), tf.constant(["a cold film"])]'
  return f"""import tensorflow as tf
import tensorflow_text  # Registers the tokenizer's ops.

model = tf.saved_model.load("{card.directory}")
print(model({texts}))"""


_EXAMPLES = {
    "tfhub": """import tensorflow_hub as hub

encoder = hub.KerasLayer("{directory}", trainable=True)
outputs = encoder(dict(
    input_word_ids=...,  # Int32 [B, S]
    input_mask=...,      # Int32 [B, S], 0 where padded
    input_type_ids=...,  # Int32 [B, S], 1 for the second text of a pair
))
# pooled_output [B, H], sequence_output [B, S, H], encoder_outputs""",
    "preprocess": """import tensorflow as tf
import tensorflow_hub as hub
import tensorflow_text  # Registers the tokenizer's ops.

preprocess = hub.load("{directory}")
inputs = preprocess(tf.constant(["a warm and funny film"]))
# Pairs, or another length:
pieces = [preprocess.tokenize(tf.constant([text])) for text in ("a", "b")]
inputs = preprocess.bert_pack_inputs(pieces, seq_length=tf.constant(64))""",
    "release": """import tensorflow as tf

checkpoint = tf.train.load_checkpoint("{directory}/bert_model.ckpt")
table = checkpoint.get_tensor("bert/embeddings/word_embeddings")""",
}
