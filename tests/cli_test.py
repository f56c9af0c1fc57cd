import ast
import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
import types

import pytest

from pd_tf import cli
from pd_tf import verbs
from pd_tf.config import errors
from pd_tf.config import help_text
from pd_tf.config import listing
from pd_tf.config import lock
from pd_tf.config import run_dir as run_dir_lib
from pd_tf.config import settings as settings_lib
from pd_tf.config import where as where_lib


@dataclasses.dataclass(frozen=True)
class FakeConfig:
  size: int = settings_lib.setting(1, "A size.")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
  # What main sets must not reach other tests.
  monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture
def fake(monkeypatch):
  """Puts a verb `fake` in place; returns it, `body` is what it does."""
  module = types.SimpleNamespace(body=lambda run_dir: None, calls=[])

  def run(settings, run_dir, where):
    module.calls.append((settings, run_dir, where))
    run_dir_lib.claim(run_dir, settings)
    module.body(run_dir)
    return {"size": settings.size, "größe": 1}

  module.run = run
  monkeypatch.setitem(sys.modules, "fake_verb", module)
  monkeypatch.setitem(
      verbs.VERBS, "fake",
      verbs.Verb("fake_verb", FakeConfig, owns_run_dir=True, takes_where=True),
  )
  return module


def failed(capsys, *arguments):
  """Runs a command that must fail; returns its one line."""
  assert cli.main(arguments) == 1
  output = capsys.readouterr()
  assert output.out == ""
  assert output.err.count("\n") == 1
  return output.err.rstrip("\n")


def python(*arguments, **kwargs):
  return subprocess.run(
      [sys.executable, *arguments], capture_output=True, text=True,
      check=False,
      env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, **kwargs,
  )


@pytest.mark.parametrize("arguments", [[], ["--help"], ["help"]])
def test_overview_lists_every_verb(capsys, arguments):
  assert cli.main(arguments) == 0
  lines = capsys.readouterr().out.splitlines()
  for name in verbs.VERBS:
    assert any(
        re.match(rf"  {name} +[A-Z].*\.$", line) for line in lines
    ), f"{name} has no line that says what it does"


@pytest.mark.parametrize("name", list(verbs.VERBS))
def test_help_of_each_verb(capsys, name):
  assert cli.main([name, "--help"]) == 0
  text = capsys.readouterr().out
  assert f"pd-tf {name} " in text.partition("\n")[2], "no example"
  assert "read" in text.lower() and "write" in text.lower()
  for entry in listing.entries(verbs.VERBS[name].config):
    assert entry.name in text
  assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("name", list(verbs.VERBS))
def test_functions_take_what_the_table_says(name):
  verb = verbs.VERBS[name]
  source = pathlib.Path(cli.__file__).with_name(f"{name}.py").read_text("utf-8")
  found = {
      node.name: [argument.arg for argument in node.args.args]
      for node in ast.parse(source).body
      if isinstance(node, ast.FunctionDef) and node.name in ("begin", "run")
  }
  expected = ["settings", "run_dir"] + ["where"] * verb.takes_where
  expected += ["processes"] * verb.takes_processes
  assert found.pop("run") == expected
  assert found == ({"begin": ["settings", "where"]} if verb.begins else {})


def test_nothing_heavy_is_imported_before_a_verb_runs():
  done = python("-c", """
import sys
from pd_tf import cli
cli.main([])
cli.main(["train", "--help"])
cli.main(["train", "--set=train_steps=x"])
heavy = {"tensorflow", "tf_keras", "numpy", "matplotlib", "jinja2"}
heavy &= set(sys.modules)
sys.exit(", ".join(heavy) or 0)
""")
  assert done.returncode == 0, done.stderr


def test_as_a_module():
  done = python("-m", "pd_tf", "--version")
  assert done.stdout.startswith("pd-tf ")
  done = python("-m", "pd_tf", "trian")
  assert (done.returncode, done.stdout) == (1, "")
  assert done.stderr == "pd-tf: trian: no such verb. Did you mean train?\n"


def test_unknown_verbs(capsys):
  assert failed(capsys, "--debg", "train") == (
      "pd-tf: --debg: expected a verb before the flags; see pd-tf --help."
  )
  assert failed(capsys, "qqq") == (
      "pd-tf: qqq: no such verb. See pd-tf --help."
  )


def test_result_goes_to_stdout(capsys, fake, tmp_path):
  run_dir = tmp_path / "run"
  assert cli.main([
      "fake", "--size=3", f"--run_dir={run_dir}", "--strategy=mirrored",
      "--num_gpus=2",
  ]) == 0
  output = capsys.readouterr()
  assert json.loads(output.out) == {"size": 3, "größe": 1}
  assert "größe" in output.out
  assert output.err == ""
  assert fake.calls == [
      (FakeConfig(3), run_dir, where_lib.Where("mirrored", num_gpus=2))
  ]


