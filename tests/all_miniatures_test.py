"""`pd-tf export --all_miniatures`: every size in every form, with a list."""

import hashlib
import json

import numpy as np
import pytest

from pd_tf import all_miniatures
from pd_tf import export
from pd_tf import writing
from pd_tf.config import encoder
from pd_tf.config import errors
from pd_tf.config import export as export_config
from pd_tf.config import pretrained
from pd_tf.formats import canonical
from pd_tf.formats import detect
from pd_tf.formats import release
from pd_tf.text import vocabulary

ENTRIES = (*vocabulary.SPECIAL_TOKENS, *"abcdefghij")


def miniature(layers, width=128, **changes):
  config = encoder.EncoderConfig(**{
      "num_layers": layers, "hidden_size": width, "vocab_size": len(ENTRIES),
      "max_positions": 8, **changes,
  })  # fmt: skip
  generator = np.random.default_rng(layers)
  weights = {
      name: generator.standard_normal(shape).astype(np.float32)
      for part in canonical.groups(config).values()
      for name, shape in part.items()
  }
  return pretrained.Pretrained(config, weights, ENTRIES)


@pytest.fixture(name="models")
def models_fixture(tmp_path):
  directory = tmp_path / "models"
  for layers in (4, 2):
    release.write(directory / f"run_{layers}", miniature(layers))
  release.write(directory / "odd", miniature(3))
  release.write(directory / "wide", miniature(2, intermediate_size=100))
  (directory / "notes.txt").write_text("Not a model.")
  return directory


def settings(models, to, **changes):
  return export_config.ExportConfig(**{
      "model": str(models), "to": str(to), "all_miniatures": True,
      "formats": ("release", "hugging_face"), "missing_ok": True, **changes,
  })  # fmt: skip


def read_manifest(to):
  return json.loads((to / "manifest.json").read_text())


def test_each_size_in_each_form_with_a_list(models, tmp_path):
  to = tmp_path / "out"
  result = export.run(settings(models, to))
  manifest = read_manifest(to)
  assert result == {"path": str(to), "models": manifest["models"]}
  assert [entry["path"] for entry in manifest["models"]] == [
      "release/uncased_L-2_H-128_A-2.zip",
      "hugging_face/bert_uncased_L-2_H-128_A-2",
      "release/uncased_L-4_H-128_A-2.zip",
      "hugging_face/bert_uncased_L-4_H-128_A-2",
  ]
  for entry in manifest["models"]:
    read = detect.read(to / entry["path"])
    expected = miniature(entry["num_layers"])
    assert read.weights.keys() == expected.weights.keys()
    for name, array in expected.weights.items():
      assert array.tobytes() == read.weights[name].tobytes(), name
    assert entry["num_parameters"] == sum(
        array.size for array in expected.weights.values()
    )
  table = (to / "README.md").read_text()
  assert "| 4 | 128 | release | " in table


def test_manifest_has_size_and_digest_of_each_file(models, tmp_path):
  to = tmp_path / "out"
  export.run(settings(models, to))
  listed = {}
  for entry in read_manifest(to)["models"]:
    assert entry["bytes"] == sum(file["bytes"] for file in entry["files"])
    listed |= {file["path"]: file for file in entry["files"]}
  found = {
      str(path.relative_to(to))
      for path in to.rglob("*")
      if path.is_file() and path.parent != to
  }
  assert listed.keys() == found
  for name, file in listed.items():
    data = (to / name).read_bytes()
    assert file["bytes"] == len(data)
    assert file["sha256"] == hashlib.sha256(data).hexdigest()


def test_goes_on_where_it_was_stopped(models, tmp_path, monkeypatch):
  to = tmp_path / "out"
  write_model, calls = writing.write_model, []

  def write(model, path, request):
    calls.append(str(path.relative_to(to)))
    if len(calls) == 3:
      raise KeyboardInterrupt
    return write_model(model, path, request)

  monkeypatch.setattr(all_miniatures.writing, "write_model", write)
  with pytest.raises(KeyboardInterrupt):
    export.run(settings(models, to))
  assert len(read_manifest(to)["models"]) == 2
  export.run(settings(models, to))
  assert len(calls) == 3 + 2
  assert calls[2] == calls[3]
  assert len(read_manifest(to)["models"]) == 4


def test_a_model_that_changed_is_written_anew(models, tmp_path):
  to = tmp_path / "out"
  export.run(settings(models, to, formats=("release",)))
  before = read_manifest(to)["models"]
  changed = miniature(2)
  changed.weights["bert/pooler/dense/bias"][0] += 1
  release.write(models / "run_2", changed, overwrite=True)
  export.run(settings(models, to, formats=("release",)))
  after = {entry["path"]: entry for entry in read_manifest(to)["models"]}
  assert len(after) == 2
  assert before[0]["files"] != after[before[0]["path"]]["files"]
  assert before[1] == after[before[1]["path"]]


def test_forms_can_be_added_later(models, tmp_path):
  to = tmp_path / "out"
  export.run(settings(models, to, formats=("release",)))
  export.run(settings(models, to, formats=("model_garden",)))
  assert len(read_manifest(to)["models"]) == 4


def test_missing_sizes_are_named(models, tmp_path):
  with pytest.raises(
      errors.InputError,
      match=r"^model: expected .* of the 24 sizes .* L/H = 2/256, .*, 12/768; "
      "--missing_ok",
  ):
    export.run(settings(models, tmp_path / "out", missing_ok=False))
  assert not (tmp_path / "out").exists()


def test_no_model_at_all(tmp_path):
  (tmp_path / "empty").mkdir()
  with pytest.raises(errors.InputError, match="^model: expected a model of"):
    export.run(settings(tmp_path / "empty", tmp_path / "out"))
  with pytest.raises(errors.InputError, match="^model: expected a directory"):
    export.run(settings(tmp_path / "none", tmp_path / "out"))


def test_two_of_a_size_are_named(models, tmp_path):
  release.write(models / "twin", miniature(2))
  with pytest.raises(
      errors.InputError,
      match="^model: expected one model of L=2, H=128, got run_2 and twin",
  ):
    export.run(settings(models, tmp_path / "out"))


def test_runs_without_a_model_are_left_out(models, tmp_path, caplog):
  (models / "soft_labels").mkdir()
  (models / "soft_labels" / "config.yaml").write_text("seed: 0")
  result = export.run(
      settings(models, tmp_path / "out", formats=("release",))
  )
  assert len(result["models"]) == 2
  assert "soft_labels: is a run without a model, left out." in caplog.text


def test_directory_of_other_things_is_left_alone(models, tmp_path):
  (tmp_path / "thesis.tex").touch()
  with pytest.raises(errors.InputError, match="^to: .* must be a new or empty"):
    export.run(settings(models, tmp_path))


def test_damaged_manifest_is_named(models, tmp_path):
  to = tmp_path / "out"
  export.run(settings(models, to, formats=("release",)))
  for content in ("{", "[]", '{"models": [1]}', '{"models": [{"path": "a"}]}'):
    (to / "manifest.json").write_text(content)
    with pytest.raises(errors.InputError, match="manifest.json: expected the"):
      export.run(settings(models, to))
