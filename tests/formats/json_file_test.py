"""JSON objects in files, and what is none."""

import pytest

from pd_tf.config import errors
from pd_tf.formats import json_file


def test_object(tmp_path):
  path = tmp_path / "config.json"
  path.write_text('{"a": 1}')
  assert json_file.read(path) == {"a": 1}


@pytest.mark.parametrize(
    "content,message",
    [
        (b"[1]", "expected a JSON object, got list."),
        (b"{", "not valid JSON: "),
        (b"[" * 100_000, "not valid JSON: "),
        (b'"\xe9"', "must be UTF-8, byte 1 is not."),
        (
            b" " * (json_file.MAX_BYTES + 1),
            f"must have at most {json_file.MAX_BYTES} bytes, has more.",
        ),
    ],
)
def test_what_is_no_object(tmp_path, content, message):
  path = tmp_path / "config.json"
  path.write_bytes(content)
  with pytest.raises(errors.InputError) as error:
    json_file.read(path)
  assert str(error.value).startswith(f"{path}: {message}")
  assert "\n" not in str(error.value)


def test_no_file(tmp_path):
  with pytest.raises(errors.InputError, match="no such file"):
    json_file.read(tmp_path / "none.json")
  with pytest.raises(errors.InputError, match="cannot be read"):
    json_file.read(tmp_path)
