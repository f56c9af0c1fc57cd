import json

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
  assert read.task.label_names == ("n", "y")


def test_several_are_one(tmp_path):
  one, two = _store(tmp_path / "1"), _store(tmp_path / "2")
  read = transfer.read_all([str(one), str(two)], "x")
  assert len(read.examples) == 8
  assert read.examples.teacher_logits.shape == (8, 2)
  other = _store(tmp_path / "3", vocab="w")
  with pytest.raises(errors.InputError, match="^x: .*another task or vocab"):
    transfer.read_all([str(one), str(other)], "x")
  with pytest.raises(errors.InputError, match="^x: expected directories"):
    transfer.read_all([], "x")


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
