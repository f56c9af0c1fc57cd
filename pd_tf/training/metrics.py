"""Scores of predictions against labels (GLUE's metrics)."""

import numpy as np
import scipy.stats
from sklearn import metrics as sk_metrics

from pd_tf.config import pretrained


def scores(
    task: pretrained.TaskHead, logits: np.ndarray, labels: np.ndarray
) -> dict[str, float]:
  """Returns the metrics of a task; the first is the one to select by.

  Args:
    task: Classification or regression.
    logits: Float32 [N, C].
    labels: Int32 [N], or Float32 [N] for regression.

  Returns:
    accuracy, matthews and f1 (of label 1 for two labels, else macro), each in
    [-1, 1]; for regression pearson, spearman and mean_squared_error.
  """
  if task.kind == "regression":
    return _regression(logits[:, 0], labels)
  chosen = logits.argmax(axis=-1)
  average = "binary" if len(task.label_names) == 2 else "macro"
  return {
      "accuracy": float((chosen == labels).mean()),
      "matthews": float(sk_metrics.matthews_corrcoef(labels, chosen)),
      "f1": float(
          sk_metrics.f1_score(labels, chosen, average=average, zero_division=0)
      ),
  }


def _regression(predicted: np.ndarray, targets: np.ndarray) -> dict[str, float]:
  # A correlation with a constant is not defined; 0 says that nothing is known.
  constant = np.ptp(predicted) == 0 or np.ptp(targets) == 0
  return {
      "pearson": (
          0.0 if constant
          else float(scipy.stats.pearsonr(predicted, targets).statistic)
      ),
      "spearman": (
          0.0 if constant
          else float(scipy.stats.spearmanr(predicted, targets).statistic)
      ),
      "mean_squared_error": float(np.mean((predicted - targets) ** 2)),
  }


def confusion(
    task: pretrained.TaskHead, logits: np.ndarray, labels: np.ndarray
) -> list[list[int]]:
  """Returns counts of examples, by label (rows) and prediction (columns)."""
  return sk_metrics.confusion_matrix(
      labels, logits.argmax(axis=-1), labels=range(len(task.label_names))
  ).tolist()
