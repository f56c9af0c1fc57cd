import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import types
import weakref

import pytest
import tensorflow as tf

from pd_tf import recipe
from pd_tf import verbs
from pd_tf.config import errors
from pd_tf.config import recipe as recipe_config
from pd_tf.config import run_dir as run_dir_lib
from pd_tf.config import settings as settings_lib


@dataclasses.dataclass(frozen=True)
class JoinConfig:
  """Of a verb that joins files; stands for all with a run directory."""

  inputs: tuple[str, ...] = settings_lib.setting((), "Files.")
  suffix: str = settings_lib.setting("", "Added.")


@dataclasses.dataclass(frozen=True)
class CopyConfig:
  """Of a verb that copies; stands for all that write to `to`."""

  model: str | None = settings_lib.setting(None, "A run.")
  to: str | None = settings_lib.setting(None, "Where to.")


def fake_verbs(monkeypatch):
  """Puts the two verbs in place of `vocab` and `export`; returns their calls.
  """
  calls = []

  def join(settings, run_dir):
    finished = run_dir_lib.claim(run_dir, settings)
    if finished is not None:
      return finished
    calls.append(run_dir.name)
    if settings.suffix == "bad":
      raise errors.InputError("suffix: expected another, got 'bad'.")
    if settings.suffix == "bug":
      raise ZeroDivisionError("boom")
    text = "".join(pathlib.Path(path).read_text() for path in settings.inputs)
    (run_dir / "out.txt").write_text(text + settings.suffix)
    result = {"length": len(text), "sizes": (1, 2)}
    run_dir_lib.finish(run_dir, result)
    return result

  def copy(settings, run_dir):
    assert run_dir is None
    to = pathlib.Path(settings.to)
    if to.exists():
      raise errors.InputError(f"to: {to} exists.")
    calls.append(to.name)
    to.mkdir()
    source = pathlib.Path(settings.model) / "out.txt"
    (to / "copy.txt").write_text(source.read_text())
    return {"to": str(to)}

  for name, kind, function in (
      ("vocab", JoinConfig, join), ("export", CopyConfig, copy)
  ):
    module = types.SimpleNamespace(run=function)
    monkeypatch.setitem(sys.modules, f"fake_{name}", module)
    monkeypatch.setitem(
        verbs.VERBS, name,
        verbs.Verb(f"fake_{name}", kind, owns_run_dir=name == "vocab"),
    )
  return calls


@pytest.fixture
def calls(monkeypatch):
  # Beside TensorFlow it takes a second, after each stage.
  monkeypatch.setattr(recipe.gc, "collect", lambda: 0)
  return fake_verbs(monkeypatch)


@pytest.fixture
def source(tmp_path):
  path = tmp_path / "source.txt"
  path.write_text("abc")
  return path


def config(source, **changes):
  """Returns a recipe: first -> second -> out, and side by itself."""
  variables = {"source": str(source), "one": "1", "two": "2", **changes}
  return settings_lib.load(recipe_config.RecipeConfig, overrides={
      "variables": variables,
      "stages": {
          "first": {
              "verb": "vocab",
              "set": {"inputs": ["{source}"], "suffix": "{one}"},
          },
          "side": {"verb": "vocab", "set": {"suffix": "s"}},
          "second": {
              "verb": "vocab",
              "set": {"inputs": ["{first}/out.txt"], "suffix": "{two}"},
          },
          "out": {"verb": "export", "set": {"model": "{second}"}},
      },
      "epilogue": "All is in {out}.\n",
  })


ALL = ["first", "side", "second", "out"]


def test_runs_stages_in_order(tmp_path, source, calls, capsys):
  run_dir = tmp_path / "run"
  result = recipe.run(config(source), run_dir)
  assert calls == ALL
  assert (run_dir / "out" / "copy.txt").read_text() == "abc12"
  assert list(result["stages"]) == ALL
  assert result["stages"]["first"]["result"]["length"] == 3
  assert json.loads((run_dir / "result.json").read_text()) == result
  output = capsys.readouterr()
  assert [line.split()[:2] for line in output.out.splitlines()[1:5]] == [
      ["first", "vocab"], ["side", "vocab"], ["second", "vocab"],
      ["out", "export"],
  ]
  assert output.out.endswith(f"\n\nAll is in {run_dir}/out.\n")
  assert "[3/4] second: done" in output.err


