import pytest

from pd_tf.config import errors
from pd_tf.config import interpolation

NAMES = {"vocab": "/runs/vocab", "steps": "12", "yes": "true", "unset": None}


def test_fills_nested_settings(monkeypatch):
  monkeypatch.setenv("PD_TF_TEST_DATA", "/data")
  assert interpolation.fill(
      {
          "files": ["{vocab}/vocab.txt", "${PD_TF_TEST_DATA}/a.txt"],
          "inner": {"steps": "{steps}", "rate": 0.5, "flag": "{yes}"},
          "text": "{yes} {{vocab}} {1} {}",
      },
      NAMES, "set",
  ) == {
      "files": ["/runs/vocab/vocab.txt", "/data/a.txt"],
      "inner": {"steps": "12", "rate": 0.5, "flag": True},
      "text": "true {vocab} {1} {}",
  }


def test_references():
  assert interpolation.references(
      {"a": ["{x}/y", 3], "b": {"c": "{z}{x}"}, "d": "{{w}} ${V} none"}
  ) == {"x", "z"}


@pytest.mark.parametrize("text, message", [
    ("{voab}", "inputs: {voab} is none of vocab, steps, yes, unset."),
    (
        "${PD_TF_NOT_SET}",
        "PD_TF_NOT_SET: expected an environment variable of this name "
        "(inputs uses it), it is not set.",
    ),
    (
        "{unset}",
        "variables.unset: expected a value (inputs uses it), got none; give "
        "it with --set=variables.unset=…",
    ),
])
def test_wrong_names(text, message):
  with pytest.raises(errors.InputError) as raised:
    interpolation.fill([text], NAMES, "inputs")
  assert str(raised.value) == message
