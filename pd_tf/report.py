r"""Compares runs: a question, its answer, figures, tables, a page.

Reads directories written by `pd-tf evaluate` (scores with intervals) or `pd-tf
train` (curves, and the scores of the best checkpoint), or the results.json of
an earlier report. Runs of a recipe are grouped by stage and axes; those that
differ in their seed only are repetitions. With --budget the answer says which
is the best that costs no more, and the table marks it.

Prints the answer and the table in Markdown. With --out=PAGE.html writes the
page, whole in one file, and beside it in PAGE_files results.md, results.json,
a PNG and a CSV of each figure; with --to=DIR all of it into one directory.

Example:
  pd-tf report runs/evaluate_pf runs/evaluate_pd --names=PF,PD --out=report.html
  pd-tf report docs/results/methods/results.json --out=again.html
  pd-tf report runs/evaluate_* --budget="p95<2ms,size<20MB"
"""

from collections.abc import Sequence
import dataclasses
import fnmatch
import json
import pathlib
from typing import Any

from pd_tf.config import errors
from pd_tf.config import report as report_config
from pd_tf.config import run_dir as run_dir_lib
from pd_tf.reporting import answers
from pd_tf.reporting import canvas
from pd_tf.reporting import figures
from pd_tf.reporting import groups
from pd_tf.reporting import outcomes
from pd_tf.reporting import page
from pd_tf.reporting import run_files
from pd_tf.reporting import size_answers
from pd_tf.reporting import table
from pd_tf.reporting import under_budget

RESULTS_FILE = "results.json"
PAGE_FILE = "report.html"
OWN_FILES = ("results.md", RESULTS_FILE, PAGE_FILE, "*.png", "*.csv", "*.tmp")


def run(
    settings: report_config.ReportConfig,
    run_dir: pathlib.Path | None = None,
) -> dict[str, Any]:
  """Prints the answer and the table, and writes the report.

  Args:
    settings: Which runs.
    run_dir: Not used; a report goes to `settings.out` or `settings.to`.

  Returns:
    Title, question, answer and runs, as in results.json.

  Raises:
    InputError: A run has nothing to report, or the place is in other use.
  """
  del run_dir
  runs = _runs(settings)
  settings = _as_before(settings, groups.methods(runs))
  metric = _metric(runs, settings.metric)
  subject = _subject(runs, settings.subject)
  found = _comparisons(runs, metric, subject)
  answer = _answer(runs, metric, subject, found)
  marks: list[str] = []
  if settings.limits:
    verdict = under_budget.verdict(runs, settings.limits, metric)
    marks = verdict.marks
    answer += verdict.sentences
  result: dict[str, Any] = {
      "title": settings.title or "Results",
      "question": settings.question or "",
      "answer": answer,
      "metric": metric,
      "subject": subject,
      "runs": [
          outcomes.to_plain(dataclasses.replace(
              run, curve=outcomes.thinned(run.curve)
          ))
          for run in runs
      ],
  }
  if marks:
    result |= {"budget": settings.budget, "marks": marks}
  if places := _places(settings):
    _write(*places, runs, found, result)
  for sentence in answer:
    print(sentence)
  print("\n" * bool(answer) + table.markdown(runs, marks))
  return result


def _runs(settings: report_config.ReportConfig) -> list[outcomes.Outcome]:
  """Returns the runs, named as the settings say."""
  if not settings.runs:
    raise errors.InputError("runs: expected directories of runs, got none.")
  # A run given twice is no repetition; two names make it two methods.
  paths = settings.runs if settings.names else tuple(
      dict.fromkeys(settings.runs)
  )
  names = settings.names or run_files.names(paths)
  methods = run_files.methods(paths)
  found = []
  for path, name, stage in zip(paths, names, methods, strict=True):
    runs = run_files.read(path, name)
    if settings.names and len(runs) > 1:
      raise errors.InputError(
          f"names: {path} has {len(runs)} runs with names of their own; "
          "expected no names beside it."
      )
    for run in runs:
      method = run.method if pathlib.Path(path).is_file() else stage
      method = settings.labels.get(run.method, method)
      if settings.names:
        method = settings.labels.get(name, name)
      axes = "".join(f"/{axis}={label}" for axis, label in run.axes.items())
      labelled = run.method in settings.labels
      found.append(dataclasses.replace(
          run, method=method, name=method + axes if labelled else run.name
      ))
  return found


