"""Rows of TensorFlow Datasets by name: `tfds:imdb_reviews#unsupervised`.

A source is `tfds:NAME[/CONFIG][:VERSION][#SPLIT]`, where SPLIT is what TFDS
itself takes (`train`, `test[:10%]`) and is `train` where it is not given. Data
are prepared under TFDS's own directory (the environment variable
`TFDS_DATA_DIR`, else ~/tensorflow_datasets), downloaded the first time.
"""

from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from absl import logging
import numpy as np
import tensorflow_datasets as tfds

from pd_tf.config import errors
from pd_tf.config import tfds_name

_DEFAULT_SPLIT = "train"
# What stands for bytes that are no UTF-8.
_REPLACEMENT = "\ufffd"
_SCALARS = (
    tfds.features.Text, tfds.features.ClassLabel, tfds.features.Tensor,
)

# A text, or the texts of a sequence.
Cell = str | tuple[str, ...]


def num_rows(source: str, setting_name: str) -> int:
  """Returns how many rows a source has; prepares its data set if need be.

  Raises:
    InputError: There is no such data set or split, or it cannot be prepared.
  """
  builder, split = _prepared(source, setting_name)
  return builder.info.splits[split].num_examples


def rows(
    source: str,
    columns: Sequence[str],
    setting_name: str,
    start: int = 0,
    stop: int | None = None,
) -> Iterator[dict[str, str]]:
  """Yields rows in the data set's own order.

  Args:
    source: As above.
    columns: Features wanted, each a text, a label or a number; `a/b` is b
      inside a.
    setting_name: The setting it comes from; errors start with it.
    start: First row, counted from 0.
    stop: Row behind the last; None reads to the end.

  Yields:
    The columns of a row as text. A label has its name, and is empty where the
    data set hides it (GLUE's test sets).

  Raises:
    InputError: As `num_rows`, or a column is not there or holds several.
  """
  for row in cells(source, columns, setting_name, start, stop):
    texts = {}
    for name, cell in row.items():
      if not isinstance(cell, str):
        raise errors.InputError(
            f"{setting_name}: column {name!r} of {source} must hold one text "
            f"a row, it holds a sequence."
        )
      texts[name] = cell
    yield texts


def cells(
    source: str,
    columns: Sequence[str],
    setting_name: str,
    start: int = 0,
    stop: int | None = None,
) -> Iterator[dict[str, Cell]]:
  """Yields what `rows` does; a sequence, of labels say, as a tuple of texts.

  Bytes that are no UTF-8 are replaced, and the log says in how many texts.
  """
  builder, split = _prepared(source, setting_name)
  features = {
      name: _feature(builder.info.features, name, source, setting_name)
      for name in columns
  }
  wanted = builder.as_dataset(split=split, shuffle_files=False)
  wanted = wanted.skip(start)
  if stop is not None:
    wanted = wanted.take(stop - start)
  replaced = 0
  for row in wanted.as_numpy_iterator():
    found = {
        name: _cell(feature, _inside(row, name))
        for name, feature in features.items()
    }
    replaced += any(_REPLACEMENT in str(cell) for cell in found.values())
    yield found
  if replaced:
    logging.warning(
        "%s: %d rows hold characters that were, or now are, U+FFFD.",
        source, replaced,
    )


def _prepared(
    source: str, setting_name: str
) -> tuple[tfds.core.DatasetBuilder, str]:
  """Returns a builder whose data are on disk, and the split."""
  name, _, split = source.removeprefix(tfds_name.PREFIX).partition("#")
  split = split or _DEFAULT_SPLIT
  try:
    builder = tfds.builder(name, try_gcs=False)
    builder.download_and_prepare()
    builder.info.splits[split]
  except Exception as error:
    # TFDS raises whatever its parts do: ValueError, KeyError, download errors.
    reason = str(error).strip().splitlines()
    raise errors.InputError(
        f"{setting_name}: {source} cannot be read from TensorFlow Datasets: "
        f"{reason[0] if reason else type(error).__name__}."
    ) from None
  return builder, split


def _feature(
    features: Any, name: str, source: str, setting_name: str
) -> Any:
  """Returns the feature of a column, after checking that it can be text."""
  found = features
  for part in name.split("/"):
    if not isinstance(found, tfds.features.FeaturesDict) or part not in found:
      raise errors.InputError(
          f"{setting_name}: {source} has no column {name!r}; it has "
          f"{', '.join(sorted(features))}."
      )
    found = found[part]
  inner = found.feature if isinstance(found, tfds.features.Sequence) else found
  if not isinstance(inner, _SCALARS) or inner.shape != ():
    raise errors.InputError(
        f"{setting_name}: column {name!r} of {source} must hold texts, labels "
        f"or numbers, it holds {type(inner).__name__}."
    )
  return found


def _inside(row: Any, name: str) -> Any:
  for part in name.split("/"):
    row = row[part]
  return row


def _cell(feature: Any, value: Any) -> Cell:
  if isinstance(feature, tfds.features.Sequence):
    return tuple(_text(feature.feature, item) for item in value)
  return _text(feature, value)


def _text(feature: Any, value: Any) -> str:
  if isinstance(feature, tfds.features.ClassLabel):
    return "" if value < 0 else feature.int2str(int(value))
  if isinstance(value, bytes):
    return value.decode("utf-8", errors="replace")
  return str(value).lower() if isinstance(value, np.bool_) else str(value)
