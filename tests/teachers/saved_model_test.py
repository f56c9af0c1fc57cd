import numpy as np
import pytest
import tensorflow as tf

from pd_tf.config import errors
from pd_tf.teachers import saved_model


class _Lengths(tf.Module):
  """Logits are the lengths of the texts, so that order shows."""

  def __init__(self, pair, names):
    super().__init__()
    spec = tf.TensorSpec([None], tf.string)
    inputs = ("text_a", "text_b") if pair else ("text",)

    def outputs(*texts):
      lengths = [tf.cast(tf.strings.length(t), tf.float32) for t in texts]
      got = {"logits": tf.stack([lengths[0], lengths[-1] * 2], axis=1)}
      if names:
        got["label_names"] = tf.constant(names)
      return got

    if pair:
      function = tf.function(lambda text_a, text_b: outputs(text_a, text_b))
    else:
      function = tf.function(lambda text: outputs(text))
    self.serve = function.get_concrete_function(
        **dict.fromkeys(inputs, spec)
    )


def _save(path, pair=False, names=("no", "yes")):
  module = _Lengths(pair, names)
  tf.saved_model.save(module, str(path), {"serving_default": module.serve})
  return str(path)


def test_order_is_kept_over_calls(tmp_path):
  path = _save(tmp_path / "m")
  assert saved_model.is_one(path) and not saved_model.is_one(str(tmp_path))
  teacher = saved_model.SavedModelTeacher(path)
  texts = ["x" * int(n) for n in np.random.default_rng(0).integers(1, 50, 150)]
  expected = [[len(text), 2 * len(text)] for text in texts]
  np.testing.assert_array_equal(teacher.logits([texts]), expected)
  assert teacher.task.label_names == ("no", "yes")
  assert teacher.task.num_texts == 1


def test_pairs(tmp_path):
  teacher = saved_model.SavedModelTeacher(_save(tmp_path / "m", pair=True))
  assert teacher.task.num_texts == 2
  np.testing.assert_array_equal(
      teacher.logits([["aaa", "b"], ["c", "dd"]]), [[3, 2], [1, 4]]
  )


def test_labels_without_names_are_numbers(tmp_path):
  teacher = saved_model.SavedModelTeacher(_save(tmp_path / "m", names=()))
  assert teacher.task.label_names == ("0", "1")


def test_other_saved_models_are_refused(tmp_path):
  module = tf.Module()
  module.f = tf.function(
      lambda x: {"y": x}, input_signature=[tf.TensorSpec([None], tf.float32)]
  )
  signatures = {"serving_default": module.f}
  tf.saved_model.save(module, str(tmp_path / "m"), signatures)
  with pytest.raises(errors.InputError, match="expected strings in and logits"):
    saved_model.SavedModelTeacher(str(tmp_path / "m"))
  tf.saved_model.save(module, str(tmp_path / "n"), {"other": module.f})
  with pytest.raises(errors.InputError, match="expected a serving_default"):
    saved_model.SavedModelTeacher(str(tmp_path / "n"))


def test_a_damaged_saved_model_is_one_line(tmp_path):
  (tmp_path / "saved_model.pb").write_bytes(b"no model")
  with pytest.raises(errors.InputError, match="cannot be loaded") as raised:
    saved_model.SavedModelTeacher(str(tmp_path))
  assert "\n" not in str(raised.value)
