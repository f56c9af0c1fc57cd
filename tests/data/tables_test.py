"""Rows of every form, whatever is in the bytes."""

import bz2
import collections
import gzip
import json
import lzma

import hypothesis
from hypothesis import strategies
import pytest

from pd_tf.config import errors
from pd_tf.config import task
from pd_tf.data import tables
from pd_tf.data import tasks

COLUMNS = ("text", "label")
TEXTS = strategies.text(max_size=30)


def _rows(path, skip_bad=False, header=()):
  skipped = collections.Counter()
  got = list(
      tables.rows(str(path), tables.Wanted(COLUMNS, header, skip_bad), skipped)
  )
  return got, skipped


def _write(path, data):
  path.write_bytes(data if isinstance(data, bytes) else data.encode())
  return path


@hypothesis.given(
    strategies.lists(strategies.tuples(TEXTS, TEXTS), min_size=1, max_size=20)
)
def test_what_was_written_is_read(tmp_path_factory, pairs):
  folder = tmp_path_factory.mktemp("rows")
  expected = [list(pair) for pair in pairs]
  lines = [
      json.dumps(dict(zip(COLUMNS, pair, strict=True))) for pair in pairs
  ]
  assert _rows(_write(folder / "a.jsonl", "\n".join(lines)))[0] == expected
  # Line ends within fields are read as the line feed that they are written as.
  quoted = [
      ['"' + text.replace('"', '""') + '"' for text in pair] for pair in pairs
  ]
  text = "text,label\n" + "\n".join(map(",".join, quoted)) + "\n"
  got = _rows(_write(folder / "a.csv", text))[0]
  assert got == [
      [text.replace("\r\n", "\n") for text in pair] for pair in pairs
  ]


@hypothesis.settings(max_examples=150)
@hypothesis.given(
    strategies.one_of(
        strategies.binary(max_size=200),
        strategies.text(
            '\t\r\n",{}[]:0123456789eE.-nul\\ \x00a\u202eé🎬', max_size=100
        ).map(str.encode),
    ),
    strategies.sampled_from(
        ["a.tsv", "a.csv", "a.jsonl", "a.tsv.gz", "a.jsonl.bz2", "a.csv.xz"]
    ),
    strategies.booleans(),
)
def test_any_bytes_give_rows_or_one_line(tmp_path_factory, data, name, packed):
  pack = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
  head = b"text\tlabel\n" if ".tsv" in name else b"text,label\n"
  body = (b"" if ".jsonl" in name else head) + data
  path = tmp_path_factory.mktemp("fuzz") / name
  if packed and path.suffix in pack:
    body = pack[path.suffix](body)
  path.write_bytes(body)
  config = task.TaskConfig(text_columns=("text",), bad_rows="skip")
  try:
    got = tasks.read_task(config, str(path))
  except errors.InputError as error:
    assert str(error).startswith((str(path), "task."))
    assert "\n" not in str(error)
  else:
    assert len(got.columns[0]) == len(got.labels) > 0


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.tsv", "texts\tlabel\nx\t1\n", r"no column text; .* mean texts\?"),
        ("a.tsv", "text\ttext\tlabel\nx\ty\t1\n", "text is there 2 times"),
        ("a.tsv", "text\tlabel\nx\ty\t1\n", "line 2: expected 2 .*, got 3"),
        ("a.csv", 'text,label\n"x,1\ny,0\n', "not CSV: unexpected end"),
        ("a.csv", "text,label\nx\n", "line 2: expected 2 columns, got 1"),
        ("a.jsonl", '{"Text": "x", "label": 1}\n', "line 1: .* mean Text"),
        ("a.jsonl", '{"text": "x", "label": NaN}\n', "a finite number in lab"),
        ("a.jsonl", "[" * 100_000, "line 1: not JSON"),
        ("a.jsonl", '{"text": "x", "label": ' + "9" * 5000 + "}", "not JSON"),
        ("a.tsv", b"text\tlabel\n\xff\t1\n", "UTF-8"),
        # Without the time: its bytes are the test's name, in every process.
        ("a.tsv.gz", gzip.compress(
            b"text\tlabel\n" + b"x\t1\n" * 999, mtime=0
        )[:-9], "a whole .gz file"),
    ],
)
def test_bad_files_are_refused(tmp_path, name, text, message):
  path = _write(tmp_path / name, text)
  with pytest.raises(errors.InputError, match=message) as raised:
    _rows(path)
  assert str(raised.value).startswith(str(path))


def test_bad_rows_are_counted_where_they_are_skipped(tmp_path):
  lines = ["text\tlabel", "a\t1", "broken", "b\t0\t\t", "also broken", "c\t1"]
  path = _write(tmp_path / "a.tsv", "\r\n".join(lines))
  got, skipped = _rows(path, skip_bad=True)
  assert got == [["a", "1"], ["c", "1"]]
  assert skipped == {"expected 2 columns": 3}
  records = ['{"text": "a", "label": 1}', "no", "[1]", '{"text": "b"}']
  path = _write(tmp_path / "a.jsonl", "\n".join(records))
  got, skipped = _rows(path, skip_bad=True)
  assert got == [["a", "1"]] and skipped.total() == 3


def test_a_file_without_a_header(tmp_path):
  path = _write(tmp_path / "a.tsv", "x\tone\t0\ny\ttwo\t1\n")
  got, _ = _rows(path, header=("source", "text", "label"))
  assert got == [["one", "0"], ["two", "1"]]


def test_a_text_of_ten_megabytes_and_odd_characters_are_texts(tmp_path):
  odd = "\x00 \x07 \u202eabc\u202c 🎬 \u0085 \u2028"
  for name, separator in (("a.tsv", "\t"), ("a.csv", ",")):
    huge = "word " * 2_000_000
    path = _write(
        tmp_path / name,
        separator.join(COLUMNS) + f"\n{huge}{separator}1\n{odd}{separator}0\n",
    )
    assert _rows(path)[0] == [[huge, "1"], [odd, "0"]]
