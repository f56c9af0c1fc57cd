"""The stages of `prepare`: inputs, blocks, duplicates, buckets, shards.

Inputs are cut into blocks of whole documents; a block is tokenized and dealt
out to buckets; a bucket is cut into segments, shuffled, and filled into rows;
and the rows of all buckets, one after another, are the shards. How large blocks
and buckets are follows from the size of the inputs alone, so that neither the
bytes nor the memory of a process follow from the number of processes.
"""

import collections
from collections.abc import Sequence
import dataclasses
import functools
from typing import Any

import numpy as np

from pd_tf.config import errors
from pd_tf.config import prepare as prepare_config
from pd_tf.data import buckets as buckets_lib
from pd_tf.data import corpus as corpus_lib
from pd_tf.data import documents
from pd_tf.data import duplicates
from pd_tf.data import inputs
from pd_tf.data import parts
from pd_tf.data import shards
from pd_tf.data import spill
from pd_tf.data import stages
from pd_tf.data import storage
from pd_tf.text import light_wordpiece
from pd_tf.text import tokenizer as tokenizer_lib
from pd_tf.text import vocabulary as vocabulary_lib

# Bytes of text of a block and of a bucket: 64 of each, so that as many
# processes have work, unless these were tiny or too large for memory.
_PARTS, _LEAST_BYTES, _MOST_BYTES = 64, 2 << 20, 128 << 20
# With fewer documents of its own a bucket is joined with the next: part B of a
# random pair comes from the same bucket.
_LEAST_DOCUMENTS = 64
_SHARDS, _SHARD_BYTES = 8, 64 << 20
TRAIN, VALIDATION = "train", "validation"


@dataclasses.dataclass(frozen=True)
class Preparation:
  """What all stages know.

  Attributes:
    settings: Of the run.
    sources: The inputs.
    folder: For what is temporary.
    shards: Folder of the shards, by share (train, validation).
    part_bytes: Bytes of text of a block and of a bucket, about.
  """

  settings: prepare_config.PrepareConfig
  sources: tuple[inputs.Source, ...]
  folder: str
  shards: dict[str, str]
  part_bytes: int

  @property
  def text_bytes(self) -> int:
    """About as many bytes of text in all inputs."""
    return text_bytes(self.sources)

  @property
  def buckets(self) -> spill.Buckets:
    """How documents are dealt out."""
    share = self.settings.validation_share
    count = max(1, round(self.text_bytes / self.part_bytes))
    held_out = max(1, round(count * share)) if share else 0
    return spill.Buckets(count, held_out, share, self.settings.seed)

  @property
  def vocab_file(self) -> str:
    """A copy of the vocabulary that all processes reach."""
    return f"{self.folder}/{shards.VOCAB_FILE}"

  def path(self, kind: str, number: int) -> str:
    """Returns the name of a temporary file."""
    return f"{self.folder}/{kind}-{number:06d}"


def text_bytes(sources: Sequence[inputs.Source]) -> int:
  """Returns about how many bytes of text inputs have."""
  return sum(source.text_bytes for source in sources)