def test_settings_are_checked_before_the_verb(capsys, fake, tmp_path):
  line = failed(capsys, "fake", "--size=big", f"--run_dir={tmp_path}/run")
  assert line == "pd-tf fake: size: expected int, got 'big'."
  assert not (tmp_path / "run").exists()
  assert failed(capsys, "fake").startswith("pd-tf fake: --run_dir: expected")
  assert fake.calls == []


@pytest.mark.parametrize("error, line", [
    (errors.InputError("size: too\nbig."), "size: too big."),
    (errors.RunError("step 3: loss is nan."), "step 3: loss is nan."),
    (OSError(28, "No space left on device", "/x/y"),
     "/x/y: No space left on device."),
    (OSError(28, "No space left on device"), "No space left on device."),
])
def test_foreseen_errors_are_one_line(capsys, fake, tmp_path, error, line):
  def body(run_dir):
    raise error

  fake.body = body
  run_dir = tmp_path / "run"
  assert failed(capsys, "fake", f"--run_dir={run_dir}") == f"pd-tf fake: {line}"
  assert not (run_dir / "traceback.txt").exists()


def test_unforeseen_errors_leave_a_traceback(capsys, fake, tmp_path):
  def body(run_dir):
    raise ZeroDivisionError("no\nway")

  fake.body = body
  run_dir = tmp_path / "run"
  assert failed(capsys, "fake", f"--run_dir={run_dir}") == (
      "pd-tf fake: ZeroDivisionError: no way "
      f"(traceback in {run_dir}/traceback.txt)"
  )
  assert "in body" in (run_dir / "traceback.txt").read_text()


def test_unforeseen_error_without_a_run(capsys, monkeypatch):
  def run(settings, run_dir):
    raise KeyError("lost")

  module = types.SimpleNamespace(run=run)
  monkeypatch.setitem(sys.modules, "fake_verb", module)
  monkeypatch.setitem(verbs.VERBS, "fake", verbs.Verb("fake_verb", FakeConfig))
  assert failed(capsys, "fake") == (
      "pd-tf fake: KeyError: 'lost' (run again with --debug for the traceback)"
  )


def test_debug_shows_the_traceback(capsys, fake, tmp_path):
  def body(run_dir):
    raise errors.InputError("size: wrong.")

  fake.body = body
  assert cli.main(["fake", f"--run_dir={tmp_path}/run", "--debug"]) == 1
  assert "Traceback" in capsys.readouterr().err


def test_interrupted(capsys, fake, tmp_path):
  def body(run_dir):
    raise KeyboardInterrupt

  fake.body = body
  assert cli.main(["fake", f"--run_dir={tmp_path}/run"]) == 130
  assert capsys.readouterr().err == (
      "pd-tf fake: interrupted. The same command goes on where it stopped.\n"
  )


def test_run_dir_in_use(capsys, fake, tmp_path):
  with lock.held(tmp_path / "run"):
    line = failed(capsys, "fake", f"--run_dir={tmp_path}/run")
    assert line.startswith(f"pd-tf fake: run_dir: {tmp_path}/run is in use by")
    # Workers of one run share its directory; the chief holds it.
    assert cli.main([
        "fake", f"--run_dir={tmp_path}/run",
        "--strategy=multi_worker_mirrored", "--workers=a:1,b:1",
        "--worker_index=1",
    ]) == 0


def test_reader_that_leaves():
  with subprocess.Popen(
      [sys.executable, "-m", "pd_tf", "train", "--help"],
      env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
  ) as process:
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    message = process.stderr.read()
  assert process.returncode == 1
  assert message == (
      "pd-tf train: stopped: nobody reads its output any more.\n"
  )


def test_recipe_finds_config_files_above_its_own(capsys, monkeypatch, tmp_path):
  (tmp_path / "configs" / "recipes").mkdir(parents=True)
  (tmp_path / "configs" / "words.yaml").write_text("{vocab_sise: 9}")
  path = tmp_path / "configs" / "recipes" / "one.yaml"
  path.write_text("""
stages:
  words: {verb: vocab, config: configs/words.yaml}
""")
  monkeypatch.chdir("/")
  line = failed(
      capsys, "recipe", f"--config={path}", f"--run_dir={tmp_path}/run"
  )
  assert line == (
      "pd-tf recipe: stages.words: vocab_sise: no such setting in "
      "VocabConfig. Did you mean vocab_size?"
  )


def test_docstring_of_a_module_that_is_not_there():
  assert help_text.docstring("pd_tf.no_such_verb") == ""