def _as_before(
    settings: report_config.ReportConfig, methods: Sequence[str]
) -> report_config.ReportConfig:
  """Returns settings with what an earlier report was asked, if it is alone."""
  path = pathlib.Path(settings.runs[0])
  if len(settings.runs) > 1 or not path.is_file():
    return settings
  earlier = json.loads(path.read_text(encoding="utf-8"))
  if earlier.get("subject") not in methods:
    # It has another label now.
    earlier.pop("subject", None)
  return dataclasses.replace(settings, **{
      name: earlier[name]
      for name in ("title", "question", "metric", "subject")
      if getattr(settings, name) is None and earlier.get(name)
  })


def _metric(
    runs: Sequence[outcomes.Outcome], wanted: str | None
) -> str | None:
  known = outcomes.ordered(run.scores for run in runs)
  if wanted is None:
    return known[0] if known else None
  if wanted not in known:
    raise errors.InputError(
        f"metric: expected one of {', '.join(known) or 'none'}, got {wanted!r}."
    )
  return wanted


def _subject(
    runs: Sequence[outcomes.Outcome], wanted: str | None
) -> str:
  methods = groups.methods(runs)
  if wanted is None:
    return "PD" if "PD" in methods else methods[-1]
  if wanted not in methods:
    raise errors.InputError(
        f"subject: expected one of {', '.join(methods)}, got {wanted!r}."
    )
  return wanted


def _comparisons(
    runs: Sequence[outcomes.Outcome], metric: str | None, subject: str
) -> list[answers.Comparison]:
  if metric is None:
    return []
  return answers.comparisons(runs, metric, subject)


def _answer(
    runs: Sequence[outcomes.Outcome],
    metric: str | None,
    subject: str,
    found: Sequence[answers.Comparison],
) -> list[str]:
  if metric is None:
    return []
  said = answers.sentences(found, metric, subject)
  trends = [
      answers.trend(runs, metric, axis, method)
      for axis in groups.numeric_axes(runs)
      for method in groups.methods(runs)
  ]
  said += [trend for trend in trends if trend is not None]
  return said + size_answers.sentences(runs, metric)


def _places(
    settings: report_config.ReportConfig,
) -> tuple[pathlib.Path, pathlib.Path] | None:
  """Returns where the files and the page go; None: nowhere."""
  if settings.out is not None:
    page_path = pathlib.Path(settings.out)
    return page_path.with_name(page_path.stem + "_files"), page_path
  if settings.to is not None:
    directory = pathlib.Path(settings.to)
    return directory, directory / PAGE_FILE
  return None


def _write(
    directory: pathlib.Path,
    page_path: pathlib.Path,
    runs: Sequence[outcomes.Outcome],
    found: Sequence[answers.Comparison],
    result: dict[str, Any],
) -> None:
  _require_own(directory)
  drawn = figures.all_of(runs, result["metric"], result["title"])
  text = page.render(result, runs, found, drawn)
  directory.mkdir(parents=True, exist_ok=True)
  page_path.parent.mkdir(parents=True, exist_ok=True)
  for path in directory.iterdir():
    path.unlink()
  for figure in drawn:
    (directory / f"{figure.name}.png").write_bytes(figure.png())
    (directory / f"{figure.name}.csv").write_text(figure.csv(), "utf-8")
  run_dir_lib.write_atomically(
      directory / "results.md", _markdown(result, runs, drawn)
  )
  run_dir_lib.write_atomically(
      directory / RESULTS_FILE, json.dumps(result, indent=2) + "\n"
  )
  run_dir_lib.write_atomically(page_path, text)


def _markdown(
    result: dict[str, Any],
    runs: Sequence[outcomes.Outcome],
    drawn: Sequence[canvas.Figure],
) -> str:
  parts = [f"# {result['title']}", result["question"], *result["answer"]]
  parts.append(table.markdown(runs, result.get("marks", ())))
  parts += [
      f"![{figure.title}]({figure.name}.png)\n\n{figure.caption}"
      for figure in drawn
  ]
  return "\n\n".join(part for part in parts if part) + "\n"


def _require_own(directory: pathlib.Path) -> None:
  if directory.exists() and not directory.is_dir():
    raise errors.InputError(f"to: {directory} is a file, not a directory.")
  if not directory.exists():
    return
  for path in directory.iterdir():
    if path.is_dir() or not any(
        fnmatch.fnmatch(path.name, own) for own in OWN_FILES
    ):
      raise errors.InputError(
          f"to: {directory} holds {path.name}, which is not of a report; "
          "expected an empty or new directory, or an earlier report."
      )