def test_finished_stages_are_skipped(tmp_path, source, calls, capsys):
  recipe.run(config(source), tmp_path / "run")
  first = json.loads((tmp_path / "run" / "result.json").read_text())
  calls.clear()
  second = recipe.run(config(source), tmp_path / "run")
  assert calls == []
  assert all(stage["skipped"] for stage in second["stages"].values())
  assert second["seconds"] == first["seconds"]
  assert "[1/4] first: finished and unchanged, skipped." in (
      capsys.readouterr().err
  )


def test_changed_setting_reruns_what_depends_on_it(
    tmp_path, source, calls, capsys
):
  run_dir = tmp_path / "run"
  recipe.run(config(source), run_dir)
  calls.clear()
  recipe.run(config(source, two="3"), run_dir)
  assert calls == ["second", "out"]
  assert (run_dir / "out" / "copy.txt").read_text() == "abc13"
  assert (run_dir / "second.old-1" / "out.txt").read_text() == "abc12"
  assert (run_dir / "out.old-1" / "copy.txt").read_text() == "abc12"
  message = capsys.readouterr().err
  assert (
      "[3/4] second: changed (suffix was '2', is now '3'); "
      "kept as second.old-1."
  ) in message


def test_changed_file_reruns_what_depends_on_it(tmp_path, source, calls):
  recipe.run(config(source), tmp_path / "run")
  calls.clear()
  source.write_text("xyz")
  recipe.run(config(source), tmp_path / "run")
  assert calls == ["first", "second", "out"]
  copied = tmp_path / "run" / "out" / "copy.txt"
  assert copied.read_text() == "xyz12"


def test_moved_data_and_run_dir_rerun_nothing(tmp_path, source, calls):
  recipe.run(config(source), tmp_path / "run")
  calls.clear()
  (tmp_path / "elsewhere").mkdir()
  source.rename(tmp_path / "elsewhere" / "source.txt")
  (tmp_path / "run").rename(tmp_path / "moved")
  recipe.run(config(tmp_path / "elsewhere" / "source.txt"), tmp_path / "moved")
  assert calls == []


def test_lost_directory_is_made_again(tmp_path, source, calls):
  recipe.run(config(source), tmp_path / "run")
  calls.clear()
  (tmp_path / "run" / "side").rename(tmp_path / "taken")
  recipe.run(config(source), tmp_path / "run")
  assert calls == ["side"]


def test_foreign_directory_is_kept(tmp_path, source, calls, capsys):
  recipe.run(config(source), tmp_path / "run")
  (tmp_path / "run" / "side.stage.json").unlink()
  recipe.run(config(source), tmp_path / "run")
  assert (tmp_path / "run" / "side.old-1" / "out.txt").exists()
  assert "was not made by this recipe" in capsys.readouterr().err


def test_failing_stage_is_named_and_the_others_stay(tmp_path, source, calls):
  run_dir = tmp_path / "run"
  with pytest.raises(errors.InputError) as raised:
    recipe.run(config(source, two="bad"), run_dir)
  assert str(raised.value) == (
      "stage second: suffix: expected another, got 'bad'."
  )
  assert not (run_dir / "result.json").exists()
  calls.clear()
  recipe.run(config(source), run_dir)
  assert calls == ["second", "out"]


def test_bug_in_a_stage_is_noted(tmp_path, source, calls):
  with pytest.raises(ZeroDivisionError) as raised:
    recipe.run(config(source, two="bug"), tmp_path / "run")
  assert errors.notes(raised.value) == ["in stage second"]


def test_mistake_in_a_late_stage_is_found_first(tmp_path, source, calls):
  settings = config(source)
  settings.stages["out"].set["modle"] = "x"
  with pytest.raises(errors.InputError, match="^stages.out: modle: no such"):
    recipe.run(settings, tmp_path / "run")
  assert calls == []
  assert not (tmp_path / "run").exists()


def test_directory_of_another_verb(tmp_path, source, calls):
  (tmp_path / "config.yaml").write_text("train_steps: 3\n")
  with pytest.raises(errors.InputError, match="belongs to a run of another"):
    recipe.run(config(source), tmp_path)
  assert (tmp_path / "config.yaml").read_text() == "train_steps: 3\n"


