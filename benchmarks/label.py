"""What `pd-tf label` costs, a teacher's inference, beside Hugging Face's.

  python benchmarks/label.py --texts=imdb_unsup.txt.xz --vocab_file=vocab.txt

Both sides: the same random BERT of 6 layers and width 384 with two labels, the
same texts, cut to 128 tokens, from strings to logits: tokenized, sorted by
length, in batches. transformers with its fast tokenizer, its batches padded to
the longest, on as many threads as cores; each at float32 and at bfloat16.
Rounds are interleaved; medians.
"""

from collections.abc import Callable
import itertools
import os
import pathlib
import statistics
import tempfile
import time

from absl import app
from absl import flags
import numpy as np
import torch
import transformers

from pd_tf import model_teacher
from pd_tf.config import encoder as encoder_config
from pd_tf.config import pretrained
from pd_tf.data import transfer_sources
from pd_tf.formats import hugging_face
from pd_tf.modeling import bert
from pd_tf.modeling import initialization
from pd_tf.text import vocabulary as vocabulary_lib

TEXTS = flags.DEFINE_string("texts", None, "Texts, .txt.", required=True)
VOCAB_FILE = flags.DEFINE_string("vocab_file", None, "vocab.txt", required=True)
DOCUMENTS = flags.DEFINE_bool("documents", False, "Blank lines divide texts.")
EXAMPLES = flags.DEFINE_integer("examples", 4096, "Texts of a round.")
ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds measured of each side.")
LAYERS = flags.DEFINE_integer("layers", 6, "L.")
WIDTH = flags.DEFINE_integer("width", 384, "H; heads have 64.")
BATCH = flags.DEFINE_multi_integer("batch", [32, 128], "Texts of its batches.")
LENGTH = 128

Side = Callable[[list[str]], np.ndarray]


def write_model(path: pathlib.Path) -> None:
  """Writes a random classifier, as transformers reads it."""
  vocabulary = vocabulary_lib.read(VOCAB_FILE.value)
  config = encoder_config.EncoderConfig(
      num_layers=LAYERS.value, hidden_size=WIDTH.value,
      vocab_size=len(vocabulary),
  )
  weights = initialization.random_weights(
      bert.build(config, num_outputs=2).canonical_weights(), 0.05, 0
  )
  generator = np.random.default_rng(0)
  for name, array in weights.items():
    # As trained ones: sums with zeros are dropped, and with them what they are
    # computed in one operation with.
    if name.endswith("bias"):
      weights[name] = generator.normal(0, 0.05, array.shape).astype(np.float32)
  hugging_face.write(path, pretrained.Pretrained(
      config, weights, vocabulary.entries, True,
      pretrained.TaskHead("classification", ("0", "1")),
  ))


def ours(path: str, precision: str) -> Side:
  """Returns pd_tf's side."""
  teacher = model_teacher.ModelTeacher(
      path, LENGTH, precision, batch_tokens=1024
  )
  return lambda texts: teacher.logits([texts])


def theirs(path: str, dtype: torch.dtype, attention: str, size: int) -> Side:
  """Returns the side of transformers."""
  tokenizer = transformers.AutoTokenizer.from_pretrained(path)
  model = transformers.AutoModelForSequenceClassification.from_pretrained(
      path, attn_implementation=attention
  ).to(dtype).eval()

  def run(texts: list[str]) -> np.ndarray:
    encoded = tokenizer(texts, truncation=True, max_length=LENGTH)
    lengths = [len(ids) for ids in encoded["input_ids"]]
    order = np.argsort(lengths)[::-1]
    out = np.zeros((len(texts), 2), np.float32)
    with torch.inference_mode():
      for start in range(0, len(order), size):
        part = order[start : start + size]
        batch = tokenizer.pad(
            {name: [values[i] for i in part]
             for name, values in encoded.items()},
            return_tensors="pt",
        )  # fmt: skip
        out[part] = model(**batch).logits.float().numpy()
    return out

  return run


def main(arguments: list[str]) -> None:
  """Prints each side's median and the ratios of the best ones."""
  del arguments
  torch.set_num_threads(len(os.sched_getaffinity(0)))
  source = transfer_sources.Source(TEXTS.value)
  form = transfer_sources.Form(("text",), documents=DOCUMENTS.value)
  rows = transfer_sources.rows(source, form, "texts")
  texts = [
      text for (text,), _ in itertools.islice(rows, EXAMPLES.value)
      if text.strip()
  ]
  with tempfile.TemporaryDirectory() as folder:
    path = f"{folder}/model"
    write_model(pathlib.Path(path))
    sides = {f"pd_tf {name}": ours(path, name)
             for name in ("float32", "bfloat16")}  # fmt: skip
    for dtype in ("float32", "bfloat16"):
      for attention, size in itertools.product(("sdpa", "eager"), BATCH.value):
        kind = {"float32": torch.float32, "bfloat16": torch.bfloat16}[dtype]
        sides[f"transformers {dtype} {attention} {size}"] = theirs(
            path, kind, attention, size
        )
  probabilities = {}
  seconds: dict[str, list[float]] = {name: [] for name in sides}
  for round_number in range(ROUNDS.value + 1):
    for name, run in sides.items():
      start = time.perf_counter()
      logits = run(texts)
      if round_number:
        seconds[name].append(time.perf_counter() - start)
      probabilities[name] = np.exp(logits - np.logaddexp.reduce(
          logits, axis=-1, keepdims=True
      ))
  report(len(texts), seconds, probabilities)


def report(
    count: int,
    seconds: dict[str, list[float]],
    probabilities: dict[str, np.ndarray],
) -> None:
  """Prints the table."""
  medians = {name: statistics.median(times) for name, times in seconds.items()}
  exact = probabilities["transformers float32 eager 32"]
  for name, median in medians.items():
    apart = np.abs(probabilities[name] - exact).max()
    print(f"{name:32} {count / median:8.0f} texts/s, probabilities within "
          f"{apart:.1e}")  # fmt: skip
  for own in ("float32", "bfloat16"):
    peers = [
        median for name, median in medians.items()
        if name.startswith("transformers")
        and (own == "bfloat16" or " float32 " in name)
    ]
    ratio = min(peers) / medians[f"pd_tf {own}"]
    against = "its best" if own == "bfloat16" else "its best float32"
    print(f"pd_tf {own} : transformers at {against}: {ratio:.2f}")


if __name__ == "__main__":
  app.run(main)
