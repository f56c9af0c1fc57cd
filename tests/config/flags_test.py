import dataclasses
import pathlib
from typing import Literal

import pytest

from pd_tf.config import errors
from pd_tf.config import flags
from pd_tf.config import settings
from pd_tf.config import where


@dataclasses.dataclass(frozen=True)
class Inner:
  learning_rate: float = settings.setting(0.1, "A rate.")


@dataclasses.dataclass(frozen=True)
class Config:
  model: str | None = settings.setting(None, "A model.")
  source: str | None = settings.setting(None, "A source.", flag="from")
  runs: tuple[str, ...] = settings.setting((), "Runs.")
  steps: int = settings.setting(1, "Steps.")
  overwrite: bool = settings.setting(True, "Overwrite.")
  kind: Literal["one", "two"] = settings.setting("one", "Kind.")
  inner: Inner = settings.section(Inner)
  table: dict[str, str] = settings.mapping("No flag.")


def parsed(*arguments, **kwargs):
  return flags.parse(Config, arguments, **kwargs).settings


def test_flags_of_every_kind():
  assert parsed(
      "--model=m.zip", "--from", "there", "--steps=3", "--nooverwrite",
      "--kind=two", "--set=inner.learning_rate=3e-4",
  ) == Config(
      model="m.zip", source="there", steps=3, overwrite=False, kind="two",
      inner=Inner(3e-4),
  )
  assert parsed("--overwrite=false").overwrite is False


def test_lists_are_repeated_or_separated_by_commas():
  assert parsed("--runs=a,b", "--runs=c").runs == ("a", "b", "c")


def test_positional_arguments():
  assert parsed("a", "--steps=2", "b", positional="runs") == Config(
      runs=("a", "b"), steps=2
  )


def test_text_stays_text():
  # YAML would see a mapping, a number, a list.
  for text in ("a: b", "007", "[x", "${HOME}"):
    assert parsed(f"--model={text}").model == text
  assert parsed("--model=null").model is None


def test_flags_win_over_set_and_config(tmp_path):
  path = tmp_path / "config.yaml"
  path.write_text("{steps: 2, kind: two, model: file}")
  assert parsed(
      f"--config={path}", "--steps=4", "--set=steps=3", "--set=model=set"
  ) == Config(steps=4, kind="two", model="set")


def test_calls_do_not_know_of_each_other():
  assert parsed("--steps=2").steps == 2
  assert parsed().steps == 1


def test_run_dir_and_where():
  arguments = flags.parse(
      Config, ["--run_dir=runs/a", "--strategy=tpu", "--tpu=local"],
      owns_run_dir=True, takes_where=True,
  )
  assert arguments.run_dir == pathlib.Path("runs/a")
  assert arguments.where == where.Where("tpu", "local")
  assert flags.parse(Config, []).where == where.ONE_DEVICE


@pytest.mark.parametrize("arguments, message", [
    (["--modle=x"], "--modle: no such flag. Did you mean --model?"),
    (
        ["--learning_rate=1"],
        "--learning_rate: no such flag. "
        "Did you mean --set=inner.learning_rate=…?",
    ),
    (["--model"], "--model: expected a value, got none."),
    (["--overwrite=ja"], "--overwrite: expected true or false, got 'ja'."),
    (["--steps=many"], "steps: expected int, got 'many'."),
    (["--kind=six"], "kind: expected one of one, two, got 'six'."),
    (["stray"], "stray: unexpected; expected flags, --name=value."),
    (["--strategy=tpu"], "--strategy: no such flag."),
    (["--table=x"], "--table: no such flag."),
])
def test_wrong_flags(arguments, message):
  with pytest.raises(errors.InputError) as raised:
    flags.parse(Config, arguments)
  assert str(raised.value) == message


def test_run_dir_must_be_given():
  with pytest.raises(errors.InputError, match="^--run_dir: expected the dir"):
    flags.parse(Config, [], owns_run_dir=True)


def test_settings_are_checked_before_run_dir():
  with pytest.raises(errors.InputError, match="^steps: expected int"):
    flags.parse(Config, ["--set=steps=x"], owns_run_dir=True)