def part_bytes(sources: Sequence[inputs.Source]) -> int:
  """Returns how large blocks and buckets of the inputs shall be."""
  return min(max(text_bytes(sources) // _PARTS, _LEAST_BYTES), _MOST_BYTES)


def stages_of(preparation: Preparation) -> list[stages.Stage]:
  """Returns the stages, each result of which is counts."""

  def stage(name: str, plan: Any, work: Any) -> stages.Stage:
    return stages.Stage(
        name, functools.partial(plan, preparation),
        functools.partial(work, preparation),
    )

  return [
      stage("read", plan_inputs, cut_inputs),
      stage("tokenize", plan_blocks, tokenize),
      stage("compare", plan_comparison, compare),
      stage("drop", plan_drop, drop),
      stage("segments", plan_buckets, make_rows),
      stage("write", plan_shards, write_shard),
  ]


def plan_inputs(preparation: Preparation, earlier: stages.Results) -> list[Any]:
  """Returns lists of numbered inputs, small ones together."""
  del earlier
  numbered = list(enumerate(preparation.sources))
  return _grouped(
      numbered, [one.text_bytes for one in preparation.sources],
      preparation.part_bytes,
  )


def cut_inputs(preparation: Preparation, numbered: Any) -> Any:
  """Returns what `inputs.cut` does."""
  return inputs.cut(
      numbered, preparation.settings, preparation.folder,
      preparation.part_bytes,
  )


def plan_blocks(preparation: Preparation, earlier: stages.Results) -> list[Any]:
  """Returns numbered lists of pieces, small ones together."""
  pieces = [
      piece for cut in earlier[0] for one in cut for piece in one["pieces"]
  ]
  sizes = [stop - start for _, start, stop, *_ in pieces]
  return list(enumerate(_grouped(pieces, sizes, preparation.part_bytes)))


def tokenize(preparation: Preparation, block: Any) -> dict[str, Any]:
  """Tokenizes a block and deals its documents out; returns counts."""
  number, pieces = block
  settings = preparation.settings
  tokenizer = _tokenizer(preparation.vocab_file, settings.lower_case)
  found, lines = [], []
  skipped = dict.fromkeys(documents.REASONS, 0)
  for piece in pieces:
    text = documents.read(documents.Piece(*piece), settings)
    corpus, kept = corpus_lib.tokenized(
        text.lines, text.starts, tokenizer.tokenize, len(tokenizer.vocabulary)
    )
    found.append(corpus)
    if settings.duplicates != "keep":
      lines += [text.lines[i] for i in np.flatnonzero(kept)]
    for reason, count in text.skipped.items():
      skipped[reason] += count
    skipped["lines_without_token"] = skipped.get(
        "lines_without_token", 0
    ) + int(np.count_nonzero(~kept))
  whole = corpus_lib.joined(found, found[0].tokens.dtype)
  spill.write(
      preparation.path("block", number), whole, number, preparation.buckets
  )
  if settings.duplicates != "keep":
    duplicates.write_keys(
        preparation.path("keys", number), whole, lines, number, settings,
        preparation.buckets.num_train,
    )
  unknown = tokenizer.vocabulary.id_of(vocabulary_lib.UNK)
  return {
      "num_documents": whole.num_documents,
      "num_sentences": whole.num_sentences,
      "num_tokens": len(whole.tokens),
      "num_unknown": int(np.count_nonzero(whole.tokens == unknown)),
      "skipped": skipped,
      "documents_of_bucket": _counted(
          spill.places(number, whole.num_documents), preparation.buckets
      ),
  }


def plan_comparison(
    preparation: Preparation, earlier: stages.Results
) -> list[Any]:
  """Returns the parts of the keys, with the number of blocks."""
  total = sum(one["num_tokens"] for one in earlier[1])
  if not total:
    skipped: collections.Counter[str] = collections.Counter()
    for one in earlier[1]:
      skipped.update(one["skipped"])
    what = ", ".join(f"{n} {reason}" for reason, n in skipped.items() if n)
    raise errors.InputError(
        "inputs: expected sentences, none has a token; skipped: "
        f"{what or 'nothing'}."
    )
  if preparation.settings.duplicates == "keep":
    return []
  count = len(earlier[1])
  return [(part, count) for part in range(preparation.buckets.num_train)]


def compare(preparation: Preparation, task: Any) -> dict[str, Any]:
  """Finds texts that share a key of this part; writes pairs of them."""
  part, num_blocks = task
  pairs = duplicates.pairs(
      [preparation.path("keys", block) for block in range(num_blocks)],
      part, preparation.settings,
  )
  parts.write(preparation.path("pairs", part), [list(pairs)])
  return {"num_pairs": len(pairs[0])}


def plan_drop(preparation: Preparation, earlier: stages.Results) -> list[Any]:
  """Returns one descriptor: what is dropped follows from all pairs."""
  del preparation
  return [(len(earlier[2]), len(earlier[1]))] if earlier[2] else []


def drop(preparation: Preparation, task: Any) -> dict[str, Any]:
  """Writes which units of each block are dropped."""
  num_parts, num_blocks = task
  dropped = duplicates.dropped(
      [preparation.path("pairs", part) for part in range(num_parts)],
      num_blocks,
  )
  parts.write(preparation.path("dropped", 0), [[one] for one in dropped])
  gone = np.concatenate([np.zeros(0, np.uint64), *dropped])
  lost = [0]
  if preparation.settings.duplicate_unit == "document":
    lost = _counted(gone, preparation.buckets)
  return {"num_dropped": len(gone), "documents_of_bucket": lost}


def plan_buckets(
    preparation: Preparation, earlier: stages.Results
) -> list[Any]:
  """Returns (number, share, buckets, number of blocks) of what is one file."""
  counts = np.sum([one["documents_of_bucket"] for one in earlier[1]], axis=0)
  for one in earlier[3]:
    counts = counts - one["documents_of_bucket"]
  buckets = preparation.buckets
  tasks: list[Any] = []
  for share, first, stop in (
      (TRAIN, 0, buckets.num_train),
      (VALIDATION, buckets.num_train, len(counts)),
  ):
    if share == VALIDATION and preparation.settings.next_sentence and (
        sum(counts[first:stop]) == 1
    ):
      raise errors.InputError(_too_few(
          preparation.settings, "next_sentence needs two and one was"
      ))
    numbers = list(range(first, stop))
    for group in _grouped(numbers, counts[first:stop], _LEAST_DOCUMENTS, True):
      tasks.append((len(tasks), share, group, len(earlier[1])))
  return tasks


def make_rows(preparation: Preparation, task: Any) -> dict[str, Any]:
  """Writes the rows of the documents of some buckets; returns counts."""
  number, share, numbers, num_blocks = task
  settings = preparation.settings
  corpus = buckets_lib.documents(
      [preparation.path("block", block) for block in range(num_blocks)],
      numbers,
      preparation.buckets,
      None if settings.duplicates == "keep" else preparation.path("dropped", 0),
      settings.duplicate_unit,
  )
  ends, counts = buckets_lib.write_rows(
      preparation.path("rows", number), corpus, number, settings,
      _vocabulary(preparation.vocab_file),
  )
  parts.write(preparation.path("ends", number), [[ends]])
  return {"share": share} | counts


def plan_shards(preparation: Preparation, earlier: stages.Results) -> list[Any]:
  """Returns (share, name, [(file, first row, row behind the last), …])."""
  tasks: list[Any] = []
  for share in preparation.shards:
    mine = [
        (number, made) for number, made in enumerate(earlier[4])
        if made["share"] == share and made["num_rows"]
    ]
    if not mine:
      raise errors.InputError(_no_rows(share, preparation.settings))
    splits = np.cumsum([0, *(made["num_rows"] for _, made in mine)])
    count = _num_shards(
        preparation.settings, int(splits[-1]),
        sum(made["num_bytes"] for _, made in mine),
    )
    bounds = np.linspace(0, splits[-1], count + 1).astype(int).tolist()
    for shard in range(count):
      first, stop = bounds[shard], bounds[shard + 1]
      taken = [
          (number, max(first - low, 0), min(stop, high) - low)
          for (number, _), low, high in zip(
              mine, splits[:-1].tolist(), splits[1:].tolist(), strict=True
          )
          if low < stop and first < high
      ]
      tasks.append((share, shards.shard_name(shard, count), taken))
  return tasks


def write_shard(preparation: Preparation, task: Any) -> dict[str, Any]:
  """Writes a shard out of rows of files; returns name, rows and bytes."""
  share, name, taken = task
  folder = preparation.shards[share]
  storage.make_folder(folder)

  def chunks():
    for number, first, stop in taken:
      (ends,) = parts.read(preparation.path("ends", number), 0)
      yield storage.read(
          preparation.path("rows", number), int(ends[first]), int(ends[stop])
      )

  storage.write(f"{folder}/{name}", chunks())
  return {
      "share": share,
      "name": name,
      "rows": sum(stop - first for _, first, stop in taken),
      "bytes": storage.size_of(f"{folder}/{name}"),
  }


def _grouped(
    items: Sequence[Any],
    sizes: Sequence[int],
    least: int,
    joins_last: bool = False,
) -> list[list[Any]]:
  """Returns runs of items of together about `least` or more."""
  groups: list[list[Any]] = []
  room = 0
  for item, size in zip(items, sizes, strict=True):
    if room <= 0 or not groups:
      groups.append([])
      room = least
    groups[-1].append(item)
    room -= size
  if joins_last and room > 0 and len(groups) > 1:
    last = groups.pop()
    groups[-1] += last
  return groups


def _counted(places: np.ndarray, buckets: spill.Buckets) -> list[int]:
  """Returns how many of the documents are in each bucket."""
  return np.bincount(
      buckets.of(places), minlength=buckets.num_train + buckets.num_validation
  ).tolist()


def _num_shards(
    settings: prepare_config.PrepareConfig, num_rows: int, num_bytes: int
) -> int:
  wanted = settings.num_shards
  if wanted is None:
    wanted = max(_SHARDS, num_bytes // _SHARD_BYTES)
  return min(wanted, num_rows)


def _no_rows(share: str, settings: prepare_config.PrepareConfig) -> str:
  if share == VALIDATION:
    return _too_few(settings, "none was")
  return "inputs: expected documents to train on, none is left."


def _too_few(settings: prepare_config.PrepareConfig, what: str) -> str:
  return (
      f"validation_share ({settings.validation_share}): expected a larger "
      f"share or more documents, {what} held out."
  )


def forget() -> None:
  """Forgets what was read of a run before, whose folder may be the same."""
  _tokenizer.cache_clear()
  _vocabulary.cache_clear()


@functools.lru_cache(maxsize=1)
def _tokenizer(
    vocab_file: str, lower_case: bool
) -> tokenizer_lib.Tokenizer:
  return light_wordpiece.tokenizer(_vocabulary(vocab_file), lower_case)


@functools.lru_cache(maxsize=1)
def _vocabulary(vocab_file: str) -> vocabulary_lib.Vocabulary:
  data = storage.read(vocab_file).decode()
  return vocabulary_lib.Vocabulary(
      tuple(data.removesuffix("\n").split("\n"))
  )
