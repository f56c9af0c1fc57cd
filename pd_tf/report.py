"""Compares runs: a table, a bar chart, training curves, a page.

Reads directories written by `pd-tf evaluate` (scores with intervals) or `pd-tf
train` (curves, and the scores of the best checkpoint).

Prints the table in Markdown. With --to=DIR writes there results.md,
results.json, results.png (scores with 95 % intervals), curves.png if a run has
logged steps, and report.html, which holds all of them in one file.

Example:
  pd-tf report runs/evaluate_pf runs/evaluate_pd --names=PF,PD --to=report
"""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import json
import pathlib
from typing import Any

from pd_tf.config import errors
from pd_tf.config import report as report_config
from pd_tf.config import run_dir as run_dir_lib
from pd_tf.reporting import outcomes
from pd_tf.reporting import page
from pd_tf.reporting import plots
from pd_tf.reporting import table

RESULTS_FILE = "results.json"
FILES = (
    "results.md", RESULTS_FILE, "results.png", "curves.png", "report.html",
)


def run(
    settings: report_config.ReportConfig,
    run_dir: pathlib.Path | None = None,
) -> dict[str, Any]:
  """Prints the table and writes the report.

  Args:
    settings: Which runs.
    run_dir: Not used; a report goes to `settings.to`.

  Returns:
    Title and runs, as in results.json.

  Raises:
    InputError: A run has nothing to report, or `to` is in other use.
  """
  del run_dir
  if not settings.runs:
    raise errors.InputError("runs: expected directories of runs, got none.")
  names = settings.names or outcomes.names(settings.runs)
  runs = [
      outcomes.read(path, name)
      for path, name in zip(settings.runs, names, strict=True)
  ]
  metric = _metric(runs, settings.metric)
  result = {
      "title": settings.title,
      "runs": [_plain(run) for run in runs],
  }
  if settings.to is not None:
    _write(pathlib.Path(settings.to), settings.title, runs, metric, result)
  print(table.markdown(runs))
  return result


def _metric(
    runs: Sequence[outcomes.Outcome], wanted: str | None
) -> str | None:
  known = table.ordered(run.scores for run in runs)
  if wanted is None:
    return known[0] if known else None
  if wanted not in known:
    raise errors.InputError(
        f"metric: expected one of {', '.join(known) or 'none'}, got {wanted!r}."
    )
  return wanted


def _plots(
    title: str, runs: Sequence[outcomes.Outcome], metric: str | None
) -> list[page.Plot]:
  drawn = []
  if metric is not None:
    drawn.append(_plot(
        "results.png", title,
        lambda theme: plots.bars(runs, metric, title, theme),
    ))
  names = plots.curve_names(runs, metric)
  if names:
    heading = f"{title}: training"
    drawn.append(_plot(
        "curves.png", heading,
        lambda theme: plots.curves(runs, names, heading, theme),
    ))
  return drawn


def _plot(
    file_name: str, title: str, draw: Callable[[plots.Theme], bytes]
) -> page.Plot:
  return page.Plot(file_name, title, draw(plots.LIGHT), draw(plots.DARK))


def _write(
    directory: pathlib.Path,
    title: str,
    runs: Sequence[outcomes.Outcome],
    metric: str | None,
    result: dict[str, Any],
) -> None:
  _require_own(directory)
  drawn = _plots(title, runs, metric)
  directory.mkdir(parents=True, exist_ok=True)
  for name in FILES:
    (directory / name).unlink(missing_ok=True)
  for plot in drawn:
    (directory / plot.file_name).write_bytes(plot.light)
  text = f"# {title}\n\n{table.markdown(runs)}\n"
  for plot in drawn:
    text += f"\n![{plot.title}]({plot.file_name})\n"
  run_dir_lib.write_atomically(directory / "results.md", text)
  run_dir_lib.write_atomically(
      directory / "report.html", page.render(title, runs, drawn)
  )
  run_dir_lib.write_atomically(
      directory / RESULTS_FILE, json.dumps(result, indent=2) + "\n"
  )


def _require_own(directory: pathlib.Path) -> None:
  if directory.exists() and not directory.is_dir():
    raise errors.InputError(f"to: {directory} is a file, not a directory.")
  if not directory.exists():
    return
  for path in directory.iterdir():
    if path.name not in FILES and path.suffix != ".tmp":
      raise errors.InputError(
          f"to: {directory} holds {path.name}, which is not of a report; "
          "expected an empty or new directory, or an earlier report."
      )


def _plain(run: outcomes.Outcome) -> dict[str, Any]:
  return {
      "name": run.name,
      "path": run.path,
      "metrics": {
          name: dataclasses.asdict(score)
          for name, score in run.scores.items()
      },
      "facts": run.facts,
  }
