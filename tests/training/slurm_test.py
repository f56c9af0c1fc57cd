"""A job of Slurm's becomes a cluster, with or without GPUs."""

import json
import os

import pytest

from pd_tf.config import errors
from pd_tf.config import where as where_config
from pd_tf.training import strategy


@pytest.fixture
def environment(monkeypatch):
  # Set, so that what is made of them is taken back after the test.
  monkeypatch.setenv("TF_CONFIG", "")
  # As on a machine without GPUs and without what would count them.
  monkeypatch.setenv("PATH", "")
  monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
  return monkeypatch


@pytest.mark.parametrize("nodes, tasks, workers", [
    ("n[01-03]", "1(x3)", ["n01:8888", "n02:8888", "n03:8888"]),
    ("n[01-02]", "2,1", ["n01:8888", "n01:8889", "n02:8888"]),
])
def test_a_slurm_job_names_the_workers(environment, nodes, tasks, workers):
  environment.setenv("SLURM_PROCID", "2")
  environment.setenv("SLURM_STEP_NUM_TASKS", "3")
  environment.setenv("SLURM_STEP_NODELIST", nodes)
  environment.setenv("SLURM_STEP_TASKS_PER_NODE", tasks)
  where = where_config.Where(strategy="multi_worker_mirrored")
  strategy._set_cluster(where)
  assert json.loads(os.environ["TF_CONFIG"]) == {
      "cluster": {"worker": workers}, "task": {"type": "worker", "index": 2}
  }
  assert (where.index, where.is_chief) == (2, False)


def test_named_workers_come_first(environment):
  environment.setenv("SLURM_PROCID", "1")
  where = where_config.Where(
      strategy="multi_worker_mirrored", workers=("n2:8888", "n10:8888")
  )
  strategy._set_cluster(where)
  assert json.loads(os.environ["TF_CONFIG"]) == {
      "cluster": {"worker": ["n2:8888", "n10:8888"]},
      "task": {"type": "worker", "index": 1},
  }


def test_no_cluster_anywhere(environment):
  environment.delenv("SLURM_PROCID", raising=False)
  with pytest.raises(errors.InputError, match="^workers: expected host:port"):
    strategy._set_cluster(where_config.Where(strategy="multi_worker_mirrored"))
