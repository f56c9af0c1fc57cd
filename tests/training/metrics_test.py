import numpy as np
import pytest

from pd_tf.config import pretrained
from pd_tf.training import metrics

TWO = pretrained.TaskHead("classification", ("n", "y"))
SCORE = pretrained.TaskHead("regression", ("score",))


def _logits(chosen, classes=2):
  return np.eye(classes, dtype=np.float32)[chosen]


def test_two_labels_by_hand():
  # 3 of 5 right; precision 2/3, recall 2/3.
  got = metrics.scores(
      TWO, _logits([1, 1, 1, 0, 0]), np.array([1, 1, 0, 1, 0], np.int32)
  )
  assert got["accuracy"] == pytest.approx(0.6)
  assert got["f1"] == pytest.approx(2 / 3)
  # (2 x 1 - 1 x 1) / sqrt(3 x 3 x 2 x 2)
  assert got["matthews"] == pytest.approx(1 / 6)


def test_confusion_counts_labels_that_do_not_occur():
  three = pretrained.TaskHead("classification", ("a", "b", "c"))
  got = metrics.confusion(three, _logits([0, 1, 1], 3), np.array([0, 0, 1]))
  assert got == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]


def test_regression():
  got = metrics.scores(
      SCORE, np.array([[1.0], [2.0], [4.0]]), np.array([1.0, 3.0, 9.0])
  )
  assert got["spearman"] == pytest.approx(1)
  assert got["pearson"] == pytest.approx(
      np.corrcoef([1, 2, 4], [1, 3, 9])[0, 1]
  )
  assert got["mean_squared_error"] == pytest.approx((0 + 1 + 25) / 3)


def test_a_constant_prediction_correlates_with_nothing():
  got = metrics.scores(SCORE, np.ones((3, 1)), np.array([1.0, 2.0, 3.0]))
  assert got["pearson"] == got["spearman"] == 0