def test_nothing_of_a_stage_stays_in_memory(tmp_path, monkeypatch):
  traced = []

  @tf.custom_gradient
  def doubled(value):
    return 2.0 * value, lambda gradient: 2.0 * gradient

  def train(settings, run_dir):
    variable = tf.Variable(1.0)
    function = tf.function(lambda: doubled(variable.value()))
    assert float(function()) == 2.0
    traced.append(weakref.ref(function.get_concrete_function().graph))
    if settings.model == "broken":
      raise errors.InputError("a file is missing.")
    return {}

  fake_verbs(monkeypatch)
  monkeypatch.setattr(sys.modules["fake_export"], "run", train)
  kept = tf.function(lambda value: doubled(value))
  forward = kept.get_concrete_function(tf.constant(1.0))
  settings = settings_lib.load(
      recipe_config.RecipeConfig,
      overrides={"stages": {
          model: {"verb": "export", "set": {"model": model}}
          for model in ("good", "broken", "another")
      }},
  )
  with pytest.raises(errors.InputError, match="stage broken: a file") as raised:
    recipe.run(settings, tmp_path / "run")
  assert [graph() for graph in traced] == [None, None, None]
  assert raised.value.__cause__
  # What the caller had traced before is not touched.
  value = tf.constant(1.0)
  with tf.GradientTape() as tape:
    tape.watch(value)
    result = forward(value)
  assert float(tape.gradient(result, value)) == 2.0


def test_written_config_repeats_the_recipe(tmp_path, source, calls):
  run_dir = tmp_path / "run"
  recipe.run(config(source), run_dir)
  loaded = settings_lib.load(
      recipe_config.RecipeConfig, [str(run_dir / "config.yaml")]
  )
  assert list(loaded.stages) == ALL
  calls.clear()
  recipe.run(loaded, run_dir)
  assert calls == []


# Runs the recipe in children that are killed before or after their Nth write,
# for every N, and once more without; what is left must always be the same.
KILLS = """
import gc, os, pathlib, signal, sys, tempfile
import pytest
sys.path.insert(0, sys.argv[1])
import recipe_test
from pd_tf import recipe
from pd_tf.config import run_dir as run_dir_lib

# A killed process, unlike a machine, loses nothing that it wrote.
os.fsync = lambda descriptor: None
# Takes most of a child's time.
gc.collect = lambda: 0
write, rename = run_dir_lib.write_atomically, pathlib.Path.rename

def run(top, kill_at, after, source, **changes):
  child = os.fork()
  if child:
    return os.waitpid(child, 0)[1]
  count = 0
  def counted(original):
    def do(*args):
      nonlocal count
      count += 1
      if count == kill_at and not after:
        os.kill(os.getpid(), signal.SIGKILL)
      result = original(*args)
      if count == kill_at and after:
        os.kill(os.getpid(), signal.SIGKILL)
      return result
    return do
  run_dir_lib.write_atomically = counted(write)
  pathlib.Path.rename = counted(rename)
  code = 1
  try:
    recipe_test.fake_verbs(pytest.MonkeyPatch())
    with open(os.devnull, "w") as null:
      sys.stdout = sys.stderr = null
      recipe.run(recipe_test.config(source, **changes), top)
    code = 0
  except BaseException as error:
    print(repr(error), file=sys.__stderr__, flush=True)
  finally:
    os._exit(code)

killed = 0
for first in ({}, {"one": "0"}):
  for after in (False, True):
    for kill_at in range(1, 100, int(sys.argv[2])):
      with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        source, top = folder / "source.txt", folder / "run"
        source.write_text("abc")
        if first:
          assert run(top, 0, False, source, **first) == 0
        status = run(top, kill_at, after, source)
        if status == 0:
          break
        assert os.WIFSIGNALED(status), (kill_at, status)
        killed += 1
        assert run(top, 0, False, source) == 0, (first, kill_at, after)
        assert (top / "out/copy.txt").read_text() == "abc12"
        assert (top / "result.json").exists()
        if first:
          old = sorted(top.glob("out.old-*/copy.txt"))
          assert "abc02" in [path.read_text() for path in old], kill_at
print(killed)
"""


@pytest.mark.parametrize(
    "stride", [9, pytest.param(1, marks=pytest.mark.slow)]
)
def test_killed_at_any_write_and_run_again(stride):
  done = subprocess.run(
      [sys.executable, "-c", KILLS, os.path.dirname(__file__), str(stride)],
      env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
      capture_output=True, text=True, check=False,
  )
  assert done.returncode == 0, done.stderr
  # Each of the four passes has more than 20 writes and renames.
  assert int(done.stdout) >= 80 // stride
