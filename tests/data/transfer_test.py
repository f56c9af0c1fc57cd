import json

import hypothesis
from hypothesis import strategies
import numpy as np
import pytest

from pd_tf.config import errors
from pd_tf.data import examples as examples_lib
from pd_tf.data import transfer


def _examples(tokens):
  return examples_lib.Examples(
      np.array(tokens, np.int32), np.array([0, 2, len(tokens)]),
      np.array([2, 1], np.int32), np.array([-1, 1], np.int32),
  )


def _store(path, vocab="v", top=300):
  path.mkdir()
  logits = np.array([[0.1, -0.2], [3.0, 4.0]], np.float32)
  transfer.write_part(path, 0, _examples([1, 2, 3]), logits)
  transfer.write_part(path, 1, _examples([4, 5, top]), logits + 1)
  transfer.finish(path, {
      "num_parts": 2, "kind": "classification", "label_names": ["n", "y"],
      "num_texts": 1, "vocab_sha256": vocab,
  })
  return path


@pytest.mark.parametrize("top", [65535, 65536])
def test_what_is_written_is_read(tmp_path, top):
  read = transfer.read(_store(tmp_path / "s", top=top), "x")
  assert read.examples.tokens.tolist() == [1, 2, 3, 4, 5, top]
  assert read.examples.lengths.tolist() == [2, 1, 2, 1]
  assert read.examples.labels.tolist() == [-1, 1, -1, 1]
  np.testing.assert_allclose(read.examples.teacher_logits[2], [1.1, 0.8])
  assert read.examples.first_lengths.tolist() == [2, 1, 2, 1]
  assert read.task.label_names == ("n", "y")


def test_several_are_one(tmp_path):
  one, two = _store(tmp_path / "1"), _store(tmp_path / "2")
  read = transfer.read_all([str(one), str(two)], "x")
  assert len(read.examples) == 8
  assert read.examples.teacher_logits.shape == (8, 2)
  other = _store(tmp_path / "3", vocab="w")
  with pytest.raises(errors.InputError, match="^x: .*another vocabulary"):
    transfer.read_all([str(one), str(other)], "x")
  with pytest.raises(errors.InputError, match="^x: expected directories"):
    transfer.read_all([], "x")


def test_lengths_are_told_by_the_first_parts(tmp_path):
  path = str(_store(tmp_path / "s"))
  transfer.write_part(
      tmp_path / "s", 1,
      examples_lib.Examples(
          np.zeros(9, np.int32), np.array([0, 9]), np.array([9], np.int32),
          np.array([1], np.int32),
      ),
      np.zeros([1, 2], np.float32),
  )
  assert transfer.first_lengths([path], "x", 9).tolist() == [2, 1, 9]
  assert transfer.first_lengths([path], "x", 1).tolist() == [2, 1]
  assert transfer.first_lengths([], "x", 1).tolist() == []
  transfer.part_path(tmp_path / "s", 0).write_bytes(b"damaged")
  with pytest.raises(errors.InputError, match="part-00000.npz: expected a pa"):
    transfer.first_lengths([path], "x", 1)


def test_an_unfinished_set_is_never_read(tmp_path):
  path = _store(tmp_path / "s")
  (path / transfer.MANIFEST).unlink()
  with pytest.raises(errors.InputError, match="^x: .*pd-tf label"):
    transfer.read(path, "x")


def test_a_damaged_or_missing_part_is_named(tmp_path):
  path = _store(tmp_path / "s")
  part = transfer.part_path(path, 1)
  part.write_bytes(part.read_bytes()[:100])
  with pytest.raises(errors.InputError, match="part-00001.npz"):
    transfer.read(path, "x")
  part.unlink()
  with pytest.raises(errors.InputError, match="part-00001.npz"):
    transfer.read(path, "x")


def test_another_manifest_is_refused(tmp_path):
  path = _store(tmp_path / "s")
  (path / transfer.MANIFEST).write_text(json.dumps({"rows": 3}))
  with pytest.raises(errors.InputError, match="not a manifest of"):
    transfer.read(path, "x")


def test_a_flipped_bit_is_named(tmp_path):
  path = _store(tmp_path / "s")
  manifest = json.loads((path / transfer.MANIFEST).read_text())
  digests = [transfer.sha256_of_part(path, index) for index in range(2)]
  (path / transfer.MANIFEST).write_text(
      json.dumps(manifest | {"part_sha256": digests})
  )
  assert len(transfer.read(path, "x").examples) == 4
  part = transfer.part_path(path, 1)
  whole = part.read_bytes()
  for place in range(0, len(whole), 97):
    part.write_bytes(
        whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :]
    )
    with pytest.raises(errors.InputError, match="part-00001.npz: is damaged"):
      transfer.read(path, "x")


@hypothesis.settings(
    max_examples=150, deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(strategies.data())
def test_damage_without_a_digest_is_found_or_harmless(tmp_path, data):
  path = tmp_path / "s"
  if not path.exists():
    _store(path)
  part = transfer.part_path(path, 1)
  keep = tmp_path / "whole"
  if not keep.exists():
    keep.write_bytes(part.read_bytes())
  whole = bytearray(keep.read_bytes())
  for _ in range(data.draw(strategies.integers(1, 3))):
    place = data.draw(strategies.integers(0, len(whole) - 1))
    whole[place] ^= 1 << data.draw(strategies.integers(0, 7))
  part.write_bytes(whole)
  try:
    read = transfer.read(path, "x")
  except errors.InputError as error:
    assert "part-00001.npz" in str(error)
    return
  # Only what no value depends on: dates and flags of the zip.
  assert read.examples.tokens.tolist() == [1, 2, 3, 4, 5, 300]
  np.testing.assert_allclose(read.examples.teacher_logits[3], [4.0, 5.0])


@pytest.mark.parametrize(
    "change",
    [
        {"num_parts": 0}, {"num_parts": -1}, {"num_parts": "2"},
        {"label_names": "ny"}, {"part_sha256": ["a"]}, {"kind": None},
        {"num_parts": True}, {"label_names": ["n", "y", "z"]},
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(tmp_path, change):
  path = _store(tmp_path / "s")
  manifest = json.loads((path / transfer.MANIFEST).read_text())
  (path / transfer.MANIFEST).write_text(json.dumps(manifest | change))
  with pytest.raises(errors.InputError):
    transfer.read(path, "x")


def test_sets_that_differ_in_lower_case_are_refused(tmp_path):
  paths = []
  for name, lower_case in (("1", True), ("2", False)):
    path = _store(tmp_path / name)
    manifest = json.loads((path / transfer.MANIFEST).read_text())
    (path / transfer.MANIFEST).write_text(
        json.dumps(manifest | {"lower_case": lower_case})
    )
    paths.append(str(path))
  with pytest.raises(errors.InputError, match="^x: .*another lower_case"):
    transfer.read_all(paths, "x")
