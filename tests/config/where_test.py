import json

import pytest

from pd_tf.config import errors
from pd_tf.config import settings
from pd_tf.config import where


def test_default_is_one_device():
  assert where.ONE_DEVICE.strategy == "one_device"


@pytest.mark.parametrize("values, message", [
    (
        {"strategy": "parameter_server"},
        "strategy: parameter_server updates asynchronously, so that no update "
        "is the mean over a batch and no run can be repeated; Orbit has no "
        "loop for it either. Use multi_worker_mirrored.",
    ),
    (
        {"workers": ["a:1"]},
        "workers (('a:1',)) goes with --strategy=multi_worker_mirrored, the "
        "strategy was one_device.",
    ),
    (
        {
            "strategy": "multi_worker_mirrored", "workers": ["a:1", "b:1"],
            "worker_index": 2,
        },
        "worker_index (2) must be from 0 to 1, one for each of the workers.",
    ),
    ({"worker_timeout": 0}, "worker_timeout (0.0) must be above 0."),
    (
        {"profile_steps": "20:10"},
        "profile_steps: expected FIRST:LAST, two steps in order, got '20:10'.",
    ),
    ({"num_gpus": -1}, "num_gpus (-1) must not be negative."),
    (
        {"tpu": "local"},
        "tpu (local) goes with --strategy=tpu, the strategy was one_device.",
    ),
])
def test_wrong_places(values, message):
  with pytest.raises(errors.InputError) as raised:
    settings.from_mapping(where.Where, values)
  assert str(raised.value) == message


WORKERS = {"strategy": "multi_worker_mirrored", "workers": ["a:1", "b:1"]}


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
  for name in ("TF_CONFIG", "SLURM_PROCID", "JOB_COMPLETION_INDEX"):
    monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", ["SLURM_PROCID", "JOB_COMPLETION_INDEX"])
def test_the_job_says_which_worker_this_is(monkeypatch, name):
  monkeypatch.setenv(name, "1")
  assert settings.from_mapping(where.Where, WORKERS).index == 1
  assert not settings.from_mapping(where.Where, WORKERS).is_chief
  # Not of several workers, a process is the one that writes.
  assert where.Where().is_chief


def test_a_flag_says_it_first(monkeypatch):
  monkeypatch.setenv("SLURM_PROCID", "1")
  place = settings.from_mapping(where.Where, {**WORKERS, "worker_index": 0})
  assert place.is_chief


@pytest.mark.parametrize("task,index", [
    ({"type": "worker", "index": 0}, 1),
    ({"type": "worker", "index": 1}, 2),
    ({"type": "chief", "index": 0}, 0),
])
def test_tf_config_may_have_a_chief_before_the_workers(
    monkeypatch, task, index
):
  monkeypatch.setenv("TF_CONFIG", json.dumps({
      "cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"]}, "task": task,
  }))  # fmt: skip
  place = where.Where(strategy="multi_worker_mirrored")
  assert place.index == index
  assert place.is_chief == (index == 0)


@pytest.mark.parametrize("text", ["{", "[]"])
def test_tf_config_that_is_none(monkeypatch, text):
  monkeypatch.setenv("TF_CONFIG", text)
  with pytest.raises(errors.InputError, match="^TF_CONFIG: "):
    where.tf_config()


def test_the_profile_has_two_ends():
  assert where.Where().profile_window is None
  assert where.Where(profile_steps="100:110").profile_window == (100, 110)
