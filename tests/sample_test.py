import pytest

from pd_tf import sample
from pd_tf.config import errors
from pd_tf.config import sample as sample_config
from pd_tf.data import tasks

SMALL = sample_config.SampleConfig(
    corpus_sentences=200, transfer_texts=60, train_examples=20, dev_examples=30
)


def test_files(tmp_path):
  run_dir = tmp_path / "sample"
  result = sample.run(SMALL, run_dir)
  train = tasks.read(run_dir / "train.tsv", ["sentence"], "label")
  dev = tasks.read(run_dir / "dev.tsv", ["sentence"], "label")
  transfer = (run_dir / "transfer.txt").read_text().splitlines()
  assert len(train.labels) == 20 and len(dev.labels) == 30
  assert set(train.labels) == {"0", "1"}
  assert len(transfer) == 60
  texts = [train.columns[0], dev.columns[0], transfer]
  assert len(set().union(*texts)) == 110
  documents = (run_dir / "corpus.txt").read_text().split("\n\n")
  assert len(documents) == result["corpus_reviews"]
  sentences = [line for doc in documents for line in doc.splitlines()]
  assert len(sentences) == result["corpus_sentences"] >= 200
  assert not set(sentences) & set().union(*texts)
  assert "Generated data" in (run_dir / "README.txt").read_text()
  assert result["generated"] is True
  assert sample.run(SMALL, run_dir) == result


def test_the_default_sizes_are_the_quickstarts():
  settings = sample_config.SampleConfig()
  assert (settings.train_examples, settings.dev_examples) == (200, 500)
  assert settings.corpus_sentences == 20_000
  assert settings.transfer_texts == 5_000


@pytest.mark.parametrize("name", ["dev_examples", "seen_share"])
def test_impossible_sizes(name):
  with pytest.raises(errors.InputError, match=rf"^{name} \(0"):
    sample_config.SampleConfig(**{name: 0})
