import dataclasses

import pytest

import pd_tf
from pd_tf.config import encoder
from pd_tf.config import pretrained
from pd_tf.serving import model_card

CARD = model_card.Card(
    format="serving", directory="sst2", source="runs/sst2",
    encoder=encoder.EncoderConfig(), num_parameters=4_386_178,
    num_bytes=17_600_000, lower_case=True, seq_length=128,
    task=pretrained.TaskHead("classification", ("negative", "posi|tive")),
)


def _example(card):
  text = model_card.text(card)
  example = text.split("```python\n")[1].split("```")[0]
  compile(example, "example", "exec")
  return example


def test_says_what_the_model_is():
  text = model_card.text(CARD)
  assert text.startswith("# uncased_L-2_H-128_A-2\n")
  for line in (
      "| Layers, L | 2 |",
      "| Hidden size, H | 128 |",
      "| Attention heads, A | 2 |",
      "| Vocabulary | 30,522 WordPieces, lower-cased |",
      "| Parameters | 4,386,178 |",
      "| Size | 17,600,000 bytes |",
      "| TF-Hub's form of the name | `bert_en_uncased_L-2_H-128_A-2` |",
      "| Kaggle's form of the name | `bert-en-uncased-l-2-h-128-a-2` |",
      "| Task | classification of a text |",
      "| Labels | `negative`, `posi\\|tive` |",
      "| Longest input | 128 tokens |",
      "| Made from | `runs/sst2` |",
      f"| Written by | pd_tf {pd_tf.__version__}, `serving` |",
      "Apache-2.0.",
  ):
    assert line in text.splitlines()
  assert "arXiv:1908.08962" in text


def test_says_nothing_of_what_the_model_has_not():
  card = dataclasses.replace(
      CARD, format="preprocess", source="", num_parameters=0, seq_length=None,
      task=None, lower_case=False,
  )
  text = model_card.text(card)
  assert text.startswith("# cased_L-2_H-128_A-2\n")
  assert "case kept" in text
  for word in ("Parameters", "Task", "Labels", "Longest input", "Made from"):
    assert word not in text


@pytest.mark.parametrize(
    "format,call",
    [
        ("serving", 'tf.saved_model.load("sst2")'),
        ("tfhub", 'hub.KerasLayer("sst2", trainable=True)'),
        ("preprocess", 'hub.load("sst2")'),
        ("release", 'tf.train.load_checkpoint("sst2/bert_model.ckpt")'),
        ("tf1_hub", 'signature="tokens"'),
        ("hugging_face", 'transformers.AutoModel.from_pretrained("sst2")'),
        ("keras_hub", 'keras_hub.models.BertBackbone.from_preset("sst2")'),
        ("model_garden", '"sst2/bert_model.ckpt"'),
    ],
)
def test_example_is_python_that_loads_the_directory(format, call):
  card = dataclasses.replace(CARD, format=format, task=None)
  assert call in _example(card)


@pytest.mark.parametrize(
    "format,call",
    [
        ("hugging_face", "AutoModelForSequenceClassification.from_pretrained"),
        ("keras_hub", "BertTextClassifier.from_preset("),
        ("model_garden", "BertClassifier(encoder, num_classes=2)"),
    ],
)
def test_example_of_a_fine_tuned_model_has_its_head(format, call):
  assert call in _example(dataclasses.replace(CARD, format=format))


def test_example_of_a_zip_unpacks_it():
  example = _example(
      dataclasses.replace(CARD, format="release", directory="sst2.zip")
  )
  assert 'unpack_archive("sst2.zip", "sst2")' in example
  assert 'load_checkpoint("sst2/bert_model.ckpt")' in example


def test_example_of_a_directory_with_quotes():
  _example(dataclasses.replace(CARD, directory='my "best" \\ model'))


def test_example_of_a_pair_has_two_texts():
  task = pretrained.TaskHead("regression", ("score",), num_texts=2)
  text = model_card.text(dataclasses.replace(CARD, task=task))
  assert "| Task | regression of a pair of texts |" in text
  example = _example(dataclasses.replace(CARD, task=task))
  assert example.count("tf.constant") == 2


def test_training_and_command_have_a_section_where_they_are_known():
  text = model_card.text(
      dataclasses.replace(CARD, training="| a | 1 |", command="pd-tf export")
  )
  assert "\n## Training\n\n| a | 1 |\n\n## Made with\n" in text
  assert "\n    pd-tf export\n" in text
  for heading in ("## Training", "## Made with"):
    assert heading not in model_card.text(CARD)
