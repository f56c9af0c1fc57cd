"""The studies of the paper's questions, planned as they stand."""

import collections
import pathlib

import pytest

from pd_tf import verbs
from pd_tf.config import plan
from pd_tf.config import recipe
from pd_tf.config import settings

STUDIES = pathlib.Path(__file__).absolute().parents[2] / "configs" / "studies"
KINDS = {name: verb.config for name, verb in verbs.VERBS.items()}
# A question's files over base.yaml, and its training runs for one size.
QUESTIONS = {
    "methods": 1 + 5 * 3,
    "methods depth_width": 1 + 5 * 3,
    "transfer_size": 1 + 2 * 5 * 3,
    "domain": 1 + 2 + 2 * 4 * 3,
    "same_text": 1 + 1 + 3 * 3,
    "truncation": 2 + (2 + 1) * 3,
    "temperature": 1 + 9 * 3,
    "learning_rate": 1 + 2 * 3 * 3,
}


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
  """Makes files of the names that the studies read."""
  for name in (
      "vocab.txt", "corpus/wiki.txt.xz", "corpus/imdb_unsup.txt.xz",
      "glue/SST-2/train.tsv", "glue/SST-2/dev.tsv", "amazon_books/train.tsv",
      "amazon_books/dev.tsv",
  ):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
  monkeypatch.setenv("PD_TF_DATA", str(tmp_path))


def planned(tmp_path, names, needed=(), more=()):
  """Returns the runs of base.yaml and files over it.

  Args:
    tmp_path: Of the test.
    names: Of the files.
    needed: Variables that must be given.
    more: Further `--set`.
  """
  config = settings.load(
      recipe.RecipeConfig,
      [str(STUDIES / f"{name}.yaml") for name in ("base", *names)],
      [
          *(f"variables.{name}={tmp_path / 'vocab.txt'}"
            for name in ("teacher_start", *needed)),
          f"roots={STUDIES.parents[1]}", *more,
      ],
  )
  return plan.stages(config, tmp_path / "runs", KINDS)


def trained(stages):
  """Returns the number of training runs a stage, teachers left out."""
  counts = collections.Counter(
      stage.name.partition("/")[0] for stage in stages
      if stage.verb == "train"
  )
  del counts["teacher"]
  return counts


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_small_form_is_a_tiny_and_what_the_question_adds(
    tmp_path, question
):
  stages = planned(tmp_path, question.split())
  sizes = 4 if "methods" in question else 1
  assert sum(trained(stages).values()) == sizes * QUESTIONS[question]
  assert stages[-1].verb == "report"


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_full_form_has_all_sizes(tmp_path, question):
  books = ("books_train", "books_dev", "books_text")
  stages = planned(
      tmp_path, [*question.split(), "full"], ["vocab_file", *books]
  )
  counts = trained(stages)
  assert counts["pretrain"] == 24
  # The deep model of truncation is one a width.
  shared = {"pretrain_deep": 4, "task_teacher": 2}
  per_size = QUESTIONS[question] - sum(
      1 if name == "pretrain_deep" else shared[name]
      for name in shared if name in counts
  )
  assert sum(counts.values()) == 24 * per_size + sum(
      shared[name] for name in shared if name in counts
  )


def test_what_all_share_is_the_same_in_every_study(tmp_path):
  shared: dict[str, object] = {}
  for question in QUESTIONS:
    for stage in planned(tmp_path, question.split()):
      name = f"{stage.verb} {stage.name}"
      assert shared.setdefault(name, stage.settings) == stage.settings, name


def test_students_that_are_there_are_not_pre_trained(tmp_path):
  there = f"axes.size.L2-H128.pretrained={tmp_path}"
  stages = planned(tmp_path, ["transfer_size"], more=[there])
  assert "pretrain" not in trained(stages)
  starts = {
      stage.settings.init_from for stage in stages
      if stage.name.startswith("pd_by_texts/")
  }
  assert starts == {str(tmp_path)}
