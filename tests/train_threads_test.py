"""A process of `pd-tf train` chooses its threads, and no other does.

TensorFlow's threads are those of a process: each case has one of its own.
"""

import json
import os
import subprocess
import sys

import pytest
import yaml

from pd_tf import train
from pd_tf.config import settings as settings_lib
from pd_tf.config import train as train_config
from pd_tf.config import where as where_config

# Says how many threads an operation has once TensorFlow has started, which
# refuses to be told another number from then on; 0 is its own choice.
DRIVER = """
import json, pathlib, sys
import tensorflow as tf
from pd_tf import cli
from pd_tf import train
from pd_tf.config import settings
from pd_tf.config import train as train_config
from pd_tf.config import where

if sys.argv[1] == "library":
  config, run_dir, *changes = sys.argv[2:]
  loaded = settings.load(train_config.TrainConfig, [config], changes)
  train.run(loaded, pathlib.Path(run_dir), where.ONE_DEVICE)
else:
  assert cli.main(sys.argv[1:]) == 0
threads = tf.config.threading.get_intra_op_parallelism_threads()
try:
  tf.config.threading.set_intra_op_parallelism_threads(threads + 7)
except RuntimeError:
  print("threads", threads)
"""
SHORT = ("train_steps=2", "steps_per_loop=2", "evaluate_steps=2")


def threads(*arguments, environment=None):
  """Runs a process; returns how many threads an operation of it had."""
  inherited = {
      name: value for name, value in os.environ.items()
      if name != "TF_NUM_INTRAOP_THREADS"
  }
  done = subprocess.run(
      [sys.executable, "-c", DRIVER, *arguments], capture_output=True,
      text=True, check=False,
      env={
          **inherited, "PYTHONPATH": os.pathsep.join(sys.path),
          **(environment or {}),
      },
  )  # fmt: skip
  assert done.returncode == 0, done.stderr
  name, number = done.stdout.splitlines()[-1].split()
  assert name == "threads"
  return int(number)


def command(tiny, tmp_path, *assignments):
  return [
      "train", f"--config={tiny}/config.yaml", f"--run_dir={tmp_path}/run",
      *(f"--set={value}" for value in (*SHORT, *assignments)),
  ]


def test_a_command_of_small_updates_runs_operations_whole(tiny, tmp_path):
  assert threads(*command(
      tiny, tmp_path, "objective=finetune", "task.held_out=0.2",
  )) == 1
  result = json.loads((tmp_path / "run" / "result.json").read_text())
  assert 0 <= result["best"]["accuracy"] <= 1


def test_the_environment_goes_before_it(tiny, tmp_path):
  assert threads(
      *command(tiny, tmp_path, "objective=finetune"),
      environment={"TF_NUM_INTRAOP_THREADS": "2"},
  ) == 0


def test_a_recipe_leaves_it_to_tensorflow(tiny, tmp_path):
  recipe = tmp_path / "recipe.yaml"
  changes = dict(value.split("=") for value in SHORT)
  recipe.write_text(yaml.safe_dump({"stages": {"task": {
      "verb": "train", "config": f"{tiny}/config.yaml",
      "set": {"objective": "finetune", **changes},
  }}}))
  assert threads(
      "recipe", f"--config={recipe}", f"--run_dir={tmp_path}/run"
  ) == 0


def test_a_call_of_the_library_leaves_it_to_tensorflow(tiny, tmp_path):
  assert threads(
      "library", f"{tiny}/config.yaml", f"{tmp_path}/run",
      "objective=finetune", *SHORT,
  ) == 0


@pytest.fixture
def begun(tiny, monkeypatch):
  """What `begin` takes for the size of an update; None where it asks not."""

  def begin(*assignments, where=where_config.ONE_DEVICE, gpus=()):
    numbers = []
    monkeypatch.setattr(
        train.threads, "run_whole",
        lambda tokens, width: numbers.append(tokens * width),
    )
    monkeypatch.setattr(
        train.tf.config, "list_physical_devices", lambda kind: list(gpus)
    )
    train.begin(
        settings_lib.load(
            train_config.TrainConfig, [f"{tiny}/config.yaml"], assignments
        ),
        where,
    )
    return numbers[0] if numbers else None

  return begin


@pytest.mark.parametrize("objective", ["finetune", "distill"])
def test_an_update_of_the_tiny_model_is_small(begun, objective):
  # Eight examples of 4 to 9 tokens, 16 numbers each.
  assert 8 * 16 * 4 < begun(f"objective={objective}") < 8 * 16 * 9


def test_pre_training_is_left_alone(begun):
  assert begun("objective=pretrain") is None


@pytest.mark.parametrize("where", [
    where_config.Where("mirrored"),
    where_config.Where("multi_worker_mirrored"),
    where_config.Where("tpu"),
    where_config.Where(jit_compile=True),
], ids=str)
def test_other_strategies_and_xla_are_left_alone(begun, where):
  assert begun("objective=finetune", where=where) is None


def test_a_gpu_is_left_alone_where_it_is_used(begun):
  assert begun("objective=finetune", gpus=["GPU:0"]) is None
  unused = where_config.Where(num_gpus=0)
  assert begun("objective=finetune", where=unused, gpus=["GPU:0"]) is not None


@pytest.mark.parametrize("where,parts", [
    (where_config.ONE_DEVICE, 2),
    (where_config.Where(jit_compile=True), 1),
    (where_config.Where("mirrored"), 1),
], ids=str)
def test_batches_are_in_parts_where_operations_run_whole(
    monkeypatch, where, parts
):
  monkeypatch.setattr(train.threads, "parts", lambda: 2)
  monkeypatch.setattr(train.tf.config, "list_physical_devices", lambda _: [])
  assert train._parts(where) == parts
